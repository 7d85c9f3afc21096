"""Published figures beside ours, searches, and runs that diverged or failed."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labmill.evaluation.statistics import LEAST_SEEDS, holm, paired_seeds, verdict
from labmill.report.claims import words
from labmill.report.claims.evidence import Evidence
from labmill.report.claims.template import Judged, Kind, Plain, Test, judged, plain
from labmill.runtime import read_json
from labmill.search.select import missed

PUBLISHED = Judged(
    higher="{metric} of {label}: ours, {ours} ({seeds}), is {difference} higher "
    "than the published {theirs} ({interval}, one-sample t-test, {p} after Holm's "
    "correction).{note}",
    lower="{metric} of {label}: ours, {ours} ({seeds}), is {difference} lower "
    "than the published {theirs} ({interval}, one-sample t-test, {p} after Holm's "
    "correction).{note}",
    not_shown="{metric} of {label}: no difference between ours, {ours} "
    "({seeds}), and the published {theirs} is shown ({signed}; {interval}, one-sample "
    "t-test, {p} after Holm's correction).{note}",
    too_few="{metric} of {label}: ours is {ours} ({seeds}), published {theirs}; from so "
    "few runs it cannot be said whether they differ.{note}",
)
PUBLISHED_BESIDE = Plain(
    "{metric} of {label}: ours {ours} ({seeds}), published {theirs}{elsewhere}.{note}"
)
PUBLISHED_CLASSES = Plain(
    "Class accuracy of {label}, ours ({seeds}) and published: {classes}.{note}"
)
CHOSEN = Plain(
    "Search {search} tried {points} settings and chose {settings} by the rule {rule}: "
    "validation accuracy {accuracy}, {cost}.{given}{missed}{diverged}"
)
CHANCE = Plain(
    "Search {search}: with {images} validation images the standard error of the first "
    "point's accuracy, {accuracy}, is {error}; {near} of the {others} other points lie "
    "within two of them, and their order may be luck."
)
AGAIN = Plain(
    "What search {search} chose had {then} on the validation images in the search "
    "({seeds}), and {again} with seeds that the search did not see ({label}; "
    "{new_seeds}): only the second number is free of the luck of being chosen."
)
PUBLISHED_CONFUSION = Plain(
    "{label} takes {ours} of the test images of class {name} for {other} ({seeds}); "
    "published: {theirs}."
)
DIVERGED = Plain(
    "{label}, seed {seed}{stage}, diverged: its loss was no finite number any more after "
    "{epochs}. It is left out of all means and comparisons."
)
FAILED = Plain(
    "{label}, seed {seed}{stage}, has no result: {reason}. It is left out of all means "
    "and comparisons."
)
ALL_WELL = Plain("All {runs} came to their end; none diverged and none failed.")
# What a row of a kind is called where all are counted.
NOUNS = {"variant": "run", "edit": "brief training", "pretext": "pretext training"}
RULES = {
    "best": "“first in validation accuracy”",
    "fastest": "“least {cost} within {tolerance} of the first in validation accuracy”",
    "knee": "“knee of validation accuracy against {cost}”",
}
COSTS = {
    "seconds": "seconds of training",
    "operations": "operations of training",
    "parameters": "parameters",
}


def published_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """An earlier report's figures: one number each, whose own spread is not known.

    At a reduced scale they stand in tables beside ours, and nothing is tested: they are of
    the whole task.
    """
    published = evidence.study["published"]
    if not published:
        return []
    confusions = [
        claim
        for variant, classes in published["confusions"].items()
        for true, said in classes.items()
        for other, share in said.items()
        for claim in confusion(evidence, variant, true, other, share)
    ]
    if evidence.scale != "full":
        return confusions
    claims, tested = [], []
    for variant, figures in published["variants"].items():
        note = published["notes"].get(variant, "")
        note = f" What differs: {words.escape(note)}." if note else ""
        # Tested figures are told first; what differs is said with the first of all.
        for column, value in sorted(
            figures.items(), key=lambda one: words.metric(one[0]).unit != "%"
        ):
            if isinstance(value, Mapping):
                claims += class_list(evidence, variant, value, note)
            elif runs := evidence.usable(variant, column):
                rows = list(runs.values())
                if words.metric(column).unit == "%":
                    tested.append((variant, column, value, rows, note))
                else:
                    claims.append(beside(evidence, variant, column, value, rows, note))
            note = ""
    return against_published(evidence, tested) + claims + confusions


def confusion(
    evidence: Evidence, variant: str, true: str, other: str, theirs: float
) -> list[dict[str, Any]]:
    """How often one class is taken for another, here and there."""
    rows = list(evidence.usable(variant, "test_accuracy").values())
    if not rows or not {true, other} <= set(rows[0].metrics["classes"]):
        return []
    matrix = np.sum([row.metrics["parts"]["test"]["confusion"] for row in rows], axis=0)
    i, j = (rows[0].metrics["classes"].index(name) for name in (true, other))
    ours = matrix[i][j] / max(1, sum(matrix[i]))
    files = [row.record["files"]["metrics"] for row in rows]
    return [
        plain(
            PUBLISHED_CONFUSION,
            f"published:{variant}:{true}:{other}",
            "published",
            [{"file": file, "field": "parts.test.confusion"} for file in files],
            n=len(rows),
            estimate=float(ours),
            label=evidence.label(variant),
            name=words.named(true),
            other=words.named(other),
            ours=words.percent(ours, 0),
            theirs=words.percent(theirs, 0),
            seeds=words.averaged(len(rows)),
        )
    ]


def against_published(
    evidence: Evidence, tested: Sequence[Any]
) -> list[dict[str, Any]]:
    """One-sample t-tests of our seeds against the published number, Holm over all."""
    compared = [
        paired_seeds([row.cells[column] for row in rows], [value] * len(rows))
        for _, column, value, rows, _ in tested
    ]
    p_values = [c.p if c.n >= LEAST_SEEDS else None for c in compared]
    claims = []
    for one, c, p, p_adjusted in zip(
        tested, compared, p_values, holm(p_values), strict=True
    ):
        variant, column, value, rows, note = one
        test = Test(
            name="one-sample t-test over seeds",
            n=c.n,
            family="published figures",
            estimate=c.estimate,
            low=c.low,
            high=c.high,
            p=p,
            p_adjusted=p_adjusted,
            verdict=verdict(p_adjusted, estimate=c.estimate, n_seeds=c.n),
        )
        digits = words.decimals(evidence.images(variant), c.n)
        claims.append(
            judged(
                PUBLISHED,
                test,
                f"published:{variant}:{column}",
                "published",
                [row.input(column) for row in rows],
                **sides(evidence, variant, column, value, c.n, note),
                ours=words.percent(c.estimate + value, digits),
                theirs=words.percent(value, 1),
                difference=words.points(c.estimate, digits),
                signed=words.signed(c.estimate, "%", digits),
                interval=words.interval(c.low, c.high, "%", digits),
                p=words.p_value(1.0 if p_adjusted is None else p_adjusted),
            )
        )
    return claims


def sides(
    evidence: Evidence, variant: str, column: str, value: float, n: int, note: str
) -> dict[str, Any]:
    """What every sentence about a published figure says."""
    text = words.metric(column).words
    return {
        "metric": text[:1].upper() + text[1:],
        "label": evidence.label(variant),
        "seeds": words.averaged(n),
        "note": note,
    }


def beside(
    evidence: Evidence,
    variant: str,
    column: str,
    value: float,
    rows: Sequence[Any],
    note: str,
) -> dict[str, Any]:
    """Times, which depend on the machine, and losses: side by side, without a test."""
    unit = words.metric(column).unit
    ours = float(np.mean([row.cells[column] for row in rows]))
    return plain(
        PUBLISHED_BESIDE,
        f"published:{variant}:{column}",
        "published",
        [row.input(column) for row in rows],
        n=len(rows),
        estimate=ours,
        **sides(evidence, variant, column, value, len(rows), note),
        ours=words.quantity(ours, unit, 0),
        theirs=words.quantity(value, unit, 0),
        elsewhere=", on another machine" if column.endswith("seconds") else "",
    )


def class_list(
    evidence: Evidence, variant: str, theirs: Mapping[str, float], note: str
) -> list[dict[str, Any]]:
    """Class-wise figures next to each other."""
    columns = {name: f"class_accuracy.{name}" for name in theirs}
    rows = [
        row
        for row in evidence.usable(variant, "test_accuracy").values()
        if any(column in row.cells for column in columns.values())
    ]
    known = {
        name: column
        for name, column in columns.items()
        if rows and all(column in row.cells for row in rows)
    }
    if not known:
        return []
    said = [
        f"{words.named(name)}: "
        f"{words.percent(float(np.mean([row.cells[column] for row in rows])), 0)} and "
        f"{words.percent(theirs[name], 0)}"
        for name, column in known.items()
    ]
    return [
        plain(
            PUBLISHED_CLASSES,
            f"published:{variant}:class_accuracy",
            "published",
            [row.input(column) for row in rows for column in known.values()],
            n=len(rows),
            label=evidence.label(variant),
            seeds=words.averaged(len(rows)),
            classes="; ".join(said),
            note=note,
        )
    ]


def search_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """What each search chose, and what the choice gave up."""
    claims = []
    for stage, planned in evidence.searches.items():
        path = evidence.place.path(planned) if planned else None
        if path and path.is_file():
            record = read_json(path)
            claims.append(search_claim(stage, planned or "", record))
            claims += chance_claims(evidence, stage, planned or "", record)
            claims += again_claims(evidence, stage, planned or "", record)
    return claims


def chance_claims(
    evidence: Evidence, stage: str, planned: str, record: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """How many points the validation images cannot tell from the most accurate one."""
    known = [row.cells.get("validation_n") for row in evidence.rows]
    images = next((n for n in known if n), None)
    accuracies = sorted(
        (p["validation_accuracy"] for p in record["ranking"] if usable(p)), reverse=True
    )
    if not images or len(accuracies) < 2:
        return []
    first, *others = accuracies
    error = math.sqrt(first * (1 - first) / images)
    near = sum(accuracy >= first - 2 * error for accuracy in others)
    return [
        plain(
            CHANCE,
            f"search:{stage}:chance",
            "search",
            [{"file": planned, "field": "ranking"}],
            n=images,
            estimate=error,
            search=words.named(stage),
            images=words.count(images),
            accuracy=words.percent(first, 1),
            error=words.points(error, 1),
            near=near,
            others=len(others),
        )
    ]


def usable(point: Mapping[str, Any]) -> bool:
    """Whether a point ended with an accuracy."""
    return point["status"] != "diverged" and point["validation_accuracy"] is not None


def again_claims(
    evidence: Evidence, stage: str, planned: str, record: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The chosen point's accuracy in the search, and with seeds that it did not see."""
    chosen, claims = record["ranking"][0], []
    for variant, settings in evidence.study["variants"].items():
        taken = settings["chosen"] == {"search": stage, "rank": 1}
        if not taken or settings["model"] or settings["training"]:
            continue
        rows = [
            row
            for seed, row in evidence.usable(variant, "validation_accuracy").items()
            if seed not in chosen["seeds"]
        ]
        if rows:
            again = float(np.mean([row.cells["validation_accuracy"] for row in rows]))
            claims.append(
                plain(
                    AGAIN,
                    f"search:{stage}:again:{variant}",
                    "search",
                    [{"file": planned, "field": "ranking"}]
                    + [row.input("validation_accuracy") for row in rows],
                    n=len(rows),
                    estimate=again - chosen["validation_accuracy"],
                    search=words.named(stage),
                    then=words.percent(chosen["validation_accuracy"], 1),
                    seeds=words.averaged(len(chosen["seeds"])),
                    again=words.percent(again, 1),
                    label=evidence.label(variant),
                    new_seeds=words.averaged(len(rows)),
                )
            )
    return claims


