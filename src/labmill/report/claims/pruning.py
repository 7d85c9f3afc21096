"""Prune loops: how far they go, and what they cost on test."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from labmill.evaluation.statistics import Verdict
from labmill.index import cheapest_above
from labmill.report.claims import words
from labmill.report.claims.accuracy import difference_claims
from labmill.report.claims.evidence import Contrast, Evidence, compare_seeds
from labmill.report.claims.images import image_claims
from labmill.report.claims.ranking import ACCURACY
from labmill.report.claims.template import Kind, Plain, plain
from labmill.report.read import Row, made_by_all, stage_of
from labmill.runtime import read_json

REACH = Plain(
    "Loop {loop} on {label} can go on to step {step} ({macs} of the multiply-adds left, "
    "validation accuracy {finetuned}, dense {dense}) before the drop from the dense "
    "network exceeds {drop}; at step {next} it is {lost}.{ends}"
)
REACH_ALL = Plain(
    "Loop {loop} on {label}: up to step {step}{shared} ({macs} of the multiply-adds left, "
    "validation accuracy {finetuned}, dense {dense}), the drop from the dense network "
    "does not exceed {drop}.{ends}"
)
REACH_NONE = Plain(
    "Loop {loop} on {label}: the first step already costs {lost} of validation accuracy "
    "against the dense network's {dense}, more than {drop}.{ends}"
)
ENOUGH = Plain(
    "Of the steps of loop {loop} on {label} with a validation accuracy above {least}, "
    "those with the fewest operations: {told}."
)
# What a loop without a limit of its own is held to.
DROP = 0.01


def pruning_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """All prune loops; the comparisons of their ends with other nets are a family."""
    claims, ends = [], []
    for loop, settings in evidence.study["pruning"].items():
        for variant in settings["variants"]:
            rows = loop_rows(evidence, loop, variant)
            numbers = sorted(int(what) for what in rows if what.isdigit())
            steps = {number: rows[str(number)] for number in numbers}
            if steps:
                claims += reach_claims(evidence, loop, variant, steps, settings)
                least = settings["above"]
                claims += enough_claims(evidence, loop, variant, steps, least)
                ends += contrasts(evidence, loop, variant, ends_of(steps), rows)
    outcomes = compare_seeds(ends, [ACCURACY] * len(ends), "ends of the prune loops")
    claims += difference_claims(evidence, outcomes, "pruning")
    few = [o.contrast for o in outcomes if o.test.verdict is Verdict.TOO_FEW]
    return claims + image_claims(evidence, few, "pruning")


# Step → seed → row, steps in order.
Steps = Mapping[int, Mapping[int, Row]]


def loop_rows(evidence: Evidence, loop: str, variant: str) -> dict[str, dict[int, Row]]:
    """Step or control of a loop → seed → row, where it ended well."""
    found: dict[str, dict[int, Row]] = {}
    for row in evidence.rows:
        name, what = stage_of(row.cells["stage"])
        if row.usable and (row.cells["variant"], name) == (variant, loop):
            found.setdefault(what, {})[row.cells["seed"]] = row
    return found


def ends_of(steps: Steps) -> dict[int, Row]:
    """Seed → the last network of its loop."""
    last: dict[int, Row] = {}
    for runs in steps.values():
        last |= runs
    return last


def mean(rows: Iterable[Row], column: str) -> float:
    """A figure's mean over rows."""
    return float(np.mean([row.cells[column] for row in rows]))


def left(rows: Collection[Row]) -> str:
    """Share of the dense network's multiply-adds."""
    return words.percent(mean(rows, "macs") / mean(rows, "dense_macs"), 0)


def validation_images(evidence: Evidence, variant: str) -> int:
    """The number of validation images."""
    runs = evidence.usable(variant, "validation_n").values()
    return next((row.cells["validation_n"] for row in runs), 1000)


