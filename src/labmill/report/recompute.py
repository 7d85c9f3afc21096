"""What report.md must say, section by section, without drawing its figures."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labmill.fingerprint import dataset_key
from labmill.report.document import Document
from labmill.report.results import Results
from labmill.report.runs_table import write_table
from labmill.report.summarize import Summary
from labmill.report.text import Markdown
from labmill.runtime import write_json


@dataclass(frozen=True)
class Written:
    """A section: its tables' rows and its claims, a line each, and the author's words."""

    name: str
    rows: tuple[str, ...]
    claims: tuple[str, ...]
    words: str


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
        parts = []
        for name in document.order():
            try:
                text = document.section(name)
            except FileNotFoundError:
                continue
            if text:
                parts.append(
                    Written(name, rows(text), claims(text), document.words(name))
                )
    return parts


def rows(text: str) -> tuple[str, ...]:
    """The rows of all tables."""
    return tuple(line for line in text.splitlines() if line.startswith("|"))


def claims(text: str) -> tuple[str, ...]:
    """The lines that state a claim, or cite one."""
    return tuple(line for line in text.splitlines() if "#claim-" in line)


def opened(
    results: Path, anew: Path, made: Summary, job: dict[str, Any] | None = None
) -> Results:
    """The report's inputs: tables and claims anew, the rest where it stands."""
    study: Mapping[str, Any] = made.index["provenance"]["settings"]["study"]
    root = results.joinpath(*[".."] * len(Path(made.index["results"]).parts)).resolve()
    data = study["data"]
    dataset = root / "data" / dataset_key(data["dataset"], data["arguments"])
    return Results(
        job=job or made.index["provenance"],
        index=results / "index.json",
        runs=anew / "runs.csv",
        claims=anew / "claims.json",
        split=results / "split.json",
        card=dataset / "card.json",
        images=dataset / "images.npy",
        labels=dataset / "labels.npy",
        split_npz=results / "split.npz",
    )