def search_claim(stage: str, planned: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """One search."""
    rule, ranking = record["rule"], record["ranking"]
    chosen, cost = ranking[0], rule["cost"]
    sound = [point for point in ranking if usable(point)]
    short_of = sum(map(missed, ranking))
    first = max(sound, key=lambda point: point["validation_accuracy"])
    given = ""
    if first["point"] != chosen["point"]:
        lost = first["validation_accuracy"] - chosen["validation_accuracy"]
        spent = chosen[cost] / first[cost] if first[cost] else 1.0
        given = (
            f" Against the first in validation accuracy it gives up "
            f"{words.points(lost, 1)} and spends {words.percent(spent, 0)} of its {COSTS[cost]}."
        )
    lost_points = len(ranking) - len(sound)
    seeds = len(chosen.get("seeds", [0]))
    settings = words.listed(
        (
            f"{words.escape(key.partition('.')[2] or key)} {words.escape(value)}"
            for key, value in chosen["settings"].items()
        ),
        most=20,
    )
    tolerance = words.points(rule["tolerance"], 1)
    return plain(
        CHOSEN,
        f"search:{stage}",
        "search",
        [{"file": planned, "field": "ranking"}],
        kind=Kind.SEARCH,
        about=stage,
        n=len(ranking),
        estimate=chosen["validation_accuracy"],
        search=words.named(stage),
        points=words.count(len(ranking)),
        settings=settings,
        rule=RULES[rule["rule"]].format(cost=COSTS[cost], tolerance=tolerance),
        accuracy=words.percent(chosen["validation_accuracy"], 1)
        + f" ({words.number_of(seeds, 'seed')} per point)",
        cost=f"{spent_on(chosen[cost], cost)}",
        given=given,
        missed=f" {short_of} points did not reach their target before their last epoch."
        if short_of
        else "",
        diverged=f" {lost_points} points diverged." if lost_points else "",
    )


def spent_on(value: float, cost: str) -> str:
    """What a point cost, in its unit."""
    number = words.significant(value) if cost == "seconds" else words.count(value)
    return f"{number} {COSTS[cost]}"


def failure_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """Every run that diverged or left no files; or that there is none."""
    claims = []
    runs = [row for row in evidence.rows if row.cells["kind"] != "point"]
    for row in runs:
        cells, stage = row.cells, row.cells["stage"]
        if row.usable:
            continue
        values = {
            "kind": Kind.END,
            "about": cells["variant"],
            "label": words.named(cells["label"]),
            "seed": cells["seed"],
            "stage": "" if stage == "dense" else f", {words.named(stage)}",
        }
        id = f"{cells['status']}:{cells['variant']}:{cells['seed']}:{stage}"
        if cells["status"] == "diverged":
            values["epochs"] = words.number_of(cells.get("epochs", 0), "epoch")
            made = plain(DIVERGED, id, "failures", [row.input("epochs")], **values)
        else:
            said = words.escape(str(cells["reason"]).rstrip("."))
            made = plain(FAILED, id, "failures", [], reason=said, **values)
        claims.append(made)
    if claims:
        return claims
    counted = Counter(row.cells["kind"] for row in runs)
    kinds = {kind: counted[kind] for kind in NOUNS if counted[kind]}
    return [
        plain(
            ALL_WELL,
            "all_well",
            "failures",
            [],
            kind=Kind.END,
            n=len(runs),
            runs=words.listed(
                words.number_of(number, NOUNS[kind]) for kind, number in kinds.items()
            ),
        )
    ]
