"""Rule select: rank a search's points by validation figures, and choose."""

import csv
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labmill.errors import LabmillError, suggest
from labmill.runtime import log, read_json, write_json
from labmill.search.chosen import settings_at
from labmill.search.pareto import knee

COSTS = ("seconds", "operations", "parameters")


def select(
    settings: Mapping[str, Any],
    *,
    histories: Sequence[Mapping[str, Any]],
    base: Path | None,
    out: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write `out`, the ranking of all points and the settings of the first.

    settings: `rule`, `tolerance`, `cost` and `points` (name → dotted settings);
    histories: `point`, `seed`, `history` and `description` (paths) of every run;
    base: chosen.json of an earlier search that the points began from, whose settings
    (those of `settings["base"]["rank"]`, less the keys in its `fixed`) are handed on.
    """
    began: dict[str, Any] = {}
    if base is not None:
        about = settings.get("base") or {}
        began = settings_at(read_json(base), about.get("rank", 1), base)
        began = {k: v for k, v in began.items() if k not in about.get("fixed", ())}
    rows = [
        {"point": name, "settings": own, **figures_of(name, histories)}
        for name, own in settings["points"].items()
    ]
    ranking = rank(
        rows,
        rule=settings["rule"],
        tolerance=settings["tolerance"],
        cost=settings["cost"],
    )
    if ranking[0]["status"] == "diverged":
        raise LabmillError(
            f"{out}: all {len(ranking)} points of the search diverged; nothing can be "
            "chosen. Try smaller values of training.learning_rate"
        )
    log.info("chosen: %s of %d points", ranking[0]["point"], len(ranking))
    write_json(
        out,
        {
            "rule": {key: settings[key] for key in ("rule", "tolerance", "cost")},
            "base": began,
            "settings": {**began, **ranking[0]["settings"]},
            "ranking": ranking,
            "provenance": dict(provenance),
        },
    )


def rank(
    rows: Sequence[dict[str, Any]], *, rule: str, tolerance: float, cost: str
) -> list[dict[str, Any]]:
    """The points, the chosen one first and diverged ones last.

    `best`: by accuracy. `fastest`: those within `tolerance` of the best by cost, then
    the others by accuracy. `knee`: the Pareto front by height above the line between
    its ends, then the others by accuracy. Ties: more accuracy, less cost, then the
    name, so that the order of `rows` decides nothing.
    """
    if cost not in COSTS:
        raise LabmillError(f"select.cost: found {cost!r}; {suggest(cost, COSTS)}")
    rows = sorted(rows, key=lambda row: row["point"])
    sound = [row for row in rows if row["status"] != "diverged"]
    lost = [row for row in rows if row["status"] == "diverged"]
    best = max((row["validation_accuracy"] for row in sound), default=0.0)

    def by_accuracy(row: dict[str, Any]) -> tuple[float, ...]:
        return (-row["validation_accuracy"], row[cost])

    def by_cost(row: dict[str, Any]) -> tuple[float, ...]:
        # Accuracies are means of shares: rounding must not decide who is within.
        if row["validation_accuracy"] < best - tolerance - 1e-12:
            return (1, *by_accuracy(row))
        return (0, row[cost], -row["validation_accuracy"])

    heights = knee(
        [row[cost] for row in sound], [row["validation_accuracy"] for row in sound]
    )
    height = {row["point"]: -h for row, h in zip(sound, heights, strict=True)}

    def by_height(row: dict[str, Any]) -> tuple[float, ...]:
        return (height[row["point"]], *by_accuracy(row))

    orders = {"best": by_accuracy, "fastest": by_cost, "knee": by_height}
    if rule not in orders:
        raise LabmillError(f"select.rule: found {rule!r}; {suggest(rule, orders)}")
    return sorted(sound, key=orders[rule]) + lost


def figures_of(point: str, histories: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One point's figures: means over its seeds, and the accuracy's deviation."""
    runs = [figures(run) for run in histories if run["point"] == point]
    if not runs:
        raise LabmillError(f"search: no finished run of point {point!r}")
    accuracies = [run["validation_accuracy"] for run in runs]
    statuses = sorted({run["status"] for run in runs})
    diverged = "diverged" in statuses
    sound = [a for a in accuracies if a is not None]
    return {
        "validation_accuracy": statistics.fmean(sound) if sound else None,
        "validation_sd": statistics.stdev(sound) if len(sound) > 1 else None,
        **{cost: statistics.fmean(run[cost] for run in runs) for cost in COSTS},
        "status": "diverged" if diverged else ", ".join(statuses),
        "reached": reached(run["reached"] for run in runs),
        "seeds": [run["seed"] for run in runs],
        "accuracies": accuracies,
        "costs": {cost: [run[cost] for run in runs] for cost in COSTS},
    }


def reached(runs: Iterable[bool | None]) -> bool | None:
    """Whether all seeds reached the target (`until`); None where there was none."""
    known = [run for run in runs if run is not None]
    return all(known) if known else None


def missed(point: Mapping[str, Any]) -> bool:
    """Whether a ranked point had a target and a seed did not reach it."""
    return point.get("reached") is False


def figures(run: Mapping[str, Any]) -> dict[str, Any]:
    """What one run reached, and what it spent until then.

    The accuracy is that of the weights that were kept: of the best epoch with early
    stopping, else of the last one that was validated.
    """
    with Path(run["history"]).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    description = read_json(run["description"])
    training = description["training"]
    known = [
        float(row["validation_accuracy"]) for row in rows if row["validation_accuracy"]
    ]
    if training["status"] != "diverged" and not known:
        raise LabmillError(
            f"{run['history']}: no validation accuracy to choose by; "
            "set data.validation, and training.evaluate_every below the epochs"
        )
    recipe = description["provenance"]["settings"]["training"]
    kept = max if recipe.get("early_stopping") else (lambda values: values[-1])
    last = rows[-1] if rows else {}
    return {
        "seed": run["seed"],
        "status": training["status"],
        "reached": training["status"] == "reached_target"
        if recipe.get("until")
        else None,
        "validation_accuracy": kept(known) if known else None,
        "seconds": number(last.get("seconds")),
        "operations": number(last.get("operations")),
        "parameters": training["parameters"],
    }


def number(text: str | None) -> float:
    """A cell as a number; an empty one is 0."""
    value = float(text or 0)
    return value if math.isfinite(value) else 0.0
