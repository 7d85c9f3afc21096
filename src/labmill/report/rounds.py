"""Rule decide: which variants get more seeds after a round, by the report's own verdicts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.core.logs import log
from labmill.core.records import Provenance, Record
from labmill.report.claims.findings import tested
from labmill.report.results import StudyResults
from labmill.report.runs import as_declared, read_runs, results_folder
from labmill.stats.margins import Verdict


class Question(Record):
    """One comparison and its verdict after a round."""

    id: str
    metric: str
    verdict: Verdict
    p_adjusted: float | None


class Round(Record):
    """round_<k>.json: the verdicts after a round.

    Attributes:
        seeds: variant → number of its seeds so far.
        undecided: the variants of undecided questions, which get more seeds.
    """

    round: int
    seeds: dict[str, int]
    questions: list[Question]
    undecided: list[str]
    provenance: Provenance


def decide(
    job: Mapping[str, Any], index: Sequence[Mapping[str, Any]], *, record: Path
) -> None:
    """Write the verdicts after a round, and which variants get more seeds.

    job: the job's record, `settings` being the statistical part of the study; index: the
    plan's list of runs so far.
    """
    study = as_declared(job["settings"])
    folder = results_folder(index, record.parent)
    rows = read_runs(index, folder, further=study["metrics"])
    results = StudyResults(study=study, rows=rows, folder=folder)
    outcomes = tested(results)
    undecided = {
        variant
        for outcome in outcomes
        if outcome.test.verdict is Verdict.UNDECIDED
        for variant in outcome.comparison.rows
    }
    made = Round(
        round=study["round"],
        seeds={variant: len(runs) for variant, runs in results.runs.items()},
        questions=[
            Question(
                id=outcome.comparison.id,
                metric=outcome.column,
                verdict=outcome.test.verdict,
                p_adjusted=outcome.test.p_adjusted,
            )
            for outcome in outcomes
        ],
        undecided=[variant for variant in results.runs if variant in undecided],
        provenance=Provenance(**job),
    )
    made.write(record)
    log.info("round %d: undecided: %s", made.round, ", ".join(made.undecided) or "none")
