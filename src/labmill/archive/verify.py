"""Recompute a report from its predictions, and check the chain that leads to them.

From logits and labels: every metric; from these, the histories and the measurements:
every cell of runs.csv, the order of every search, every claim; from these the report is
written again, and each of its files must be the same. What cannot be recomputed without
training (losses per epoch, timings) is taken from its file. See docs/trust.md.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from labmill.archive.chain import chain_mismatches
from labmill.archive.compare import claim_mismatches, differences, table_mismatches
from labmill.archive.records import Opened, damaged_files, open_results
from labmill.archive.rerender import planned_records, report_mismatches
from labmill.archive.split_check import split_mismatches
from labmill.core import project
from labmill.core.errors import LabmillError
from labmill.core.files import finite, read_json
from labmill.core.trees import JsonObject, Settings
from labmill.evaluation.metrics import score
from labmill.report.runs import PARTS
from labmill.report.summarize import Summary, summary
from labmill.search.records import Rule
from labmill.search.select import rank, summarise

NOT_SHOWN = (
    "Not shown here: that the predictions come from the weights, and the weights from "
    "training. `labmill grade` evaluates the weights again, and with --rerun trains again."
)


@dataclass(frozen=True)
class Check:
    """One thing that was checked."""

    key: str
    requirement: str
    problems: Sequence[str] = ()
    unchecked: Sequence[str] = ()

    @property
    def state(self) -> str:
        """Return `failed`, `unchecked` or `met`."""
        if self.problems:
            return "failed"
        return "unchecked" if self.unchecked else "met"


@dataclass(frozen=True)
class Verdict:
    """What a check of results found."""

    checks: Sequence[Check]

    @property
    def mismatches(self) -> list[str]:
        """Return all that speaks against the results."""
        return [problem for check in self.checks for problem in check.problems]

    @property
    def unchecked(self) -> list[str]:
        """Return all that could not be checked."""
        return [reason for check in self.checks for reason in check.unchecked]

    def __str__(self) -> str:
        lines = []
        for check in self.checks:
            lines.append(f"[{check.state}] {check.requirement}")
            lines += [f"  {problem}" for problem in check.problems]
            lines += [f"  not checked: {reason}" for reason in check.unchecked]
        return "\n".join([*lines, NOT_SHOWN])


def verify(results: Path, *, data: Path | None = None) -> Verdict:
    """Recompute a finished report and compare.

    `data`: the datasets by which the split is checked; by default the study's own.
    """
    opened = open_results(Path(results))
    return verify_opened(opened, data=data or opened.root / "data")


def verify_opened(
    opened: Opened, *, data: Path, foreign: bool = False, trust_code: bool = False
) -> Verdict:
    """Recompute the report of results that are open.

    Args:
        opened: the results.
        data: the folder of datasets by which the split is checked.
        foreign: whether somebody else made them.
        trust_code: whether somebody else's own code may run.
    """
    with project.using(opened.root, trusted=trust_code or not foreign):
        return Verdict(checks_of(opened, data, foreign=foreign))


def checks_of(opened: Opened, data: Path, *, foreign: bool) -> list[Check]:
    """Return what was checked of results; `foreign`: made by somebody else."""
    damaged = damaged_files(opened)
    checks = [Check("files", "Every file can be read and has its layout.", damaged)]
    if damaged:
        return checks
    with one_message(opened):
        found: list[str] = []
        of_report: list[str] = []
        try:
            made, found = recompute(opened)
            of_report, unchecked = report_mismatches(opened.folder, made)
        except project.UntrustedCodeError as error:
            unchecked = [str(error)]
        checks += [
            Check(
                "chain",
                "Every file was made from the files, settings and code that it names.",
                *chain_mismatches(opened, foreign=foreign),
            ),
            Check(
                "split",
                "Split and labels are those that dataset and split seed give.",
                *split_mismatches(opened, data),
            ),
            Check(
                "report",
                "The report follows from the predictions, histories and measurements.",
                [*found, *of_report],
                unchecked,
            ),
        ]
    return checks


@contextmanager
def one_message(opened: Opened) -> Iterator[None]:
    """Turn an error of recomputing into one LabmillError: some file is damaged."""
    try:
        yield
    except LabmillError:
        raise
    except Exception as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise LabmillError(
            f"{opened.place.planned}: cannot be recomputed, a file of it is damaged "
            f"({said})"
        ) from error


def recompute(opened: Opened) -> tuple[Summary, list[str]]:
    """Return the summary from the predictions, and where the stored one differs."""
    index, place = opened.index, opened.place
    found: list[str] = []

    def scores(record: JsonObject) -> Settings:
        metrics, wrong = rescored(record, opened)
        found.extend(wrong)
        return metrics

    made = summary(index["provenance"], planned_records(index), place, scores)
    found += search_mismatches(opened)
    found += table_mismatches(opened.folder / "runs.csv", made.table, made.rows)
    for key in ("runs", "searches", "edits", "mixed", "unmade"):
        found += differences(
            index.get(key, []), finite(made.index[key]), f"index.json: {key}"
        )
    found += claim_mismatches(opened.folder / "claims.json", made.claims)
    return made, found


def rescored(record: JsonObject, opened: Opened) -> tuple[Settings, list[str]]:
    """Return metrics.json with all that logits and labels decide, and the mismatches."""
    name = record["files"]["metrics"]
    metrics = read_json(opened.place.path(name))
    found: list[str] = []
    with np.load(opened.place.path(record["files"]["predictions"])) as arrays:
        for part in PARTS:
            scores = score(
                arrays[f"{part}_logits"], arrays[f"{part}_labels"], metrics["classes"]
            )
            computed = finite(scores.model_dump())
            stored = {key: metrics["parts"][part].get(key) for key in computed}
            found += differences(stored, computed, f"{name}: parts.{part}")
            metrics["parts"][part] |= computed
    return metrics, found


def search_mismatches(opened: Opened) -> Iterator[str]:
    """Yield where the order of a search's points is not what the histories give."""
    place = opened.place
    for name in opened.index["searches"].values():
        if not name or not place.path(name).is_file():
            continue
        record = read_json(place.path(name))
        runs = [
            {
                "point": run["variant"],
                "seed": run["seed"],
                "history": place.path(run["files"]["history"]),
                "description": place.path(run["files"]["description"]),
            }
            for run in opened.index["runs"]
            if run["kind"] == "point"
        ]
        rows = [
            summarise(one["point"], one["settings"], runs) for one in record["ranking"]
        ]
        ranking = rank(rows, Rule(**record["rule"]))
        computed = finite([point.model_dump() for point in ranking])
        yield from differences(record["ranking"], computed, f"{name}: ranking")
