"""All comparisons of a study's variants: one verdict on each, wherever it is stated."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import combinations

import numpy as np

from labmill.report.claims.claim import Kind
from labmill.report.claims.comparison import (
    ACCURACY,
    Comparison,
    Evidence,
    Outcome,
    TestedFamily,
)
from labmill.report.results import StudyResults
from labmill.report.sweeps import sweeps
from labmill.report.text import named, plain
from labmill.stats.margins import Verdict
from labmill.stats.significance import LEAST_SEEDS
from labmill.study.metrics import metric, metrics_of, untestable

ASKED, ALL_PAIRS = "questions of the study", "all pairs of variants"


@dataclass(frozen=True)
class Question:
    """The comparisons of one question in one metric.

    Attributes:
        wholes: each level with the first one, over all pairs of variants.
        parts: the id of a whole → its pairs of variants, where it has several.
        swept: whether only the number of labels differs from pair to pair; a mean over
            label counts answers nothing then.
    """

    wholes: Sequence[Comparison]
    parts: Mapping[str, Sequence[Comparison]]
    swept: bool

    @property
    def stated(self) -> list[Comparison]:
        """The comparisons that have a verdict."""
        pairs = [one for parts in self.parts.values() for one in parts]
        return pairs if self.swept else [*self.wholes, *pairs]


def question(results: StudyResults, name: str, column: str) -> Question:
    """Return what a question compares in one of its metrics."""
    asked = results.study["compare"][name]
    (_, base), *others = asked["levels"].items()
    end = "" if column == metrics_of(asked["metric"])[0] else f":{column}"
    wholes, parts = [], {}
    for level, variants in others:
        pairs = list(zip(variants, base, strict=True))
        id = f"compare:{name}:{level}"
        names = level_names(results, asked["levels"], level)
        wholes.append(Comparison(id + end, *names, pairs, Kind.QUESTION, name))
        if len(pairs) > 1:
            parts[id + end] = [
                pair_of(results, ":".join([id, *pair]) + end, pair, name)
                for pair in pairs
            ]
    swept = any(sweep.name == name for sweep in sweeps(results.study))
    return Question(wholes, parts, swept and column == ACCURACY)


def level_names(
    results: StudyResults, levels: Mapping[str, Sequence[str]], level: str
) -> tuple[str, str]:
    """Return a level and the first one, as names in a sentence.

    A level of a single variant is named by that variant: what holds for it need not hold
    for other variants of that level.
    """
    names = []
    for one in (level, next(iter(levels))):
        name, *more = dict.fromkeys(named(results.label(v)) for v in levels[one])
        if more:
            name = named(one)
        elif plain(one).casefold() not in name.casefold():
            name = f"{named(one)} ({name})"
        names.append(name)
    return names[0], names[1]


def pair_of(
    results: StudyResults, id: str, pair: tuple[str, str], about: str | None = None
) -> Comparison:
    """Return the comparison of two variants, named by their labels."""
    first, second = (named(results.label(variant)) for variant in pair)
    return Comparison(id, first, second, [pair], about=about)


@dataclass(frozen=True, eq=False)
class Findings:
    """The verdicts on a study's variants in one metric.

    The comparisons that questions ask are one family; all other pairs of ranked variants
    are a second one (test accuracy only). Variants with an untrained run are in neither.
    """

    results: StudyResults
    column: str

    @cached_property
    def evidence(self) -> Evidence:
        """The trained variants."""
        results, column = self.results, self.column
        runs = {
            variant: found
            for variant in results.runs
            if variant not in results.untrained
            and (found := results.usable(variant, column))
        }
        share = metric(column).unit == "%"
        margin = results.study["margin"] if share else 0.0
        return Evidence(runs, column, margin, results.overlap, results.look)

    @cached_property
    def questions(self) -> list[Comparison]:
        """The comparisons that the study's questions ask."""
        return [
            one
            for name, asked in self.results.study["compare"].items()
            if self.column in metrics_of(asked["metric"])
            for one in question(self.results, name, self.column).stated
        ]

    @cached_property
    def asked(self) -> TestedFamily:
        """Their tests."""
        return TestedFamily.of(self.evidence, self.questions, ASKED)

    @cached_property
    def others(self) -> TestedFamily:
        """All pairs of ranked variants that no question compares."""
        pairs = (
            pair_of(self.results, "", pair) for pair in combinations(self.ranked, 2)
        )
        rest = [one for one in pairs if one.key not in self.asked.results]
        return TestedFamily.of(self.evidence, rest, ALL_PAIRS)

    def outcome(self, one: Comparison) -> Outcome | None:
        """Return a comparison's outcome; None where a variant has no trained run."""
        family = self.asked if one.key in self.asked.results else self.others
        return family.outcome(one)

    def compared(self, one: Comparison) -> bool:
        """Return True if a question asks that comparison."""
        return one.key in {asked.key for asked in self.questions}

    def between_ranked(self) -> list[Outcome]:
        """Return the outcomes of all pairs of ranked variants."""
        pairs = (pair_of(self.results, "", two) for two in combinations(self.ranked, 2))
        return [found for one in pairs if (found := self.outcome(one))]

    @cached_property
    def means(self) -> dict[str, float]:
        """Candidate → mean of its seeds, the largest first."""
        values = {
            v: float(np.mean([*self.evidence.layout.values[v].values()]))
            for v in self.results.ranked
            if v in self.evidence.runs
        }
        return dict(sorted(values.items(), key=lambda item: -item[1]))

    @cached_property
    def ranked(self) -> list[str]:
        """The candidates with enough seeds, the one with the largest mean first."""
        runs = self.evidence.runs
        return [v for v in self.means if len(runs[v]) >= LEAST_SEEDS]

    def leading(self) -> list[Outcome]:
        """Return the outcomes of the first candidate and each other one.

        Where seeds are shared, means of other seeds may contradict a verdict: the first
        is then the candidate that is lower than the fewest.
        """
        order = self.ranked
        found = {
            first: [
                outcome
                for other in order
                if other != first
                and (
                    one := pair_of(
                        self.results, f"pair:{first}:{other}", (first, other)
                    )
                )
                and (outcome := self.outcome(one))
            ]
            for first in (order if self.evidence.layout.shared else order[:1])
        }

        def lost(first: str) -> int:
            return sum(o.test.verdict is Verdict.LOWER for o in found[first])

        return found[min(found, key=lost)] if found else []


@lru_cache(maxsize=16)
def findings(results: StudyResults, column: str = ACCURACY) -> Findings:
    """Return the verdicts in one metric, computed once."""
    return Findings(results, column)


def tested(results: StudyResults) -> list[Outcome]:
    """Return the comparisons of the study's questions; of all pairs where it has none."""
    if not results.study["compare"]:
        return findings(results).between_ranked()
    columns = dict.fromkeys(
        column
        for asked in results.study["compare"].values()
        for column in metrics_of(asked["metric"])
        if not untestable(column)
    )
    return [
        outcome
        for column in columns
        for one in findings(results, column).questions
        if (outcome := findings(results, column).outcome(one))
    ]
