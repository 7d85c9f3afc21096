"""Rule select: rank a search's points by validation accuracy and cost, and choose."""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from labmill.core.errors import LabmillError
from labmill.core.logs import log
from labmill.core.records import Number, Provenance, Settings
from labmill.core.trees import JsonObject
from labmill.search.chosen_settings import settings_at
from labmill.search.importance import importance
from labmill.search.pareto import knee
from labmill.search.records import (
    Costs,
    Proposals,
    RankedPoint,
    Rule,
    SearchResult,
    SearchRound,
)
from labmill.training.records import ModelDescription, Status

# `seed`, `history` and `description` of a run; in a search also its `point`.
RunPaths = JsonObject


# A point with a seed that ended so cannot be chosen.
UNFINISHED = ("diverged", "paused")


@dataclass(frozen=True)
class RunResult:
    """Validation accuracy of one run's kept weights, and its cost."""

    seed: int
    status: Status
    reached: bool | None  # whether it reached its target (`until`); None without one
    validation_accuracy: float | None
    seconds: float
    operations: float
    parameters: int


def select(
    *,
    histories: Sequence[RunPaths],
    base: Path | None,
    out: Path,
    provenance: Provenance,
    rounds: Path | None = None,
) -> None:
    """Write chosen.json: the ranking of all points, and the settings of the first.

    `base` is chosen.json of an earlier search, from which the points began; its
    settings are passed on, except the keys in `fixed`. The job's settings are `rule`,
    `tolerance`, `cost`, `points` (name → dotted settings) and `base` (`rank` and
    `fixed`). `rounds` is the last round of a search with a budget, which tries some of
    the points.
    """
    settings = provenance.settings
    began: Settings = {}
    if base is not None:
        about = settings.get("base") or {}
        began = settings_at(base, about.get("rank", 1))
        began = {k: v for k, v in began.items() if k not in about.get("fixed", ())}
    made = Proposals.read(rounds).rounds if rounds else []
    tried = {name for one in made for name in one.points} or settings["points"].keys()
    points = [
        summarise(name, own, histories)
        for name, own in settings["points"].items()
        if name in tried
    ]
    rule = Rule(**{name: settings[name] for name in Rule.model_fields})
    ranking = rank(points, rule)
    if ranking[0].status in UNFINISHED:
        raise LabmillError(
            f"{out}: all {len(ranking)} points of the search diverged; nothing can be "
            "chosen. Try smaller values of training.learning_rate"
        )
    log.info("chosen: %s of %d points", ranking[0].point, len(ranking))
    SearchResult(
        rule=rule,
        base=began,
        settings={**began, **ranking[0].settings},
        ranking=ranking,
        **(budgeted(made, points, histories) if made else {}),
        provenance=provenance,
    ).write(out)


def budgeted(
    rounds: list[SearchRound],
    points: Sequence[RankedPoint],
    histories: Sequence[RunPaths],
) -> JsonObject:
    """Return what chosen.json adds for a search with a budget.

    Where points stop at different epochs, importance is that at the first stop, which
    all reached.
    """
    known: dict[str, list[float]] = {}
    several = len({one.end for one in rounds}) > 1
    for run in histories:
        rows = ModelDescription.read(run["description"]).history(Path(run["history"]))
        found = [
            row.validation_accuracy
            for row in rows
            if row.validation_accuracy is not None and row.epoch <= rounds[0].end
        ]
        known.setdefault(run["point"], []).extend(found[-1:])
    kept = [point for point in points if point.status != "diverged"]
    at = [statistics.fmean(known[p.point]) if several else accuracy_of(p) for p in kept]
    return {
        "rounds": rounds,
        "importance": importance([point.settings for point in kept], at),
    }


