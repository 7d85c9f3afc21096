"""Comparisons of two sides over seeds, and their tests."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from labmill.report.claims.claim import Details, Kind, Test
from labmill.report.runs import Run
from labmill.stats import contrasts
from labmill.stats.hypothesis_test import Status
from labmill.stats.images import ImageError, image_error
from labmill.stats.layout import Contrast, Layout, average, pair
from labmill.stats.looks import Look
from labmill.stats.margins import verdict
from labmill.stats.significance import LEAST_SEEDS
from labmill.study.metrics import metric

ACCURACY = "test_accuracy"
SEEDS_TEST = "moderated t-test over seeds"
# What is compared, whichever side is first.
Key = tuple[tuple[str, float], ...]
# Row's name → seed → run.
Runs = Mapping[str, Mapping[int, Run]]


@dataclass(frozen=True)
class Comparison:
    """First against second; a mean where there are several pairs.

    Attributes:
        id: of the claim.
        first, second: names of the two sides, as Markdown.
        pairs: names of the compared rows of the evidence: variants, or pruned networks.
        kind, about: of the claim.
        of_variants: whether the pairs are variants as trained.
    """

    id: str
    first: str
    second: str
    pairs: Sequence[tuple[str, str]]
    kind: Kind = Kind.DETAIL
    about: str | None = None
    of_variants: bool = True

    @property
    def rows(self) -> list[str]:
        """The names of all rows of both sides, each once."""
        return list(dict.fromkeys(name for pair in self.pairs for name in pair))

    @cached_property
    def contrast(self) -> Contrast:
        """The same for the test."""
        return average([pair(*one) for one in self.pairs])

    @property
    def sign(self) -> int:
        """1 or −1: two comparisons of equal `key` differ in direction as in sign."""
        weights = self.contrast.weights
        return 1 if weights[min(weights)] > 0 else -1

    @property
    def key(self) -> Key:
        """What is compared, whichever side is first."""
        weights = self.contrast.weights.items()
        return tuple(sorted((row, round(self.sign * w, 9)) for row, w in weights))

    def describe(self, column: str) -> dict[str, Any] | None:
        """Return the two sides for claims.json, where they are variants."""
        if not self.of_variants:
            return None
        pairs = [list(one) for one in self.pairs]
        sides = {"first": self.first, "second": self.second}
        return {**sides, "pairs": pairs, "metric": column}


@dataclass(frozen=True)
class Outcome:
    """A comparison and its test in one metric; `runs`: all runs of both sides."""

    comparison: Comparison
    column: str
    test: Test
    runs: Sequence[Run]

    def inputs(self) -> list[dict[str, str]]:
        """Return file and field of every number."""
        return [run.input(self.column) for run in self.runs]


@dataclass(frozen=True, eq=False)
class Evidence:
    """One metric of several networks over seeds.

    Attributes:
        runs: the runs that have the metric.
        column: the metric.
        margin: smallest difference that matters, 0 where the metric has none.
        overlap: see `Layout`.
        look: which look at growing results it is; None where seeds were fixed.
    """

    runs: Runs
    column: str
    margin: float
    overlap: float = 0.0
    look: Look | None = None

    @cached_property
    def layout(self) -> Layout:
        """The values of all rows."""
        return Layout(
            {
                name: {seed: float(run.cells[self.column]) for seed, run in by.items()}
                for name, by in self.runs.items()
                if by
            },
            # Runs of one seed share a split: it moves all variants together.
            seeds="shared" if self.overlap else "auto",
            overlap=self.overlap,
        )

    def error_share(self, comparisons: int) -> float:
        """Return the share of the error that so many comparisons spend at this look."""
        return self.look.share(0.05 / max(1, comparisons)) if self.look else 1.0

    def has(self, one: Comparison) -> bool:
        """Return True if every row of a comparison has a run."""
        return all(self.runs.get(row) for row in one.rows)

    def seeds(self, one: Comparison) -> list[int]:
        """Return the seeds that all rows of a comparison have."""
        return self.layout.common(one.rows)

    def fewest(self, one: Comparison) -> int:
        """Return the number of seeds of the row that has the fewest."""
        if self.layout.shared:
            return len(self.seeds(one))
        return min(len(self.runs[row]) for row in one.rows)

    def estimate(self, one: Comparison) -> float:
        """Return the difference of the means."""
        values, weights = self.layout.values, one.contrast.weights
        return sum(
            w * float(np.mean([*values[v].values()])) for v, w in weights.items()
        )

    def differences(self, one: Comparison) -> dict[str, float]:
        """Return first minus second by seed; nothing where rows differ in their seeds."""
        values, pairs = self.layout.values, one.pairs
        if not self.layout.shared and len({frozenset(values[v]) for v in one.rows}) > 1:
            return {}
        return {
            str(seed): float(
                np.mean([values[a][seed] - values[b][seed] for a, b in pairs])
            )
            for seed in self.seeds(one)
        }

    def image_error(self, contrast: Contrast) -> ImageError | None:
        """Return the test images' error; None where runs differ in their images."""
        if self.overlap and len({*map(test_images, self._runs(contrast))}) > 1:
            return None
        rows = {name: self._right(name) for name in contrast.weights}
        if len({right.shape[1] for right in rows.values()}) > 1:
            return None
        return image_error(contrast.weights, rows)

    def _runs(self, contrast: Contrast) -> list[Run]:
        return [run for name in contrast.weights for run in self.runs[name].values()]

    def _right(self, name: str) -> np.ndarray:
        """Return which images each of a row's runs gets right, bool (seeds, images)."""
        if name not in self._known:
            runs = self.runs[name].values()
            self._known[name] = np.stack([correct(run)[0] for run in runs])
        return self._known[name]

    @cached_property
    def _known(self) -> dict[str, np.ndarray]:
        return {}


