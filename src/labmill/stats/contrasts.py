"""One error model for all comparisons over seeds: a family of contrasts, corrected.

Method and simulated error rates: docs/statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from labmill.stats.hypothesis_test import ContrastTest, Images, Status
from labmill.stats.images import ImageError
from labmill.stats.layout import Contrast, Layout, Spread, pair
from labmill.stats.margins import MARGIN, Verdict, seeds_to_decide, verdict
from labmill.stats.moderation import corrected
from labmill.stats.prior import Floats


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The result of one contrast.

    Attributes:
        estimate: the contrast of the means.
        n: variant → number of seeds used.
        error, freedom: of the contrast's own test.
        low, high: its own 95 % interval, for this contrast alone.
        p: of that test.
        matched_low, matched_high: the interval that matches the corrected test: it
            excludes 0 exactly where `shown`.
        p_adjusted: corrected over the family.
        comparisons: the number m that the matched interval is corrected for.
        images: number of test images if their error is included, else None.

    Without a test (`status`), errors, intervals and p values are None.
    """

    contrast: Contrast
    status: Status
    estimate: float
    n: dict[str, int]
    margin: float
    alpha: float
    comparisons: int
    shown: bool = False
    error: float | None = None
    freedom: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    matched_low: float | None = None
    matched_high: float | None = None
    p_adjusted: float | None = None
    images: int | None = None
    spread: Spread | None = None
    image_error: ImageError | None = None

    @property
    def verdict(self) -> Verdict:
        """The verdict from the matched interval and the margin."""
        return verdict(
            self.matched_low, self.matched_high, margin=self.margin, shown=self.shown
        )

    @cached_property
    def seeds_to_decide(self) -> int | None:
        """About how many seeds would decide; None if decided, untested or too many."""
        if self.spread is None or self.verdict is not Verdict.UNDECIDED:
            return None
        fixed = self.image_error.variance if self.image_error else 0.0

        n = max(self.n.values())
        # What more seeds reduce; the rest comes from training sets that overlap.
        share = 1 / (1 + self.spread.overlap * n)

        def needed(error: tuple[float, float], comparisons: int) -> float:
            found = seeds_to_decide(
                self.estimate,
                error=(share * error[0]) ** 0.5,
                freedom=error[1],
                n=n,
                margin=self.margin,
                alpha=self.alpha / comparisons,
                constant=fixed + (1 - share) * error[0],
            )
            return np.inf if found is None else float(found)

        own, m = max(self.spread.own), self.comparisons
        moderated = max(needed(self.spread.moderated, m), needed(own, 1))
        seeds = min(moderated, needed(own, m))
        return int(seeds) if np.isfinite(seeds) else None


@dataclass(frozen=True, kw_only=True)
class Family:
    """All contrasts that are corrected together.

    Attributes:
        comparisons: tested contrasts not shown (at least 1): what all matched
            intervals are corrected for.
        shared: whether the seeds' effects were removed.
        outlying: variants that scatter more than the others; only their own spread
            counts for them.
        prior: standard deviation of the common prior.
    """

    results: tuple[Comparison, ...]
    comparisons: int
    shared: bool
    outlying: tuple[str, ...]
    prior: float


def compare(
    layout: Layout,
    contrasts: Sequence[Contrast] | None = None,
    *,
    level: float = 0.95,
    margin: float = MARGIN,
    images: Images | None = None,
    share: float = 1.0,
) -> Family:
    """Test a family of contrasts of one layout.

    Each contrast has an own test (Welch's; where seeds are shared, the more cautious of
    the two-way residuals' and the paired t-test) and a test with moderated variances.
    `moderation.corrected` combines them for m comparisons; m starts at the number of
    contrasts and decreases with each one shown, as in Holm (1979). All matched
    intervals are corrected for the m that is left.

    Args:
        layout: values of all variants and seeds.
        contrasts: the declared family; None for all pairs.
        level: of intervals and of the family's test.
        margin: smallest difference of practical importance.
        images: the test images' error of a contrast (`images.image_error`); results are
            then about new images of this kind. None: about these test images.
        share: of the error 1 − level that this look at the results may spend
            (`looks.Look`); p values are divided by it, so that a difference is
            shown where the corrected p reaches 1 − level, as without looks.
    """
    if contrasts is None:
        contrasts = [pair(a, b) for a, b in combinations(layout.values, 2)]
    tests = [ContrastTest.of(layout, one, images) for one in contrasts]
    index = [i for i, test in enumerate(tests) if test.testable]
    used, alpha = [tests[i] for i in index], (1 - level) * share
    adjusted, m = _step_down(used, alpha)
    p_values = dict(zip(index, adjusted, strict=True))
    return Family(
        results=tuple(
            _result(test, p_values.get(i), m, alpha, margin, share)
            for i, test in enumerate(tests)
        ),
        comparisons=m,
        shared=layout.shared,
        outlying=layout.outlying,
        prior=layout.prior[1] ** 0.5,
    )


def _step_down(tests: Sequence[ContrastTest], alpha: float) -> tuple[list[float], int]:
    """Return the adjusted p of each test, and the comparisons left at alpha."""
    width = 1 + max((len(test.parts) for test in tests), default=0)
    own, moderated, share = (np.ones((len(tests), width)) for _ in range(3))
    for row, test in enumerate(tests):
        members = [test, *(test.parts or [test])]
        members += members[-1:] * (width - len(members))
        for column, one in enumerate(members[:width]):
            own[row, column], moderated[row, column] = one.p(test.estimate)
            share[row, column] = one.share

    def at(m: int) -> Floats:
        p = corrected(own, moderated, share, m)
        return np.minimum(p[:, 0], p[:, 1:].max(axis=1)) if width > 1 else p[:, 0]

    adjusted, reached = np.ones(len(tests)), 0.0
    left = np.ones(len(tests), dtype=bool)
    for m in range(len(tests), 0, -1):
        p = np.where(left, at(m), np.inf)
        smallest = int(p.argmin())
        reached = max(reached, float(p[smallest]))
        adjusted[smallest], left[smallest] = reached, False
    return adjusted.tolist(), max(1, int((adjusted > alpha).sum()))


def _result(
    test: ContrastTest,
    p_adjusted: float | None,
    m: int,
    alpha: float,
    margin: float,
    share: float,
) -> Comparison:
    """Return the public result of one test."""
    if p_adjusted is None or test.spread is None:
        return Comparison(
            contrast=test.contrast,
            status=test.status,
            estimate=test.estimate,
            n=test.n,
            margin=margin,
            alpha=alpha,
            comparisons=m,
        )
    p, _ = test.p(test.estimate)
    half, matched = test.half_width(alpha, 1), test.half_width(alpha, m)
    squared, freedom = max(test.own)
    return Comparison(
        contrast=test.contrast,
        status=test.status,
        estimate=test.estimate,
        n=test.n,
        margin=margin,
        alpha=alpha,
        comparisons=m,
        shown=p_adjusted <= alpha,
        error=squared**0.5,
        freedom=freedom,
        low=test.estimate - half,
        high=test.estimate + half,
        p=p,
        matched_low=test.estimate - matched,
        matched_high=test.estimate + matched,
        p_adjusted=min(p_adjusted / share, 1.0),
        images=test.image.images if test.image else None,
        spread=test.spread,
        image_error=test.image,
    )
