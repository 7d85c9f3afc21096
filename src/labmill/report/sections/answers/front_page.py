"""The first page: one sentence, three numbers, and an answer to each question."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import isclose

from labmill.core import registry
from labmill.report.answer import FEW, Answer
from labmill.report.claims.claim import Kind, capital
from labmill.report.number_format import (
    SPACE,
    duration,
    interval,
    percent,
    points,
    short,
    with_points,
)
from labmill.report.report_inputs import Record
from labmill.report.results import StudyResults
from labmill.report.text import listed, named, number_of, span
from labmill.report.unmade import Unmade, attempt
from labmill.stats.margins import Verdict
from labmill.stats.significance import LEAST_SEEDS, Mean
from labmill.training.records import ModelDescription

# Numbers in large type.
NUMBERS = 3


@dataclass(frozen=True)
class FrontPage:
    """The contents of the first page. All text is Markdown.

    Attributes:
        sentence: the answer of the study: to its first decided question, else to its
            first one, else which is best.
        best: which variant is best, where the first sentence answers a question.
        caveat: the data and runs that the answers rest on.
        numbers: a number and what it is, in large type.
        answers: one for each question, search, prune loop …
    """

    sentence: str
    best: str
    caveat: str
    numbers: Sequence[tuple[str, str]]
    answers: Sequence[Answer]


def front_page(results: StudyResults) -> FrontPage:
    """Return the first page of a study's report."""
    answers = [
        replace(answer, topic=name)
        for name in registry.sections()
        for answer in topic(results, name)
    ]

    few = len(answers) <= FEW

    def numbers() -> list[tuple[str, str]]:
        headlines = [answer.headline for answer in answers if answer.headline]
        own = [*time_number(results), size_number(results)] if few else []
        own.append(runs_number(results))
        return [*best_number(results), *headlines, *own][:NUMBERS]

    said = attempt("The first sentence", lambda: sentence(results, answers))
    # Of many questions, none is the study's. Those with a headline are decided.
    asked = [one for one in answers if one.sentence] if few else []
    asked.sort(key=lambda one: one.headline is None)
    first = asked[0].sentence if asked else None
    shown = attempt("The numbers of the first page", numbers)
    words = [said, first or "", *(one.answer for one in answers)]
    equal = few and any("practically equal" in one for one in words)
    warned = attempt("The first page's caveat", lambda: caveat(results, equal=equal))
    large = [] if isinstance(shown, Unmade) else shown
    return FrontPage(first or said, said if first else "", warned, large, answers)


def topic(results: StudyResults, name: str) -> Sequence[Answer]:
    """Return the answers of a topic; a note where they cannot be made."""
    kind = "report/answers"
    if name not in registry.names(kind):
        return ()
    module = registry.load(kind, name)
    found = attempt(f"Answers about {name}", lambda: list(module.answers(results)))
    if isinstance(found, Unmade):
        return [Answer(name, registry.sections()[name], found, "", f"section-{name}")]
    return found


def sentence(results: StudyResults, answers: Sequence[Answer]) -> str:
    """Return which variant is best, and whether seeds separate it from the others.

    Of a single network: what it costs, where the study counts that.
    """
    leader, claim = leading(results)
    mean = results.mean(leader, "test_accuracy") if leader else None
    if leader is None or mean is None:
        return "No run finished: the study has no answer yet."
    name, accuracy = named(results.label(leader)), percent(mean.estimate)
    if claim is None and leader not in results.untrained:
        return f"{capital(name)} has the highest mean test accuracy: {accuracy}."
    if claim is None or leader in results.untrained:
        return (
            "No variant learned more than guessing "
            f"({percent(results.guessing, 0)}): the highest test accuracy is {accuracy} "
            f"({name})."
        )
    if claim["contrast"] is None:
        cost = next((one for one in answers if one.about == "arithmetic"), None)
        if cost and cost.headline:
            return (
                f"One {results.thing} costs {cost.answer} ({cost.number}); test accuracy "
                f"is {accuracy}."
            )
        return f"{capital(name)} reaches {accuracy} test accuracy."
    second = claim["contrast"]["second"]
    means = [results.mean(v, "test_accuracy") for v in results.variants]
    if any(one and one.estimate > mean.estimate for one in means):
        # Demonstrations, and variants with too few seeds.
        name = f"of the ranked variants, {name}"
    if abs(claim["estimate"]) < 1e-9:
        pairs = zip(results.variants, means, strict=True)
        tied = [v for v, one in pairs if one and isclose(one.estimate, mean.estimate)]
        names = listed(named(results.label(v)) for v in tied)
        return f"{capital(names)} come first together: {accuracy} test accuracy."
    if claim["verdict"] == Verdict.HIGHER:
        return f"{capital(name)} is best: {accuracy} test accuracy, {lead(results, claim)}."
    if claim["verdict"] == Verdict.PRACTICALLY_EQUAL:
        return (
            f"{capital(name)} comes first with {accuracy} test accuracy, but {second} is "
            "practically equal."
        )
    return (
        f"{capital(name)} has the highest mean test accuracy ({accuracy}), but "
        f"{number_of(claim['n'], 'seed')} cannot separate it from {second}."
    )