def reach_claims(
    evidence: Evidence,
    loop: str,
    variant: str,
    steps: Steps,
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The last step at which the mean drop from the dense network is within the limit.

    Of the steps that every seed has made: only they have a mean of all seeds.
    """
    limit = settings["drop"] or DROP
    shared = made_by_all(steps)
    first = steps[shared[0]].values()
    dense, seeds = mean(first, "before"), len(first)
    lost = {k: dense - mean(steps[k].values(), "finetuned") for k in shared}
    over = [step for step, drop in lost.items() if drop > limit + 1e-9]
    within = [step for step in shared if not over or step < over[0]]
    digits = words.decimals(validation_images(evidence, variant), seeds)
    values: dict[str, Any] = {
        "loop": words.named(loop),
        "label": evidence.label(variant),
        "dense": words.percent(dense, digits),
        "drop": words.points(limit, 0 if round(100 * limit, 6) % 1 == 0 else 1),
        "shared": ", the last that every seed made" if seeds > 1 else ", its last",
        "ends": ended(steps, digits),
    }
    template = REACH if within and over else REACH_ALL if within else REACH_NONE
    if over:
        values |= {"next": over[0], "lost": words.points(lost[over[0]], max(digits, 1))}
    if within:
        rows = steps[within[-1]].values()
        values |= {
            "step": within[-1],
            "macs": left(rows),
            "finetuned": words.percent(mean(rows, "finetuned"), digits),
        }
    return [
        plain(
            template,
            f"prune:{loop}:{variant}:reach",
            "pruning",
            [
                row.input("finetuned")
                for runs in steps.values()
                for row in runs.values()
            ],
            kind=Kind.LOOP,
            about=f"{loop}:{variant}",
            n=seeds,
            estimate=float(within[-1]) if within else 0.0,
            **values,
        )
    ]


def ended(steps: Steps, digits: int) -> str:
    """Where each seed's loop ended, if not all ended after the same step."""
    ends = {
        seed: (stage_of(row.cells["stage"])[1], row.cells["finetuned"])
        for seed, row in ends_of(steps).items()
    }
    if len({step for step, _ in ends.values()}) == 1:
        return ""
    told = words.listed(
        f"{step} (seed {seed}: {words.percent(accuracy, digits)})"
        for seed, (step, accuracy) in ends.items()
    )
    return f" The loops of the seeds ended after steps {told}."


def contrasts(
    evidence: Evidence,
    loop: str,
    variant: str,
    ends: Mapping[int, Row],
    rows: Mapping[str, Mapping[int, Row]],
) -> list[Contrast]:
    """Each seed's last pruned network against its dense one and the loop's controls."""
    label = evidence.label(variant)
    others = {
        "end": (f"{label} as trained", evidence.usable(variant, ACCURACY)),
        "scratch": ("the same widths trained from scratch", rows.get("scratch", {})),
        "longer": (f"{label}, unpruned and trained as long", rows.get("longer", {})),
    }
    made = [
        Contrast(
            f"prune:{loop}:{variant}:{name}",
            f"{label} after {words.named(loop)}",
            second,
            {
                seed: [(end, other[seed])]
                for seed, end in ends.items()
                if seed in other
                and all(ACCURACY in r.cells for r in (end, other[seed]))
            },
            kind=Kind.LOOP,
            about=f"{loop}:{variant}",
        )
        for name, (second, other) in others.items()
    ]
    return [contrast for contrast in made if contrast.pairs]


def enough_claims(
    evidence: Evidence, loop: str, variant: str, steps: Steps, least: float | None
) -> list[dict[str, Any]]:
    """Each seed's step of fewest operations above an accuracy, and its test accuracy."""
    if least is None:
        return []
    told, inputs = [], []
    seeds = ends_of(steps)
    for seed in seeds:
        rows = [runs[seed] for runs in steps.values() if seed in runs]
        inputs += [row.input(name) for row in rows for name in ("finetuned", "macs")]
        place = cheapest_above([row.cells for row in rows], least)
        found = "none" if place is None else enough(evidence, rows[place])
        told.append(f"seed {seed}: {found}")
    return [
        plain(
            ENOUGH,
            f"prune:{loop}:{variant}:enough",
            "pruning",
            inputs,
            n=len(seeds),
            loop=words.named(loop),
            label=evidence.label(variant),
            least=words.percent(least, 0),
            told="; ".join(told),
        )
    ]


def enough(evidence: Evidence, row: Row) -> str:
    """One network: its step, widths, cost and accuracies."""
    record = read_json(evidence.place.path(row.record["files"]["prune"]))
    widths = ", ".join(f"{words.named(k)} {n}" for k, n in record["units"].items())
    test = row.cells.get(ACCURACY)
    tested = f", test {words.percent(test, 1)}" if test is not None else ""
    return (
        f"step {record['step']} ({widths} units; {left([row])} of the multiply-adds; "
        f"validation {words.percent(row.cells['finetuned'], 1)}{tested})"
    )
