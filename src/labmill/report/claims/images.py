"""Two trained networks on the same test images: what one seed can show."""

from collections.abc import Iterable
from typing import Any

from labmill.report.claims.claim import Claim, Test, TestedStatement, claim
from labmill.report.claims.comparison import ACCURACY, Comparison, Evidence, correct
from labmill.report.number_format import decimals
from labmill.report.runs import Run
from labmill.report.text import named
from labmill.stats.margins import verdict
from labmill.stats.significance import ImageComparison, holm, paired_images

MCNEMAR = "McNemar's exact test over test images"
NETWORKS = (
    "On these {n:number} test images, for these two trained networks (seed {seed}), "
)
COUNTS = (
    " ({ends:interval}; {only_first:images} only the first gets right, {only_second} only "
    "the second)."
)
ONE_SEED = " Other seeds may give another result."
IMAGES = TestedStatement(
    higher=NETWORKS
    + "{first} has a test accuracy {estimate:points} higher than {second}"
    + COUNTS
    + ONE_SEED,
    lower=NETWORKS
    + "{first} has a test accuracy {estimate:points} lower than {second}"
    + COUNTS
    + ONE_SEED,
    equal=NETWORKS
    + "{first} and {second} have practically equal test accuracies"
    + COUNTS
    + ONE_SEED,
    undecided=NETWORKS
    + "it is undecided whether {first} and {second} differ in test accuracy"
    + COUNTS,
    untested="There are too few test images to compare {first} and {second}.",
)


def image_claims(
    evidence: Evidence, comparisons: Iterable[Comparison], topic: str
) -> list[Claim]:
    """Compare single networks on the test images, Holm over the comparisons."""
    found = [
        (one, seeds[0], [evidence.runs[row][seeds[0]] for row in pair])
        for one in comparisons
        if evidence.has(one) and (seeds := evidence.seeds(one))
        for pair in one.pairs
    ]
    answers = [[correct(run)[0] for run in runs] for _, _, runs in found]
    tests = image_tests(answers, f"{topic}: single networks", evidence.margin)
    claims = []
    for (one, seed, runs), (test, counted) in zip(found, tests, strict=True):
        first, second = map(stage_label, runs)
        claims.append(
            claim(
                IMAGES,
                ":".join([one.id, "images", *(run.variant for run in runs)]),
                [run.source("predictions", "test_logits") for run in runs],
                test=test,
                about=one.about,
                contrast=one.describe(ACCURACY),
                digits=decimals(test.n, 1),
                seed=seed,
                first=first,
                second=second,
                only_first=counted.only_first,
                only_second=counted.only_second,
            )
        )
    return claims


def image_tests(
    answers: Iterable[Any], family: str, margin: float
) -> list[tuple[Test, ImageComparison]]:
    """Return McNemar's tests of pairs of networks, Holm's correction over all.

    The interval is corrected for the comparisons that Holm's method leaves. Its method
    differs from the exact test's, so it is extended to 0 where the test shows nothing,
    and nothing is shown where it contains 0.
    """
    pairs = list(answers)
    adjusted = holm([paired_images(*pair).p for pair in pairs])
    left = max(1, sum(p is not None and p > 0.05 for p in adjusted))
    tests = []
    for pair, p_adjusted in zip(pairs, adjusted, strict=True):
        c = paired_images(*pair, level=1 - 0.05 / left)
        low, high = c.low or 0.0, c.high or 0.0
        shown = p_adjusted is not None and p_adjusted <= 0.05 and low * high > 0
        if not shown:
            low, high = min(low, 0.0), max(high, 0.0)
        test = Test(
            name=MCNEMAR,
            n=c.n,
            family=family,
            estimate=c.estimate,
            low=low,
            high=high,
            p=c.p,
            p_adjusted=p_adjusted,
            margin=margin,
            verdict=verdict(low, high, margin=margin, shown=shown),
        )
        tests.append((test, c))
    return tests


def stage_label(row: Run) -> str:
    """Return a network's name: its variant's, with the stage where it was pruned."""
    label = named(row.cells["label"])
    return label if row.stage == "dense" else f"{label} after {named(row.stage)}"