def caveat(results: StudyResults, *, equal: bool) -> str:
    """Return the data and runs that the answers rest on, and which runs are missing.

    equal: whether to explain "practically equal", which the margin decides.
    """
    said, more = [], []
    split, own = results.split_summary, results.study["data"].get("split_seeds")
    if split is not None:
        size = next(
            (
                d.image_size
                for v in results.variants
                if (d := results.first(v, ModelDescription))
            ),
            None,
        )
        pixels = f" of {size}×{size} pixels" if size and not results.sequential else ""
        said.append(
            f"{number_of(split.sizes['train'], f'training {results.thing}')}{pixels}"
        )
    counts = [len(results.values(v, "test_accuracy")) for v in results.variants]
    if any(counts):
        seeds = span(n for n in counts if n)
        said.append(f"{seeds}{SPACE}{'seed' if seeds == '1' else 'seeds'}")
        said.append("a split for each" if own else "one split")
    if results.untrained:
        names = listed(named(results.label(v)) for v in results.untrained)
        more.append(f"Runs of {names} learned too little and are in no comparison.")
    runs = [row for row in results.rows if row.kind != "point"]
    if lost := sum(not row.usable for row in runs):
        verb = "has" if lost == 1 else "have"
        more.append(f"{lost} of {len(runs)} runs {verb} no result.")
    if equal:
        margin = with_points(f"{100 * results.study['margin']:g}")
        more.append(f"“Practically equal”: less than {margin} apart.")
    rest = [f"Caveat: from {', '.join(said)}."] if said else []
    return " ".join(rest + more)


def lead(results: StudyResults, claim: Record) -> str:
    """Return by how much the first is ahead of the closest, with its interval."""
    second, (low, high) = claim["contrast"]["second"], claim["interval"]
    ends = interval(low, high, "%")
    seeds = [len(results.values(v, "test_accuracy")) for v in results.ranked]
    closest = ", the closest other" if len(seeds) > 2 else ""
    few = f" with {LEAST_SEEDS} seeds or more" if min(seeds) < LEAST_SEEDS else ""
    return f"{points(claim['estimate'])} ({ends}) above {second}{closest}{few}"


def leading(results: StudyResults) -> tuple[str | None, Record | None]:
    """Return the variant with the highest accuracy, and the claim about its rank."""
    claim = next((c for c in results.numbered if c["kind"] == Kind.BEST), None)
    if claim and claim["contrast"]:
        return claim["contrast"]["pairs"][0][0], claim
    means = accuracies(results)
    return max(means, key=lambda v: means[v].estimate, default=None), claim


def accuracies(results: StudyResults) -> dict[str, Mean]:
    """Return the mean test accuracies of the ranked variants; of all where none is ranked."""
    return {
        variant: mean
        for variant in results.ranked or results.variants
        if (mean := results.mean(variant, "test_accuracy"))
    }


def best_number(results: StudyResults) -> Iterator[tuple[str, str]]:
    """Yield the highest test accuracy."""
    leader, _ = leading(results)
    if leader and (mean := results.mean(leader, "test_accuracy")):
        yield percent(mean.estimate), f"test accuracy of {named(results.label(leader))}"


def time_number(results: StudyResults) -> Iterator[tuple[str, str]]:
    """Yield how long a training of the leading network takes."""
    leader, _ = leading(results)
    if leader and (mean := results.mean(leader, "train_seconds")):
        name = named(results.label(leader))
        yield duration(mean.estimate), f"training time of {name}"


def size_number(results: StudyResults) -> tuple[str, str]:
    """Return the size of the leading network."""
    leader, _ = leading(results)
    size = results.mean(leader, "parameters") if leader else None
    name = named(results.label(leader)) if leader else "the network"
    return short(size.estimate if size else None), f"parameters of {name}"


def runs_number(results: StudyResults) -> tuple[str, str]:
    """Return the number of trainings behind the means."""
    n = sum(row.usable for runs in results.runs.values() for row in runs.values())
    networks = "trained network" if n == 1 else "trained networks"
    return f"{n}", f"{networks}, {number_of(len(results.runs), 'variant')}"
