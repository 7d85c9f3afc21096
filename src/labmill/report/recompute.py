"""What report.md must say, section by section, without drawing its figures."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labmill.fingerprint import digest
from labmill.report.document import Document
from labmill.report.read import write_table
from labmill.report.results import Results
from labmill.report.summarize import Summary
from labmill.report.text import Markdown
from labmill.runtime import write_json


@dataclass(frozen=True)
class Written:
    """A section: its tables' rows, the author's words, the claims that it states."""

    name: str
    rows: tuple[str, ...]
    words: str
    statements: tuple[str, ...]


class Unillustrated(Document):
    """The document without figures, of which no cell or sentence depends."""

    def figure(self, name: str, *, again: bool = False) -> Markdown:
        """No figure."""
        return Markdown("")


def written_parts(results: Path, made: Summary) -> list[Written]:
    """Every section's computed content, from a summary that was recomputed.

    Sections whose dataset is not here (in a capsule) are left out.
    """
    with tempfile.TemporaryDirectory() as folder:
        anew = Path(folder)
        write_table(anew / "runs.csv", made.table)
        write_json(anew / "claims.json", made.claims)
        document = Unillustrated(opened(results, anew, made))
        statements = [claim["statement"] for claim in made.claims]
        parts = []
        for name in document.order():
            try:
                text = document.section(name)
            except FileNotFoundError:
                continue
            if text:
                parts.append(part(name, text, document.words(name), statements))
    return parts


def part(name: str, text: str, words: str, statements: list[str]) -> Written:
    """A section's rows, words and statements."""
    rows = tuple(line for line in text.splitlines() if line.startswith("|"))
    said = tuple(statement for statement in statements if statement in text)
    return Written(name, rows, words, said)


def opened(results: Path, anew: Path, made: Summary) -> Results:
    """The report's inputs: tables and claims anew, the rest where it stands."""
    study: Mapping[str, Any] = made.index["provenance"]["settings"]["study"]
    root = results.joinpath(*[".."] * len(Path(made.index["results"]).parts)).resolve()
    data, key = study["data"], study["data"]["dataset"]
    if data["arguments"]:
        key = f"{key}-{digest(data['arguments'])}"
    dataset = root / "data" / key
    return Results(
        job=made.index["provenance"],
        index=results / "index.json",
        runs=anew / "runs.csv",
        claims=anew / "claims.json",
        split=results / "split.json",
        card=dataset / "card.json",
        images=dataset / "images.npy",
        labels=dataset / "labels.npy",
        split_npz=results / "split.npz",
    )