def rank(points: Sequence[RankedPoint], rule: Rule) -> list[RankedPoint]:
    """Return the points, the chosen one first; at the end stopped and diverged ones.

    `best`: by accuracy. `fastest`: those within `tolerance` of the best by cost, then
    the others by accuracy. `knee`: the Pareto front by height above the line between
    its ends, then the others by accuracy. Ties: more accuracy, less cost, then the
    name, so that the order of `points` does not matter.
    """
    points = sorted(points, key=lambda point: point.point)
    sound = [point for point in points if point.status not in UNFINISHED]
    stopped = [point for point in points if point.status == "paused"]
    diverged = [point for point in points if point.status == "diverged"]
    best = max(map(accuracy_of, sound), default=0.0)

    def cost_of(point: RankedPoint) -> Number:
        cost: Number = getattr(point, rule.cost)
        return cost

    def by_accuracy(point: RankedPoint) -> tuple[float, ...]:
        return (-accuracy_of(point), cost_of(point))

    def by_cost(point: RankedPoint) -> tuple[float, ...]:
        # Accuracies are means of shares: rounding must not decide which are within.
        if accuracy_of(point) < best - rule.tolerance - 1e-12:
            return (1, *by_accuracy(point))
        return (0, cost_of(point), -accuracy_of(point))

    heights = knee([*map(cost_of, sound)], [*map(accuracy_of, sound)])
    height = {point.point: -h for point, h in zip(sound, heights, strict=True)}

    orders: dict[str, Callable[[RankedPoint], tuple[float, ...]]] = {
        "best": by_accuracy,
        "fastest": by_cost,
        "knee": lambda point: (height[point.point], *by_accuracy(point)),
    }
    return [
        *sorted(sound, key=orders[rule.rule]),
        *sorted(stopped, key=by_accuracy),
        *diverged,
    ]


def accuracy_of(point: RankedPoint) -> float:
    """Return the validation accuracy of a point that did not diverge."""
    assert point.validation_accuracy is not None, point.point
    return point.validation_accuracy


def summarise(
    point: str, settings: Settings, histories: Sequence[RunPaths]
) -> RankedPoint:
    """Return one point with means over its seeds; for `histories` see `select`."""
    runs = [run_result(run) for run in histories if run["point"] == point]
    if not runs:
        raise LabmillError(f"search: no finished run of point {point!r}")
    accuracies = [run.validation_accuracy for run in runs]
    statuses = sorted({run.status for run in runs})
    known = [a for a in accuracies if a is not None]
    targets = [run.reached for run in runs if run.reached is not None]
    return RankedPoint(
        point=point,
        settings=settings,
        validation_accuracy=statistics.fmean(known) if known else None,
        validation_sd=statistics.stdev(known) if len(known) > 1 else None,
        seconds=statistics.fmean(run.seconds for run in runs),
        operations=statistics.fmean(run.operations for run in runs),
        parameters=statistics.fmean(run.parameters for run in runs),
        status=next((s for s in UNFINISHED if s in statuses), ", ".join(statuses)),
        reached=all(targets) if targets else None,
        seeds=[run.seed for run in runs],
        accuracies=accuracies,
        costs=Costs(
            seconds=[run.seconds for run in runs],
            operations=[run.operations for run in runs],
            parameters=[run.parameters for run in runs],
        ),
    )


def run_result(run: RunPaths) -> RunResult:
    """Return what one run reached, and what it spent until then.

    The accuracy is that of the weights that were kept: of the best epoch with early
    stopping, else of the last one that was validated.
    """
    description = ModelDescription.read(run["description"])
    rows = description.history(Path(run["history"]))
    training = description.training
    known = [
        row.validation_accuracy for row in rows if row.validation_accuracy is not None
    ]
    if training.status != "diverged" and not known:
        raise LabmillError(
            f"{run['history']}: no validation accuracy to choose by; "
            "set data.validation, and training.evaluate_every below the epochs"
        )
    settings = description.provenance.settings
    settings = settings.get("run", settings)["training"]
    kept = None
    if known:
        kept = max(known) if settings.get("early_stopping") else known[-1]
    return RunResult(
        seed=run["seed"],
        status=training.status,
        reached=training.status == "reached_target" if settings.get("until") else None,
        validation_accuracy=kept,
        seconds=finite(training.seconds),
        operations=finite(rows[-1].operations) if rows else 0.0,
        parameters=training.parameters,
    )


def finite(value: float) -> float:
    """Return the value as a float, 0 for one that is not finite."""
    return float(value) if math.isfinite(value) else 0.0
