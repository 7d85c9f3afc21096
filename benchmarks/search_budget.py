"""`python benchmarks/search_budget.py`: what a quarter of a grid's operations finds.

The recorded points of the study fashion_search_grid answer the search instead of
trainings. Prints a table: hits with their Wilson intervals, accuracies with their SD.

fashion_search_grid.csv: the 72 + 48 points of docs/samples/fashion_search_grid.html
(chart data of the page; one seed, 1,000 validation images). fashion_search_curves.csv:
the 48 points of its second search trained again with the learning curves kept, which
`halving` needs; accuracies and operations of all 48 are those of the first file.
"""

import argparse
import csv
import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from labmill.search.records import Costs, RankedPoint, SearchRound
from labmill.search.rounds import SearchProgress
from labmill.study.schema import Budget, Search

FOLDER = Path(__file__).parent
EPOCHS = 20
SHARE = 0.25
# Two accuracies this close count as equally good: the 0.3 points, and one
# standard error of an accuracy of 87 % on 1,000 images.
WITHIN = (0.003, 0.0106)

Settings = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Epoch:
    """Accuracy and operations of a point after some epochs."""

    epoch: int
    accuracy: float
    operations: float


Table = dict[Settings, list[Epoch]]


def read(name: str, search: str | None = None) -> Table:
    """Return point → its epochs; a point without a curve has its end alone."""
    found: Table = {}
    with (FOLDER / name).open() as file:
        for row in csv.DictReader(file):
            if search in (None, row.get("search")):
                settings = tuple((k, v) for k, v in row.items() if "." in k and v)
                found.setdefault(settings, []).append(
                    Epoch(
                        int(row.get("epoch") or EPOCHS),
                        float(row["validation_accuracy"]),
                        float(row["operations"]),
                    )
                )
    return found


def value(text: str) -> Any:
    """Return a number where the text is one."""
    try:
        return float(text)
    except ValueError:
        return text


def result(name: str, settings: Settings, epochs: list[Epoch], end: int) -> RankedPoint:
    """Return what a point trained to an epoch gives."""
    last = [one for one in epochs if one.epoch <= end or len(epochs) == 1][-1]
    ended = end == EPOCHS or last.epoch < end
    return RankedPoint(
        point=name,
        settings={key: value(text) for key, text in settings},
        validation_accuracy=last.accuracy,
        validation_sd=None,
        seconds=0.0,
        operations=last.operations,
        parameters=0,
        status="completed" if ended else "paused",
        reached=None,
        seeds=[0],
        accuracies=[last.accuracy],
        costs=Costs(seconds=[0.0], operations=[last.operations], parameters=[0]),
    )


def run(table: Table, search: Search, ends: list[int], folder: Path) -> list[float]:
    """Return the accuracies of the points trained in full within the budget."""
    names = {f"point_{i:02}": settings for i, settings in enumerate(sorted(table))}
    total = sum(epochs[-1].operations for epochs in table.values())
    progress = SearchProgress(
        search=search.model_copy(update={"budget": Budget(operations=SHARE * total)}),
        number=1,
        ends=ends,
        points={n: {k: value(v) for k, v in s} for n, s in names.items()},
        rounds=[],
        results={},
    )
    found: list[float] = []
    file = folder / f"{search.method}{search.seeds[0]}.journal"
    while following := progress.following():
        asked = progress.ask(following, file)
        made = {n: result(n, names[n], table[names[n]], following.end) for n in asked}
        progress = replace(
            progress,
            number=progress.number + 1,
            rounds=[*progress.rounds, SearchRound(end=following.end, points=asked)],
            results={**progress.results, **made},
        )
        if progress.spent > SHARE * total:
            break  # what this round found cost too much to count
        found += [
            p.validation_accuracy or 0.0 for p in made.values() if p.status != "paused"
        ]
    file.unlink(missing_ok=True)
    return found


def row(name: str, table: Table, search: Search, ends: list[int], repeats: int) -> str:
    """Return a row of the table: method, hits and accuracies of its repeats."""
    best = max(epochs[-1].accuracy for epochs in table.values())
    with tempfile.TemporaryDirectory() as folder:
        found = [
            run(table, search.model_copy(update={"seeds": (seed,)}), ends, Path(folder))
            for seed in range(repeats)
        ]
    tops = [max(one, default=0.0) for one in found]
    cells = []
    for within in WITHIN:
        hits = sum(top >= best - within - 1e-9 for top in tops)
        ends_of = binomtest(hits, repeats).proportion_ci(method="wilson")
        interval = f"{100 * ends_of.low:.0f} to {100 * ends_of.high:.0f}"
        cells.append(f"{100 * hits / repeats:.0f} % ({interval})")
    deviation = statistics.stdev(tops)
    cells.append(f"{100 * statistics.fmean(tops):.2f} ± {100 * deviation:.2f}")
    cells.append(f"{statistics.fmean(map(len, found)):.1f}")
    return f"| {name} | {search.method} | " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=50)
    repeats = parser.parse_args().repeats
    print(
        "| grid | method | within 0.3 points (95 % CI) | within 1.06 points | best found "
        "(mean ± SD, %) | points trained in full |\n|---|---|---|---|---|---|"
    )
    for name in ("architecture", "training"):
        table = read("fashion_search_grid.csv", name)
        for method in ("random", "tpe"):
            search = Search(variant="any", matrix={}, method=method, at_once=1)
            print(
                row(f"{name}, {len(table)}", table, search, [EPOCHS], repeats),
                flush=True,
            )
    table = read("fashion_search_curves.csv")
    search = Search(variant="any", matrix={}, method="halving", factor=2)
    print(row(f"training, {len(table)}", table, search, [5, 10, EPOCHS], repeats))


if __name__ == "__main__":
    main()
