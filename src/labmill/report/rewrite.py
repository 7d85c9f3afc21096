"""Write a report anew from a summary, and compare it with the one that is there."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any

from labmill.closing import WRITERS, writing
from labmill.fingerprint import canonical, dataset_key
from labmill.report.results import Results
from labmill.report.runs_table import write_table
from labmill.report.summarize import Summary
from labmill.report.write import write
from labmill.runtime import provenance, read_json, write_json

REPORT = ("report.md", "report.html", "report.pdf")


def rewrite(results: Path, made: Summary, folder: Path, slurm: str) -> None:
    """Write runs.csv, claims.json and the report of a summary into `folder`.

    results: the study's folder, whose runs are read; slurm: how the report says that a
    training job is asked for.
    """
    write_table(folder / "runs.csv", made.table)
    write_json(folder / "claims.json", made.claims)
    summary = made.index["provenance"]
    job = writing(summary["settings"] | {"slurm": slurm}, summary["fingerprint"])
    write(
        opened(results, folder, made, provenance(canonical(job.record))),
        markdown=folder / "report.md",
        html=folder / "report.html",
        pdf=folder / "report.pdf",
        figures=folder / "figures",
        record=folder / "report.json",
    )


def opened(results: Path, anew: Path, made: Summary, job: Mapping[str, Any]) -> Results:
    """The report's inputs: tables and claims anew, the rest where it stands."""
    study: Mapping[str, Any] = made.index["provenance"]["settings"]["study"]
    root = results.joinpath(*[".."] * len(Path(made.index["results"]).parts)).resolve()
    data = study["data"]
    dataset = root / "data" / dataset_key(data["dataset"], data["arguments"])
    return Results(
        job=dict(job),
        index=results / "index.json",
        runs=anew / "runs.csv",
        claims=anew / "claims.json",
        split=results / "split.json",
        card=dataset / "card.json",
        images=dataset / "images.npy",
        labels=dataset / "labels.npy",
        split_npz=results / "split.npz",
    )


def report_mismatches(results: Path, made: Summary) -> tuple[list[str], list[str]]:
    """What the report says and these results do not give; what could not be compared.

    Every file is compared byte for byte with one written anew, report.md line by line
    as well. Where other code or libraries wrote the report, bytes may differ without
    anything being wrong: then it is said which files were not compared, and why.
    """
    record = read_json(results / "report.json")
    with tempfile.TemporaryDirectory() as temporary:
        anew = Path(temporary)
        rewrite(results, made, anew, record["settings"]["slurm"])
        reasons = other_makers(record, read_json(anew / "report.json"))
        found = list(
            text_mismatches(
                (results / "report.md").read_text(encoding="utf-8"),
                (anew / "report.md").read_text(encoding="utf-8"),
            )
        )
        different = [
            name
            for name in files_of(results) | files_of(anew)
            if content(results / name) != content(anew / name)
        ]
    if reasons:
        why = ", ".join(reasons)
        return found, [f"{name}, as it was written with {why}" for name in different]
    wrong = [f"{name}: is not the file that these results give" for name in different]
    return found + wrong, []


def files_of(folder: Path) -> dict[str, None]:
    """The names of a report's files, in order."""
    drawn = sorted(path.name for path in folder.glob("figures/*.svg"))
    return dict.fromkeys([*REPORT, *(f"figures/{name}" for name in drawn)])


def content(path: Path) -> bytes | None:
    """A file's bytes, None where it is missing."""
    return path.read_bytes() if path.is_file() else None


def other_makers(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a report was written with and is another one here, in words.

    then, now: the records of the two jobs.
    """
    own = now["code"].keys() - set(WRITERS)
    same = then["consumes"]["templates"] == now["consumes"]["templates"]
    same = same and all(then["code"].get(key) == now["code"][key] for key in own)
    found = [] if same else ["another version of labmill"]
    old = then["code"] | {"system": then["machine"]["system"]}
    new = now["code"] | {"system": now["machine"]["system"]}
    for name in (*WRITERS, "system"):
        if old.get(name) != new[name]:
            found.append(f"{name} {old.get(name)} (here {new[name]})")
    return found


def text_mismatches(stored: str, anew: str) -> Iterator[str]:
    """Where two texts of report.md differ, line by line, tables cell by cell."""
    old, new = stored.splitlines(), anew.splitlines()
    for kind, a, b, c, d in SequenceMatcher(None, old, new, False).get_opcodes():
        if kind == "equal":
            continue
        where = f"report.md, {section_of(new, c)}"
        for line, other in zip_longest(old[a:b], new[c:d]):
            if line and other:
                yield from line_mismatches(line, other, where)
            elif line:
                yield f"{where}: nothing in the results says so: {line}"
            elif other:
                yield f"{where}: not found: {other}"


def section_of(lines: Sequence[str], at: int) -> str:
    """The name of the section in which a line stands."""
    for line in reversed(lines[: at + 1]):
        if found := re.match(r"## .*\{#section-([\w-]+)\}$", line):
            return found[1]
    return "title"


def line_mismatches(old: str, new: str, where: str) -> Iterator[str]:
    """How a line differs from the one in its place: the cells of a row, or all of it."""
    cells = [line.strip("| ").split(" | ") for line in (old, new)]
    if old.startswith("|") and new.startswith("|") and len(cells[0]) == len(cells[1]):
        for a, b in zip(*cells, strict=True):
            if a != b:
                row = cells[0][0]
                yield f"{where}: a table says {a!r}, recomputed: {b!r} (row {row})"
    else:
        yield f"{where}: says {old!r}, recomputed: {new!r}"
