"""What claims are computed from: rows by variant and seed, and contrasts over seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from labmill.evaluation.statistics import (
    SeedComparison,
    Verdict,
    holm,
    paired_seeds,
    verdict,
)
from labmill.report.claims.template import Test
from labmill.report.claims.words import named
from labmill.report.read import Place, Row

LEAST_SEEDS = 3


@dataclass(frozen=True)
class Evidence:
    """A study's results. `searches`: stage → chosen.json as planned; `edits`: variant →
    its rankings of edits."""

    study: Mapping[str, Any]
    rows: Sequence[Row]
    place: Place
    searches: Mapping[str, str | None]
    edits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

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
        """The variants that are candidates: not those that go wrong on purpose."""
        lessons = self.study.get("lessons") or {"variants": ()}
        return [variant for variant in self.runs if variant not in lessons["variants"]]

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
    """

    id: str
    first: str
    second: str
    pairs: Mapping[int, Sequence[tuple[Row, Row]]]

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
    return Contrast(id, *names, pairs)


@dataclass(frozen=True)
class Outcome:
    """A contrast, compared over its seeds within a family of tests."""

    contrast: Contrast
    column: str
    comparison: SeedComparison
    test: Test


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
    return [
        Outcome(
            one,
            column,
            c,
            Test(
                name="paired t-test over seeds",
                n=c.n,
                family=family,
                estimate=c.estimate,
                low=c.low,
                high=c.high,
                p=p,
                p_adjusted=p_adjusted,
                verdict=verdict(p_adjusted, estimate=c.estimate, n_seeds=c.n),
            ),
        )
        for (one, column, c), p, p_adjusted in zip(
            known, p_values, adjusted, strict=True
        )
    ]


def correct(evidence: Evidence, row: Row) -> tuple[np.ndarray, np.ndarray]:
    """Which test images a run gets right, bool (n,), and their labels, int64 (n,)."""
    path = evidence.place.path(row.record["files"]["predictions"])
    with np.load(path) as file:
        logits, labels = file["test_logits"], file["test_labels"]
    return logits.argmax(axis=1) == labels, labels


def worst(outcomes: Sequence[Outcome]) -> Verdict:
    """The verdict on all of them at once."""
    verdicts = {outcome.test.verdict for outcome in outcomes}
    for word in (Verdict.NOT_SHOWN, Verdict.LOWER, Verdict.TOO_FEW):
        if word in verdicts:
            return Verdict.NOT_SHOWN if word is Verdict.LOWER else word
    return Verdict.HIGHER
