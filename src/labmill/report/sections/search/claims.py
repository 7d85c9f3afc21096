"""What each search chose, and how much of that is chance."""

import math

from labmill.core.records import Settings
from labmill.report.claims.claim import Claim, Kind, Phrase, Statement, capital, claim
from labmill.report.claims.comparison import ACCURACY
from labmill.report.results import StudyResults
from labmill.report.runs import mean
from labmill.report.sections.search.points import words
from labmill.report.text import all_of, number_of, setting
from labmill.search.records import RankedPoint, SearchResult, SearchRound
from labmill.search.select import UNFINISHED, accuracy_of

CHOSEN = Statement(
    "Search {search:name} tried {n:settings} and chose {settings:list.20} by the "
    "rule {rule}: validation accuracy {estimate:percent} ({seeds:seeds} per point), "
    "{cost}.{given}{missed}{diverged}"
)
GIVEN_UP = (
    " Against the first in validation accuracy it gives up {lost:points} and spends "
    "{spent:percent.0} of its {cost}."
)
CHANCE = Statement(
    "Search {search:name}: {near} within two standard errors of the first, "
    "{accuracy:percent} ({estimate:points.1} for a difference on the same {n:count} "
    "validation images, at most): their order may be chance.{tied}"
)
CLEAR = Statement(
    "Search {search:name}: the first point, {accuracy:percent}, is more than two standard "
    "errors ahead of every other one ({estimate:points.1} for a difference on the same "
    "{n:count} validation images, at most)."
)
TIED = " {tied} {verb} exactly the first one's accuracy."
AGAIN = Statement(
    "What search {search:name} chose had {before:percent} on the validation images in the "
    "search ({seeds:mean}), and {again:percent} with new seeds ({label:name}; {n:mean}). The "
    "second number is free of the luck of the seeds, but the same images chose the "
    "point; images that did not choose it give {tested:percent} (test)."
)
REPEATED = Statement(
    "{label:name} is {base:name}: search {search:name} chose the settings that it has, and "
    "the scores of both are equal ({n:seeds})."
)
SPENT = Statement(
    "Search {search:name} tried {n:count} of {grid:count} points of its grid "
    "({method}, budget {budget}; rounds: {rounds:count}) and trained {trained:count} in "
    "full, with {operations:count} operations for all.{stopped}{importance}"
)
STOPPED = " It stopped {points:list}."
IMPORTANCE = (
    " {setting:text} explains {share:percent.0} of the variance of accuracy between "
    "points on its own, more than every other setting."
)
BUDGET = {
    "runs": "{size:count} runs",
    "operations": "{size:count} operations",
    "hours": "{size:significant} hours",
}
METHODS = {
    "random": "random points",
    "tpe": "points proposed by TPE",
    "halving": "successive halving",
}
SAME = Statement("{all} chose the same settings: {settings:list.20}.")
RULES = {
    "best": "“first in validation accuracy”",
    "fastest": "“least {cost} within {tolerance:points} of the first in validation "
    "accuracy”",
    "knee": "“knee of validation accuracy against {cost}”",
}
COSTS = {
    "seconds": "seconds of training",
    "operations": "operations of training",
    "parameters": "parameters",
}


def make_claims(results: StudyResults) -> list[Claim]:
    """Return what each search chose, and what the choice gave up."""
    claims = []
    for name, record in results.searches.items():
        source = {"file": results.summary["searches"][name], "field": "ranking"}
        claims.append(search_claim(name, source, record))
        if record.rounds:
            claims.append(spent_claim(results, name, record))
        claims += chance_claims(results, name, source, record)
        claims += again_claims(results, name, source, record)
    return claims + repeated_claims(results) + same_claims(results)


def repeated_claims(results: StudyResults) -> list[Claim]:
    """Return the choices that are what another variant is already."""
    return [
        claim(
            REPEATED,
            f"search:{results.study['variants'][variant]['chosen']['search']}:repeated:"
            f"{variant}",
            [
                row.input(ACCURACY)
                for name in (variant, base)
                for row in results.runs[name].values()
                if ACCURACY in row.cells
            ],
            n=len(results.runs[variant]),
            search=results.study["variants"][variant]["chosen"]["search"],
            label=results.label(variant),
            base=results.label(base),
        )
        for variant, base in results.repeated.items()
    ]


def usable(point: RankedPoint) -> bool:
    """Return True if a point trained to its end, with an accuracy."""
    return point.status not in UNFINISHED and point.validation_accuracy is not None


def search_claim(name: str, source: dict[str, str], record: SearchResult) -> Claim:
    """Return what a search chose."""
    rule, ranking = record.rule, record.ranking
    chosen, cost = ranking[0], rule.cost
    sound = [point for point in ranking if usable(point)]
    first = max(sound, key=accuracy_of)
    given = None
    if first.point != chosen.point:
        given = Phrase(
            GIVEN_UP,
            lost=accuracy_of(first) - accuracy_of(chosen),
            spent=getattr(chosen, cost) / most
            if (most := getattr(first, cost))
            else 1.0,
            cost=COSTS[cost],
        )
    lost_points = sum(point.status == "diverged" for point in ranking)
    amount = (
        "{value:significant} {cost}" if cost == "seconds" else "{value:count} {cost}"
    )
    return claim(
        CHOSEN,
        f"search:{name}",
        [source],
        kind=Kind.SEARCH,
        about=name,
        n=len(ranking),
        estimate=chosen.validation_accuracy,
        search=name,
        settings=written(chosen.settings),
        rule=Phrase(RULES[rule.rule], cost=COSTS[cost], tolerance=rule.tolerance),
        seeds=len(chosen.seeds),
        cost=Phrase(amount, value=getattr(chosen, cost), cost=COSTS[cost]),
        given=given,
        missed=missed(sum(point.reached is False for point in ranking)),
        diverged=f" {number_of(lost_points, 'point')} diverged." if lost_points else "",
    )


