"""The claims that answer the study, for the Summary and for the page of all studies."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from labmill.evaluation.statistics import Verdict
from labmill.report.claims.template import Kind

ORDER = {kind: place for place, kind in enumerate(Kind)}
# Of many runs that diverged or failed, so many stand for all: one in so many headlines.
LOST = 3


def headlines(
    claims: Iterable[Mapping[str, Any]], most: int
) -> tuple[list[Mapping[str, Any]], int]:
    """At most so many answers in the order of their kinds, and how many are left out.

    What is best and what happened to lost runs always stand there; then one answer to
    each question, loop, search …, a shown difference before all others; then second
    answers. A claim of results older than kinds is no headline.
    """
    answers = [c for c in claims if kind_of(c) is not Kind.DETAIL]
    if len(answers) <= most:
        return sorted(answers, key=lambda c: ORDER[kind_of(c)]), 0
    best = [c for c in answers if kind_of(c) is Kind.BEST]
    lost = [c for c in answers if kind_of(c) is Kind.END and c["about"]]
    lost = lost[: max(1, most // LOST)]
    others = [c for c in answers if c not in best and c not in lost]
    places = {id(c): place for place, c in enumerate(others)}
    rounds = {id(c): turn for turn, c in turns(others)}
    others.sort(key=lambda c: (rounds[id(c)], open_(c), ORDER[kind_of(c)]))
    room = max(0, most - len(best) - len(lost))
    chosen = sorted(others[:room], key=lambda c: (ORDER[kind_of(c)], places[id(c)]))
    shown = [*best, *chosen, *lost][:most]
    return shown, len(answers) - len(shown)


def turns(
    answers: Sequence[Mapping[str, Any]],
) -> Iterable[tuple[int, Mapping[str, Any]]]:
    """Each answer with its place among those to the same question, shown ones first."""
    groups: dict[tuple[Kind, Any], list[Mapping[str, Any]]] = {}
    for claim in answers:
        groups.setdefault((kind_of(claim), claim["about"]), []).append(claim)
    for group in groups.values():
        yield from enumerate(sorted(group, key=open_))


def open_(claim: Mapping[str, Any]) -> bool:
    """Whether a test left the question open."""
    return claim["verdict"] in (Verdict.NOT_SHOWN, Verdict.TOO_FEW)


def kind_of(claim: Mapping[str, Any]) -> Kind:
    """A claim's kind."""
    return Kind(claim.get("kind", Kind.DETAIL))
