"""Write the table of docs/results.md, published and our figures: `make reproduction`.

Puts the finished runs below results/, at full scale, on record in docs/runs.csv, and makes
the table from all on record: those of a study need neither be complete nor from one machine.
A run replaces the record of the same seed. A variant without any keeps its row. A published
figure is one run, which is taken to scatter as ours do.
"""

import csv
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from labmill.core.csv_tables import write_table
from labmill.core.files import read_json
from labmill.core.paths import CHECKOUT
from labmill.core.records import read_rows
from labmill.stats.runs import against_published
from labmill.study.load import load_study
from labmill.study.schema import Published, Study
from labmill.training.history import typical_seconds
from labmill.training.records import EpochRow
from labmill.workflow.targets import study_file, study_names

PAGE = CHECKOUT / "docs" / "results.md"
RECORD = CHECKOUT / "docs" / "runs.csv"
BEGIN, END = "<!-- table of make reproduction -->\n", "<!-- end -->\n"
HEAD = (
    "| study | variant | published | ours (95 % interval of one new run) | seeds | verdict "
    "| differs | core-hours |\n|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class RunRecord:
    """One finished run, as docs/runs.csv keeps it; `weights` and `code` are digests."""

    study: str
    variant: str
    seed: int
    test_accuracy: float  # 0..1
    core_seconds: float  # median epoch times the epochs
    epochs: int
    precision: str
    processor: str
    date: str
    weights: str
    code: str  # of settings, inputs and code

    @property
    def key(self) -> tuple[str, str, int]:
        """Return what the run is known by."""
        return self.study, self.variant, self.seed


def main() -> None:
    """Write the record and the table."""
    runs = {run.key: run for run in on_record()}
    studies = {name: load_study(study_file(name))[0] for name in sorted(study_names())}
    for name, study in studies.items():
        runs |= {run.key: run for run in finished(name, study)}
    found = [runs[key] for key in sorted(runs)]
    write_table(RECORD, [one.name for one in fields(RunRecord)], map(asdict, found))
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    known = {key_of(line): line for line in table.splitlines(keepends=True)}
    lines = [
        line if any_run else known.get(key_of(line), line)
        for name, study in studies.items()
        for line, any_run in rows(name, study.published, found)
    ]
    PAGE.write_text(before + BEGIN + HEAD + "".join(lines) + END + after)


def on_record() -> Iterator[RunRecord]:
    """Yield the runs that docs/runs.csv has."""
    if not RECORD.is_file():
        return
    # Not `read_rows`, which takes a digest of digits for a number.
    kinds = {one.name: one.type for one in fields(RunRecord)}
    with RECORD.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield RunRecord(**{name: kinds[name](row[name]) for name in kinds})


def finished(name: str, study: Study) -> Iterator[RunRecord]:
    """Yield the runs of a study's variants below results/."""
    for variant in study.variants:
        for path in Path("results", name, variant).glob("seed*/dense/metrics.json"):
            model = read_json(path.with_name("model.json"))
            training, made = model["training"], model["provenance"]
            history = read_rows(EpochRow, path.with_name("history.csv"))
            yield RunRecord(
                study=name,
                variant=variant,
                seed=int(path.parts[-3].removeprefix("seed")),
                test_accuracy=read_json(path)["parts"]["test"]["accuracy"],
                core_seconds=round(typical_seconds(history), 1),
                epochs=training["epochs"],
                precision=training["precision"],
                processor=made["machine"]["processor"],
                date=made["date"][:10],
                weights=model["digests"]["model.safetensors"],
                code=made["fingerprint"],
            )


def key_of(line: str) -> str:
    """Return the study and the variant of a row."""
    return "|".join(line.split("|")[:3])


def rows(
    name: str, published: Published | None, record: Iterable[RunRecord]
) -> Iterator[tuple[str, bool]]:
    """Yield a row per published test accuracy of a study, and whether it has runs."""
    for variant, figures in published.variants.items() if published else ():
        theirs = figures.get("test_accuracy")
        if not isinstance(theirs, float):
            continue
        runs = [run for run in record if run.key[:2] == (name, variant)]
        ours, verdict = compared([run.test_accuracy for run in runs], theirs)
        hours = sum(run.core_seconds for run in runs) / 3600
        cells = (
            f"`{name}`",
            f"`{variant}`",
            f"{100 * theirs:.1f} %",
            ours,
            str(len(runs) or "–"),
            verdict,
            published.notes.get(variant, "–"),
            f"{hours:.2f}" if runs else "–",
        )
        yield f"| {' | '.join(cells)} |\n", bool(runs)


def compared(ours: list[float], theirs: float) -> tuple[str, str]:
    """Return our mean with its interval, and how it compares."""
    if not ours:
        return "–", "not run"
    mean = f"{100 * statistics.fmean(ours):.1f} %"
    found = against_published(ours, theirs)
    if found.low is None or found.high is None:
        return mean, "one run: not compared"
    ends = f"{100 * (theirs + found.low):.1f} to {100 * (theirs + found.high):.1f}"
    verdict = "reproduced" if found.low <= 0 <= found.high else "higher"
    verdict = "lower" if found.high < 0 else verdict
    return f"{mean} ({ends})", verdict


if __name__ == "__main__":
    main()