def missed(points: int) -> str:
    """Return how many points did not reach their target, if any."""
    if not points:
        return ""
    whose = "its" if points == 1 else "their"
    return (
        f" {number_of(points, 'point')} did not reach {whose} target before {whose} last "
        "epoch."
    )


def spent_claim(results: StudyResults, name: str, record: SearchResult) -> Claim:
    """Return what a search with a budget tried and spent."""
    declared = results.study["search"][name]
    (unit, size), *_ = ((u, v) for u, v in declared["budget"].items() if v)
    full = [point for point in record.ranking if point.status not in UNFINISHED]
    first = max(record.importance.items(), key=lambda one: one[1], default=None)
    file = results.summary["searches"][name]
    paused = {point.point for point in record.ranking if point.status == "paused"}
    stopped = [
        Phrase("{number:count} after epoch {end:count}", number=number, end=made.end)
        for made, following in zip(
            record.rounds, [*record.rounds[1:], None], strict=True
        )
        if (number := len(stopped_points(made, following, paused)))
    ]
    return claim(
        SPENT,
        f"search:{name}:spent",
        [{"file": file, "field": field} for field in ("rounds", "ranking")],
        n=len(record.ranking),
        estimate=len(record.ranking),
        search=name,
        grid=math.prod(map(len, declared["matrix"].values())),
        rounds=len(record.rounds),
        method=METHODS[declared["method"]],
        budget=Phrase(BUDGET[unit], size=size),
        trained=len(full),
        stopped=Phrase(STOPPED, points=stopped) if stopped else None,
        operations=sum(sum(point.costs.operations) for point in record.ranking),
        importance=Phrase(
            IMPORTANCE, setting=words(first[0]).capitalize(), share=first[1]
        )
        if first
        else None,
    )


def stopped_points(
    made: SearchRound, following: SearchRound | None, paused: set[str]
) -> list[str]:
    """Return the points of a round that did not continue."""
    continued = following.points if following else []
    return [name for name in made.points if name in paused and name not in continued]


def chance_claims(
    results: StudyResults, name: str, source: dict[str, str], record: SearchResult
) -> list[Claim]:
    """Return how many points the validation images cannot tell from the first.

    Which image each point gets right is not kept. The error of a difference is that of
    independent answers, which is cautious: points that learn the same task are right on
    the same images more often than that.
    """
    known = [row.cells.get("validation_n") for row in results.rows]
    images = next((n for n in known if n), None)
    accuracies = sorted(
        (accuracy_of(p) for p in record.ranking if usable(p)), reverse=True
    )
    if not images or len(accuracies) < 2:
        return []
    first, *others = accuracies
    errors = [
        math.sqrt((first * (1 - first) + other * (1 - other)) / images)
        for other in others
    ]
    near = sum(
        first - other <= 2 * error for other, error in zip(others, errors, strict=True)
    )
    tied = sum(first - other < 1e-9 for other in others)
    have = Phrase(TIED, tied=tied, verb="has" if tied == 1 else "have")
    return [
        claim(
            CHANCE if near else CLEAR,
            f"search:{name}:chance",
            [source],
            n=images,
            estimate=max(errors),
            search=name,
            accuracy=first,
            near=Phrase(
                "{near} of the {others} other points {verb}"
                if len(others) > 1
                else "the other point is",
                near=near,
                others=len(others),
                verb="is" if near == 1 else "are",
            ),
            tied=have if tied else None,
        )
    ]


def same_claims(results: StudyResults) -> list[Claim]:
    """Return that all searches chose the same settings, where they did."""
    chosen = [record.ranking[0].settings for record in results.searches.values()]
    if len(chosen) < 2 or any(settings != chosen[0] for settings in chosen):
        return []
    sources = (results.summary["searches"][name] for name in results.searches)
    return [
        claim(
            SAME,
            "searches:same",
            [{"file": file, "field": "ranking"} for file in sources],
            n=len(chosen),
            all=capital(all_of(len(chosen), "search")),
            settings=written(chosen[0]),
        )
    ]


def written(settings: Settings) -> list[Phrase]:
    """Return settings as words."""
    return [
        Phrase("{key:text} {value:text}", key=words(key), value=setting(value))
        for key, value in settings.items()
    ]


def again_claims(
    results: StudyResults, name: str, source: dict[str, str], record: SearchResult
) -> list[Claim]:
    """Return the chosen point's accuracy in the search, and with new seeds."""
    chosen, claims = record.ranking[0], []
    column = "validation_accuracy"
    for variant, settings in results.study["variants"].items():
        taken = settings["chosen"] == {"search": name, "rank": 1}
        if not taken or settings["model"] or settings["training"]:
            continue
        rows = [
            row
            for seed, row in results.usable(variant, column).items()
            if seed not in chosen.seeds and ACCURACY in row.cells
        ]
        if rows:
            again = mean(rows, column)
            claims.append(
                claim(
                    AGAIN,
                    f"search:{name}:again:{variant}",
                    [
                        source,
                        *(
                            row.input(name)
                            for row in rows
                            for name in (column, ACCURACY)
                        ),
                    ],
                    n=len(rows),
                    estimate=again - accuracy_of(chosen),
                    search=name,
                    before=accuracy_of(chosen),
                    seeds=len(chosen.seeds),
                    again=again,
                    tested=mean(rows, ACCURACY),
                    label=results.label(variant),
                )
            )
    return claims
