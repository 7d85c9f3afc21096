"""Runs that learned too little."""

from collections.abc import Mapping

from labmill.report.claims.claim import Claim, Kind, Phrase, Statement, claim
from labmill.report.claims.comparison import ACCURACY
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults
from labmill.report.runs import Run
from labmill.stats.runs import RunCheck, Untrained

UNTRAINED = Statement(
    "{estimate} of {n} runs of {label:name} learned too little: {runs:list.9}. {label:name} "
    "is in no comparison.{others}"
)
ALL = Statement(
    "All {n} runs of {label:name} learned too little: {runs:list.9}. {label:name} is "
    "in no comparison."
)
ONLY = Statement(
    "The only run of {label:name} learned too little: {runs:list}. {label:name} is in no "
    "comparison."
)
GUESSING = "seed {seed} with {accuracy:percent} (guessing: {guessing:percent})"
FEW_CLASSES = (
    "seed {seed} with {accuracy:percent} (it predicts {predicted} of {classes} classes)"
)
OTHERS = " The other {n:seeds}: {list:list.9}."


def untrained_claims(results: StudyResults) -> list[Claim]:
    """Return each variant of which a run learned too little."""
    return [
        untrained_claim(results, variant, found)
        for variant, found in results.untrained.items()
    ]


def untrained_claim(
    results: StudyResults, variant: str, found: Mapping[int, RunCheck]
) -> Claim:
    """Return which runs of a variant learned too little, and the accuracies of the others."""
    runs = results.usable(variant, ACCURACY)
    others = [run for seed, run in runs.items() if seed not in found]
    images = results.test_images(variant)
    return claim(
        UNTRAINED if others else ALL if len(runs) > 1 else ONLY,
        f"untrained:{variant}",
        [run.source("metrics", "parts.test.confusion") for run in runs.values()],
        kind=Kind.END,
        about=variant,
        n=len(runs),
        estimate=len(found),
        digits=decimals(images, 1),
        label=results.label(variant),
        runs=[described(seed, check) for seed, check in found.items()],
        others=trained(others),
    )


def described(seed: int, check: RunCheck) -> Phrase:
    """Return one run that learned too little."""
    few = check.untrained is Untrained.FEW_CLASSES
    return Phrase(
        FEW_CLASSES if few else GUESSING,
        seed=seed,
        accuracy=check.accuracy,
        guessing=check.guessing,
        predicted=check.predicted,
        classes=check.classes,
    )


def trained(runs: list[Run]) -> Phrase | None:
    """Return the accuracies of a variant's other runs."""
    values = [Phrase("{value:percent}", value=run.cells[ACCURACY]) for run in runs]
    return Phrase(OTHERS, n=len(values), list=values) if values else None
