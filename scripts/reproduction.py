"""Write the table of docs/results.md, published and our figures: `make reproduction`.

Reads the finished runs below results/, at full scale: those of a study need not be
complete. A variant without runs here keeps its row. A published figure is one run, which is
taken to scatter as ours do.
"""

import statistics
from collections.abc import Iterator
from pathlib import Path

from labmill.core.files import read_json
from labmill.core.paths import CHECKOUT
from labmill.core.records import read_rows
from labmill.stats.runs import against_published
from labmill.study.load import load_study
from labmill.training.history import typical_seconds
from labmill.training.records import EpochRow
from labmill.workflow.targets import study_file, study_names

PAGE = CHECKOUT / "docs" / "results.md"
BEGIN, END = "<!-- table of make reproduction -->\n", "<!-- end -->\n"
HEAD = (
    "| study | variant | published | ours (95 % interval of one new run) | seeds | verdict "
    "| differs | core-hours |\n|---|---|---|---|---|---|---|---|\n"
)


def main() -> None:
    """Write the table."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    table, _, after = rest.partition(END)
    known = {key_of(line): line for line in table.splitlines(keepends=True)}
    lines = [
        line if found else known.get(key_of(line), line)
        for name in sorted(study_names())
        for line, found in rows(name)
    ]
    PAGE.write_text(before + BEGIN + HEAD + "".join(lines) + END + after)


def key_of(line: str) -> str:
    """Return the study and the variant of a row."""
    return "|".join(line.split("|")[:3])


def rows(name: str) -> Iterator[tuple[str, bool]]:
    """Yield a row per published test accuracy of a study, and whether it has runs."""
    study, _ = load_study(study_file(name))
    published = study.published
    for variant, figures in published.variants.items() if published else ():
        theirs = figures.get("test_accuracy")
        if not isinstance(theirs, float):
            continue
        runs = [
            metrics.parent
            for metrics in Path("results", name, variant).glob(
                "seed*/dense/metrics.json"
            )
        ]
        accuracies = [
            read_json(run / "metrics.json")["parts"]["test"]["accuracy"] for run in runs
        ]
        hours = sum(
            typical_seconds(read_rows(EpochRow, run / "history.csv")) / 3600
            for run in runs
        )
        ours, verdict = compared(accuracies, theirs)
        cells = (
            f"`{name}`",
            f"`{variant}`",
            f"{100 * theirs:.1f} %",
            ours,
            str(len(accuracies) or "–"),
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
