"""What claims are computed from: rows by variant and seed, and contrasts over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from labmill.evaluation.statistics import (
    LEAST_SEEDS,
    PAIRED_T,
    SeedComparison,
    holm,
    minimum_detectable_effect,
    paired_seeds,
    smallest_sign_flip_p,
    verdict,
)
from labmill.report.budgets import labels_of, sweeps
from labmill.report.claims.template import Kind, Test
from labmill.report.claims.words import named, p_value
from labmill.report.read import Place, Row


@dataclass(frozen=True)
class Evidence:
    """A study's results. `searches`: stage → chosen.json as planned; `edits`: variant →
    its rankings of edits; `scale`: what the study was reduced to."""

    study: Mapping[str, Any]
    rows: Sequence[Row]
    place: Place
    searches: Mapping[str, str | None]
    edits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    scale: str = "full"

    @cached_property
    def runs(self) -> dict[str, dict[int, Row]]:
        """The rows of dense networks: variant → seed → row."""
        found: dict[str, dict[int, Row]] = {}
        for row in self.rows:
            if row.cells["kind"] == "variant" and row.cells["stage"] == "dense":
                found.setdefault(row.cells["variant"], {})[row.cells["seed"]] = row
        return found

    @property
    def ranked(self) -> list[str]:
        """The variants that are candidates for being best.

        Not those that go wrong on purpose; not those of a question over label counts,
        which is answered at each count; not those that learn from fewer labels.
        """
        apart = set((self.study.get("lessons") or {"variants": ()})["variants"])
        for sweep in sweeps(self.study):
            apart.update(*sweep.levels.values())
        labels = {
            variant: labels_of(self.study, variant) or float("inf")
            for variant in self.runs
            if variant in self.study["variants"]
        }
        most = max(labels.values(), default=None)
        return [
            variant
            for variant in self.runs
            if variant not in apart and labels.get(variant, most) == most
        ]

    def usable(self, variant: str, column: str) -> dict[int, Row]:
        """The runs of a variant that ended well and have that figure, by seed."""
        return {
            seed: row
            for seed, row in self.runs.get(variant, {}).items()
            if row.usable and column in row.cells
        }

    def label(self, variant: str) -> str:
        """A variant's name in the report, harmless as Markdown."""
        runs = self.runs.get(variant)
        label = next(iter(runs.values())).cells["label"] if runs else variant
        return named(label)

    def images(self, variant: str) -> int:
        """The number of test images."""
        runs = self.usable(variant, "test_n").values()
        return next((row.cells["test_n"] for row in runs), 0)


@dataclass(frozen=True)
class Contrast:
    """First against second, seed by seed; the mean over `pairs` of variants' rows.

    `pairs`: seed → rows of first and second, as many as there are pairs of variants.
    `variants`: those pairs; none where rows are not of networks as trained. `kind` and
    `about`: those of the claim.
    """

    id: str
    first: str
    second: str
    pairs: Mapping[int, Sequence[tuple[Row, Row]]]
    variants: Sequence[tuple[str, str]] = ()
    kind: Kind = Kind.DETAIL
    about: str | None = None

    @property
    def seeds(self) -> list[int]:
        """The seeds in which all of both sides have the figure."""
        return list(self.pairs)

    def values(self, column: str) -> tuple[list[float], list[float]]:
        """The figure of first and second per seed."""
        sides = [
            np.mean([[row.cells[column] for row in pair] for pair in pairs], axis=0)
            for pairs in self.pairs.values()
        ]
        return [float(s[0]) for s in sides], [float(s[1]) for s in sides]

    def told(self, column: str) -> dict[str, Any] | None:
        """What a claim says that it compares."""
        if not self.variants:
            return None
        return {
            "first": self.first,
            "second": self.second,
            "pairs": [list(pair) for pair in self.variants],
            "metric": column,
        }

    def inputs(self, column: str) -> list[dict[str, str]]:
        """Where the figures stand."""
        return [
            row.input(column)
            for pairs in self.pairs.values()
            for pair in pairs
            for row in pair
        ]


def contrast(
    evidence: Evidence,
    id: str,
    names: tuple[str, str],
    variants: Sequence[tuple[str, str]],
    column: str,
    *,
    kind: Kind = Kind.DETAIL,
    about: str | None = None,
) -> Contrast:
    """First against second over the seeds that every one of `variants` finished."""
    sides = [
        tuple(evidence.usable(variant, column) for variant in pair) for pair in variants
    ]
    seeds = [
        seed
        for seed in (sides[0][0] if sides else ())
        if all(seed in side for pair in sides for side in pair)
    ]
    pairs = {seed: [(a[seed], b[seed]) for a, b in sides] for seed in seeds}
    return Contrast(id, *names, pairs, variants, kind, about)


def between(
    evidence: Evidence,
    id: str,
    pair: tuple[str, str],
    column: str,
    *,
    about: str | None = None,
) -> Contrast:
    """The contrast of two variants, by their labels."""
    first, second = map(evidence.label, pair)
    return contrast(evidence, id, (first, second), [pair], column, about=about)


@dataclass(frozen=True)
class Outcome:
    """A contrast, compared over its seeds within a family of tests.

    made: the test, in a sentence; how: the same with its p; least: the true difference
    that would be shown in four of five repetitions, None where another claim says so.
    """

    contrast: Contrast
    column: str
    test: Test
    made: str
    how: str
    least: float | None


def compare_seeds(
    contrasts: Sequence[Contrast], columns: Sequence[str], family: str
) -> list[Outcome]:
    """Paired t-tests over seeds of each contrast in its column, Holm over all of them.

    Contrasts without a common seed are left out.
    """
    known = [
        (one, column, paired_seeds(*one.values(column)))
        for one, column in zip(contrasts, columns, strict=True)
        if one.pairs
    ]
    # Two seeds give a p, but no verdict: they are no part of the family either.
    p_values = [c.p if c.n >= LEAST_SEEDS else None for _, _, c in known]
    adjusted = holm(p_values)
    tests = len(p_values) - p_values.count(None)
    return [
        Outcome(
            one,
            column,
            Test(
                name=f"{c.test} over seeds",
                n=c.n,
                family=family,
                estimate=c.estimate,
                low=c.low,
                high=c.high,
                p=p,
                p_adjusted=p_adjusted,
                verdict=verdict(p_adjusted, estimate=c.estimate, n_seeds=c.n),
            ),
            made=c.test,
            how=paired_how(c, p_adjusted, tests),
            least=minimum_detectable_effect(
                c.sd or 0.0, c.n, alpha=0.05 / max(tests, 1)
            ),
        )
        for (one, column, c), p, p_adjusted in zip(
            known, p_values, adjusted, strict=True
        )
    ]


def paired_how(compared: SeedComparison, p: float | None, tests: int) -> str:
    """The test with its p; with the sign-flip test's where that could be below 5 %."""
    said = f"{compared.test}, {p_value(1.0 if p is None else p)}"
    if tests > 1:
        said += f" after Holm's correction over {tests} tests"
    if compared.test == PAIRED_T and smallest_sign_flip_p(compared.n) <= 0.05:
        said += f"; sign-flip test {p_value(compared.sign_flip_p)}"
    return said


def correct(evidence: Evidence, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Which test images a run gets right, bool (n,), and their labels, int64 (n,)."""
    path = evidence.place.path(row.record["files"]["predictions"])
    with np.load(path) as file:
        logits, labels = file["test_logits"], file["test_labels"]
    return logits.argmax(axis=1) == labels, labels