@dataclass(frozen=True, eq=False)
class TestedFamily:
    """Comparisons that are corrected together.

    Attributes:
        evidence: the networks.
        name: of the family.
        results: each comparison on new images of the kind, and on these test images.
        signs: the direction in which each was tested.
    """

    __test__ = False

    evidence: Evidence
    name: str
    results: Mapping[Key, tuple[contrasts.Comparison, contrasts.Comparison]]
    signs: Mapping[Key, int]

    @classmethod
    def of(
        cls, evidence: Evidence, comparisons: Iterable[Comparison], name: str
    ) -> "TestedFamily":
        """Test each comparison once, all corrected together.

        Comparisons with fewer than three seeds are not tested.
        """
        distinct = {
            one.key: one
            for one in comparisons
            if evidence.has(one) and evidence.fewest(one) >= LEAST_SEEDS
        }
        asked = [one.contrast for one in distinct.values()]
        images = evidence.image_error if evidence.column == ACCURACY else None
        test = partial(
            contrasts.compare,
            evidence.layout,
            asked,
            margin=evidence.margin,
            share=evidence.error_share(len(asked)),
        )
        same = test()
        new = test(images=images) if images else same
        results = zip(new.results, same.results, strict=True)
        signs = {key: one.sign for key, one in distinct.items()}
        return cls(evidence, name, dict(zip(distinct, results, strict=True)), signs)

    def outcome(self, one: Comparison) -> Outcome | None:
        """Return a comparison's outcome; None where a row has no run."""
        evidence = self.evidence
        if not evidence.has(one):
            return None
        runs = [run for row in one.rows for run in evidence.runs[row].values()]
        test = Test(
            name=SEEDS_TEST,
            n=evidence.fewest(one),
            family=self.name,
            estimate=evidence.estimate(one),
        )
        if one.key in self.results:
            new, same = self.results[one.key]
            if new.status is not Status.NO_SPREAD:
                test = self.tested(one, new, same)
        return Outcome(one, evidence.column, test, runs)

    def tested(
        self, one: Comparison, new: contrasts.Comparison, same: contrasts.Comparison
    ) -> Test:
        """Return a result as a claim has it."""
        evidence, sign = self.evidence, one.sign * self.signs[one.key]
        low, high = self.ends(new, sign)
        assert new.error is not None and new.freedom is not None
        return Test(
            name=SEEDS_TEST,
            n=min(new.n.values()),
            family=self.name,
            estimate=sign * new.estimate,
            low=low,
            high=high,
            p=new.p,
            p_adjusted=new.p_adjusted,
            margin=evidence.margin,
            verdict=verdict(low, high, margin=evidence.margin, shown=new.shown),
            details=Details(
                differences=evidence.differences(one),
                same_images=self.ends(same, sign) if new.images and same.p else None,
                comparisons=len(self.results),
                error=new.error,
                freedom=new.freedom,
                seeds_to_decide=new.seeds_to_decide,
            ),
        )

    def ends(self, result: contrasts.Comparison, sign: int) -> tuple[float, float]:
        """Return the interval that matches the verdict, of the contrast times `sign`.

        Shares of 1 differ by 1 at most.
        """
        low, high = result.matched_low, result.matched_high
        assert low is not None and high is not None
        if metric(self.evidence.column).unit == "%":
            low, high = max(low, -1.0), min(high, 1.0)
        return (low, high) if sign > 0 else (-high, -low)


def test_images(row: Run) -> bytes:
    """Return the indices of a run's test images, for comparison."""
    path = row.path("predictions")
    assert path is not None, row.record
    with np.load(path) as file:
        indices: np.ndarray = file["test_indices"]
    return indices.tobytes()


def correct(row: Run) -> tuple[np.ndarray, np.ndarray]:
    """Return which test images a run gets right, bool (n,), and their labels, int64 (n,)."""
    path = row.path("predictions")
    assert path is not None, row.record
    with np.load(path) as file:
        logits, labels = file["test_logits"], file["test_labels"]
    return logits.argmax(axis=1) == labels, labels
