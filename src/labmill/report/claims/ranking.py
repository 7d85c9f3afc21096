"""The candidates in order, and the verdict on any two of them: one for each pair."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from labmill.evaluation.all_pairs import TUKEY, AllPairs, all_pairs
from labmill.evaluation.statistics import LEAST_SEEDS, verdict
from labmill.report.claims.evidence import Contrast, Evidence, Outcome, compare_seeds
from labmill.report.claims.template import Test
from labmill.report.claims.words import p_value

ACCURACY = "test_accuracy"


@dataclass(frozen=True)
class Ranking:
    """Variants by mean test accuracy, the first first.

    Attributes:
        means: variant → mean over `seeds`.
        seeds: those that all of them finished.
        left_out: candidates with too few seeds in common with the others.
        layout: their accuracies, in the order of `means`; None where nobody can be
            ranked (and `seeds` is empty, and `means` are over each variant's own).
    """

    means: Mapping[str, float]
    seeds: Sequence[int]
    left_out: Sequence[str]
    layout: AllPairs | None

    def outcome(self, one: Contrast) -> Outcome | None:
        """Tukey's test on a contrast of two that stand in the ranking, else None."""
        order = list(self.means)
        if self.layout is None or len(one.variants) != 1:
            return None
        if not set(one.variants[0]) <= set(order):
            return None
        pair = self.layout.compare(*map(order.index, one.variants[0]))
        made = pair.test
        if made == TUKEY:
            made += f" of all {self.layout.pairs} pairs"
        return Outcome(
            replace(one, pairs={seed: one.pairs[seed] for seed in self.seeds}),
            ACCURACY,
            Test(
                name=f"{pair.test} over seeds",
                n=pair.n,
                family="all pairs of variants",
                estimate=pair.estimate,
                low=pair.low,
                high=pair.high,
                p=pair.p,
                p_adjusted=pair.p_adjusted,
                verdict=verdict(
                    pair.p_adjusted, estimate=pair.estimate, n_seeds=pair.n
                ),
            ),
            made=made,
            how=f"{made}, {p_value(pair.p_adjusted)}",
            least=None,
        )


def ranking(evidence: Evidence) -> Ranking:
    """All candidates that have at least three seeds in common.

    The one with the fewest seeds is left out until that is so. Where it comes to that
    for no two of them, nobody is left out and nobody ranked.
    """
    runs = {v: evidence.usable(v, ACCURACY) for v in evidence.ranked}
    kept = list(runs)
    while kept and len(common(runs, kept)) < LEAST_SEEDS:
        kept.remove(min(reversed(kept), key=lambda variant: len(runs[variant])))
    if len(kept) < 2:
        means = {
            v: float(np.mean([row.cells[ACCURACY] for row in rows.values()]))
            for v, rows in runs.items()
            if rows
        }
        return Ranking(ordered(means), [], [], None)
    seeds = common(runs, kept)
    values = {v: [runs[v][seed].cells[ACCURACY] for seed in seeds] for v in kept}
    means = ordered({v: float(np.mean(of)) for v, of in values.items()})
    return Ranking(
        means,
        seeds,
        [v for v in runs if v not in kept],
        all_pairs([values[v] for v in means]),
    )


def asked(study: Mapping[str, Any]) -> set[frozenset[str]]:
    """The pairs of variants whose test accuracies a question of the study compares."""
    return {
        frozenset(pair)
        for question in study["compare"].values()
        if question["metric"] == ACCURACY
        for levels in [list(question["levels"].values())]
        for others in levels[1:]
        for pair in zip(others, levels[0], strict=False)
    }


def common(runs: Mapping[str, Mapping[int, object]], kept: Sequence[str]) -> list[int]:
    """The seeds that all of `kept` finished."""
    first, *others = (runs[variant] for variant in kept)
    return [seed for seed in first if all(seed in one for one in others)]


def ordered(means: Mapping[str, float]) -> dict[str, float]:
    """The same, the largest first."""
    return dict(sorted(means.items(), key=lambda item: -item[1]))


def judge(
    placed: Ranking, contrasts: Sequence[Contrast], column: str, family: str
) -> list[Outcome]:
    """A verdict on each contrast, all of which have seeds.

    Two ranked variants have one verdict wherever they are compared in test accuracy:
    Tukey's. The other contrasts have paired t-tests, Holm's correction over them.
    """
    known = {
        one.id: found
        for one in contrasts
        if column == ACCURACY and (found := placed.outcome(one))
    }
    rest = [one for one in contrasts if one.id not in known]
    known |= {
        o.contrast.id: o for o in compare_seeds(rest, [column] * len(rest), family)
    }
    return [known[one.id] for one in contrasts]
