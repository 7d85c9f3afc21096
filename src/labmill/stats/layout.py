"""Variants × seeds: the error of any contrast, each variant with its own scatter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from labmill.stats.moderation import satterthwaite
from labmill.stats.prior import Floats, fit_prior, moderate, own_share
from labmill.stats.shared_seeds import (
    residual_variances,
    seed_concordance,
    shared_seed_freedom,
)

# A spread below this share of the largest value is rounding.
ROUNDING = 1e-10
# Seeds count as shared effects where chance explains their concordance this rarely.
SHARED_ALPHA = 0.01

Seeds = Literal["auto", "independent", "shared"]


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of variants' means, such as a difference of two.

    Attributes:
        weights: variant → weight; they add up to 0.
        parts: the contrasts that this one is the average of, if any.
    """

    weights: Mapping[str, float]
    parts: tuple["Contrast", ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError if the weights are all 0 or do not add up to 0."""
        largest = max(map(abs, self.weights.values()), default=0.0)
        if largest == 0 or abs(sum(self.weights.values())) > 1e-9 * largest:
            raise ValueError(
                f"Contrast: weights {dict(self.weights)} must add up to 0, not all 0"
            )


def pair(first: str, second: str) -> Contrast:
    """Return the contrast first minus second."""
    return Contrast({first: 1.0, second: -1.0})


def average(contrasts: Sequence[Contrast]) -> Contrast:
    """Return the average of contrasts; its error is at most its parts' largest."""
    weights: dict[str, float] = {}
    for one in contrasts:
        for variant, weight in one.weights.items():
            weights[variant] = weights.get(variant, 0.0) + weight / len(contrasts)
    kept = {v: w for v, w in weights.items() if abs(w) > 1e-12}
    return Contrast(kept, tuple(contrasts) if len(contrasts) > 1 else ())


@dataclass(frozen=True)
class Spread:
    """The squared error and degrees of freedom of one contrast, by each test.

    Attributes:
        estimate: the contrast of the means.
        n: variant → number of seeds used.
        own: squared error and freedom of each own test; of several, the one
            with the largest p counts.
        moderated: the same with moderated variances.
        share: weight of the variants' own variances in `moderated`, the largest.
        borrowed: whether the own spread is 0, so that only `moderated` can be used.
        overlap: the layout's.
    """

    estimate: float
    n: Mapping[str, int]
    own: tuple[tuple[float, float], ...]
    moderated: tuple[float, float]
    share: float
    borrowed: bool
    overlap: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Values of all variants of a study over seeds.

    Args:
        values: variant → seed → value. Variants may have different seeds.
        seeds: "independent": one variant's seed has nothing to do with another's
            (Welch). "shared": a seed moves all variants together (its effect is
            removed, and the paired t-test is the guard). "auto": shared if Friedman's
            test shows it at 1 %.
        overlap: images held out per training image, where every seed has its own
            split. The training sets then overlap, so the variance of a mean of n runs is
            (1/n + overlap) of a run's and not 1/n (Nadeau & Bengio 2003, equation 9).

    Raises:
        ValueError: If a value is not finite or a variant has none.
    """

    values: Mapping[str, Mapping[int, float]]
    seeds: Seeds = "auto"
    overlap: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        for variant, by_seed in self.values.items():
            numbers = np.array(list(by_seed.values()), dtype=np.float64)
            if not len(numbers) or not np.isfinite(numbers).all():
                raise ValueError(
                    f"Layout: {variant} needs finite values, at least one; "
                    f"found {numbers.tolist()}"
                )
        if self.seeds not in ("auto", "independent", "shared"):
            raise ValueError(
                f"Layout: seeds is {self.seeds!r}; allowed: auto, independent, shared"
            )

    @classmethod
    def of_rows(
        cls, rows: Iterable[Iterable[float]], seeds: Seeds = "auto"
    ) -> "Layout":
        """Build a layout from rows of values; variants are named "0", "1" and so on."""
        values = {
            str(i): dict(enumerate(map(float, row))) for i, row in enumerate(rows)
        }
        return cls(values, seeds)

    @cached_property
    def repeated(self) -> list[str]:
        """The variants with two seeds or more."""
        return [v for v, by_seed in self.values.items() if len(by_seed) > 1]

    @cached_property
    def concordance(self) -> float:
        """The p value of Friedman's test over the seeds that all variants have."""
        common = self.common(self.repeated)
        if len(common) < 3:
            return 1.0
        rows = [[self.values[v][seed] for seed in common] for v in self.repeated]
        return float(seed_concordance(np.array(rows, dtype=np.float64)))

    @property
    def shared(self) -> bool:
        """Whether the seeds' effects are removed."""
        if self.seeds == "auto":
            return self.concordance <= SHARED_ALPHA
        return self.seeds == "shared" and len(self.repeated) > 1

    def common(self, variants: Sequence[str]) -> list[int]:
        """Return the seeds that all of these variants have, in order."""
        sets = [set(self.values[v]) for v in variants]
        return sorted(set.intersection(*sets)) if sets else []

    @cached_property
    def variances(self) -> dict[str, tuple[float, float]]:
        """Variance and degrees of freedom of each variant with two seeds or more."""
        if self.shared:
            return self._residual_variances()
        found = {}
        for variant in self.repeated:
            numbers = np.array(list(self.values[variant].values()), dtype=np.float64)
            variance = self._unrounded(float(numbers.var(ddof=1)), numbers)
            found[variant] = (variance, len(numbers) - 1.0)
        return found

    @cached_property
    def prior(self) -> tuple[dict[str, float], float]:
        """The prior's degrees of freedom by variant and its variance (`fit_prior`).

        A variant with 0 degrees of freedom scatters more than the others.
        """
        if not self.variances:
            return {}, 0.0
        variances, freedom = np.array(list(self.variances.values())).T
        d0, s0_squared = fit_prior(variances, freedom)
        return dict(zip(self.variances, d0.tolist(), strict=True)), float(s0_squared)

    @property
    def outlying(self) -> tuple[str, ...]:
        """The variants that scatter more than the others."""
        d0 = self.prior[0]
        return tuple(v for v, one in d0.items() if one == 0) if len(d0) > 1 else ()

    @cached_property
    def moderated(self) -> dict[str, tuple[float, float, float]]:
        """Moderated variance, its freedom and the share of the own variance."""
        if not self.variances:
            return {}
        variances, freedom = np.array(list(self.variances.values())).T
        d0 = np.array(list(self.prior[0].values()))
        values, total = moderate(variances, freedom, d0, np.asarray(self.prior[1]))
        rows = np.stack([values, total, own_share(freedom, d0)], axis=1).tolist()
        return {v: (a, b, c) for v, (a, b, c) in zip(self.variances, rows, strict=True)}

    def spread(self, contrast: Contrast) -> Spread | None:
        """Return the errors of one contrast; None where seeds are too few.

        Raises:
            KeyError: If the layout lacks a variant of the contrast.
        """
        variants = list(contrast.weights)
        weights = np.array(list(contrast.weights.values()))
        common = self.common(variants)
        if any(v not in self.variances for v in variants):
            return None
        if self.shared and len(common) < 2:
            return None
        rows = [
            [self.values[v][s] for s in (common if self.shared else self.values[v])]
            for v in variants
        ]
        counts = np.array([len(row) for row in rows], dtype=np.float64)
        estimate = float(weights @ [np.mean(row) for row in rows])
        scale = weights**2 * (1 / counts + self.overlap)
        own, freedom = np.array([self.variances[v] for v in variants]).T
        shrunk, total, share = np.array([self.moderated[v] for v in variants]).T
        most = sum(df for _, df in self.variances.values())
        tests = [satterthwaite(scale * own, freedom)]
        if self.shared:
            by_seed = weights @ np.array(rows)
            squared = self._unrounded(float(by_seed.var(ddof=1)), np.array(rows))
            squared *= 1 / counts[0] + self.overlap
            tests.append((np.asarray(squared), np.asarray(counts[0] - 1)))
        moderated = satterthwaite(scale * shrunk, total, most)
        known = [(float(a), float(b)) for a, b in tests if a > 0]
        return Spread(
            estimate=estimate,
            n=dict(zip(variants, (len(row) for row in rows), strict=True)),
            own=tuple(known) or ((float(moderated[0]), float(moderated[1])),),
            moderated=(float(moderated[0]), float(moderated[1])),
            share=float(share.max()),
            borrowed=not known,
            overlap=self.overlap,
        )

    def _residual_variances(self) -> dict[str, tuple[float, float]]:
        """Variances once the seeds' effects are removed."""
        rows = {v: self.values[v] for v in self.repeated}
        every = np.array([x for row in rows.values() for x in row.values()])
        return {
            v: (
                self._unrounded(variance, every),
                float(shared_seed_freedom(len(rows[v]), len(rows))),
            )
            for v, variance in residual_variances(rows).items()
        }

    @staticmethod
    def _unrounded(variance: float, values: Floats) -> float:
        """Return the variance, 0 where it is rounding only."""
        limit = ROUNDING * float(np.abs(values).max())
        return variance if variance > limit**2 else 0.0
