"""Runs that diverged or failed."""

from collections import Counter

from labmill.report.claims.claim import Claim, Kind, Phrase, Statement, capital, claim
from labmill.report.results import StudyResults
from labmill.report.runs import Run, stage_of
from labmill.report.text import listed, number_of

LEFT_OUT = " Means and comparisons leave it out."
DIVERGED = Statement(
    "{label:name}, seed {seed}{stage}, diverged: its loss was not a finite number after "
    "{epochs:epochs}." + LEFT_OUT
)
FAILED = Statement(
    "{label:name}, seed {seed}{stage}, has no result: {reason:text}." + LEFT_OUT
)
ALL_WELL = Statement("{runs} finished; {none} diverged or failed{untrained}.")
UNTRAINED = ", but {n} of {total} learned too little"
# What a run is called where all are counted: by its kind, a variant's by its stage.
NOUNS = ("training", "pruning step", "control", "pretext training", "brief training")
KINDS = {"edit": "brief training", "pretext": "pretext training"}


def failure_claims(results: StudyResults) -> list[Claim]:
    """Return every run that diverged or left no files, or that there is none."""
    runs = [row for row in results.rows if row.cells["kind"] != "point"]
    if lost := [row for row in runs if not row.usable]:
        return [lost_claim(row) for row in lost]
    counted = Counter(map(noun, runs))
    untrained = sum(map(len, results.untrained.values()))
    return [
        claim(
            ALL_WELL,
            "all_well",
            [],
            kind=Kind.END,
            n=len(runs),
            runs=everything(counted),
            none="it never" if len(runs) == 1 else "none",
            untrained=Phrase(UNTRAINED, n=untrained, total=counted["training"])
            if untrained
            else None,
        )
    ]


def everything(counted: Counter[str]) -> str:
    """Return how many runs of each kind there are: `All 15 trainings and 9 controls`."""
    kinds = [
        number_of(n, name) if n > 1 else f"the {name}"
        for name in NOUNS
        if (n := counted[name])
    ]
    return capital(listed(kinds) if kinds[0][0] == "t" else f"all {listed(kinds)}")


def noun(row: Run) -> str:
    """Return what a run is called where all are counted."""
    kind, stage = row.cells["kind"], stage_of(row.stage)[1]
    if kind != "variant":
        return KINDS[kind]
    if stage == "dense":
        return "training"
    return "pruning step" if stage.isdigit() else "control"


def lost_claim(row: Run) -> Claim:
    """Return why a run has no usable result."""
    cells, diverged = row.cells, row.cells["status"] == "diverged"
    return claim(
        DIVERGED if diverged else FAILED,
        f"{cells['status']}:{row.variant}:{row.seed}:{row.stage}",
        [row.input("epochs")] if diverged else [],
        kind=Kind.END,
        about=row.variant,
        label=cells["label"],
        seed=row.seed,
        stage=None
        if row.stage == "dense"
        else Phrase(", {stage:name}", stage=row.stage),
        epochs=cells.get("epochs", 0),
        reason=str(cells["reason"]).rstrip("."),
    )
