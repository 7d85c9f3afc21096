"""Prune loops: the triple of each step, how far it goes, and what it costs on test."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labmill.evaluation.statistics import Verdict
from labmill.report.claims import words
from labmill.report.claims.accuracy import ACCURACY, difference_claim
from labmill.report.claims.evidence import Contrast, Evidence, compare_seeds
from labmill.report.claims.images import image_claims
from labmill.report.claims.template import Kind, Plain, plain
from labmill.report.read import Row, made_by_all
from labmill.runtime import read_json

STEP = Plain(
    "Step {step} of loop {loop} on {label}: validation accuracy {before} before, {after} "
    "after removing units, {finetuned} after fine-tuning ({seeds}); "
    "{parameters} of the parameters and {macs} of the multiply-adds are left."
)
REACH = Plain(
    "Loop {loop} on {label} can go on to step {step} ({macs} of the multiply-adds left, "
    "validation accuracy {finetuned}, dense {dense}) before the drop from the dense "
    "network exceeds {drop}; at step {next} it is {lost}."
)
REACH_ALL = Plain(
    "Loop {loop} on {label}: up to its last step, {step} ({macs} of the multiply-adds left, "
    "validation accuracy {finetuned}, dense {dense}), the drop from the dense network "
    "does not exceed {drop}."
)
REACH_NONE = Plain(
    "Loop {loop} on {label}: the first step already costs {lost} of validation accuracy "
    "against the dense network's {dense}, more than {drop}."
)
ENOUGH = Plain(
    "Of the steps of loop {loop} on {label} with a validation accuracy above {least}, "
    "those with the fewest operations: {told}."
)
# What a loop without a limit of its own is held to.
DROP = 0.01
# A loop of more steps is told by its first and last.
MOST_STEPS = 6


def pruning_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """All prune loops; the comparisons of their ends with other nets are a family."""
    claims, ends = [], []
    for loop, settings in evidence.study["pruning"].items():
        for variant in settings["variants"]:
            steps = steps_of(evidence, loop, variant)
            if not steps:
                continue
            numbers = list(steps)
            told = numbers if len(steps) <= MOST_STEPS else [numbers[0], numbers[-1]]
            claims += [step_claim(evidence, loop, variant, k, steps[k]) for k in told]
            claims += reach_claims(evidence, loop, variant, steps, settings)
            claims += enough_claims(evidence, loop, variant, settings.get("above"))
            ends += [c for c in contrasts(evidence, loop, variant) if c.pairs]
    outcomes = compare_seeds(ends, [ACCURACY] * len(ends), "ends of the prune loops")
    claims += [difference_claim(evidence, outcome, "pruning") for outcome in outcomes]
    few = [o.contrast for o in outcomes if o.test.verdict is Verdict.TOO_FEW]
    return claims + image_claims(evidence, few, "pruning")


def steps_of(evidence: Evidence, loop: str, variant: str) -> dict[int, list[Row]]:
    """Step → rows of the seeds, for the steps that every seed has made."""
    found: dict[int, list[Row]] = {}
    for row in evidence.rows:
        name, _, step = row.cells["stage"].rpartition("_")
        mine = (row.cells["variant"], name) == (variant, loop)
        if mine and row.usable and "finetuned" in row.cells:
            found.setdefault(int(step), []).append(row)
    return {step: found[step] for step in made_by_all(found)}


def mean(rows: Sequence[Row], column: str) -> float:
    """A figure's mean over rows."""
    return float(np.mean([row.cells[column] for row in rows]))


def left(rows: Sequence[Row]) -> str:
    """Share of the dense network's multiply-adds."""
    return words.percent(mean(rows, "macs") / mean(rows, "dense_macs"), 0)


def step_claim(
    evidence: Evidence, loop: str, variant: str, step: int, rows: Sequence[Row]
) -> dict[str, Any]:
    """One step's triple: before, after pruning, fine-tuned."""
    digits = words.decimals(validation_images(evidence, variant), len(rows))
    dense = evidence.usable(variant, "parameters")
    whole = mean(list(dense.values()), "parameters") if dense else float("nan")
    names = ("before", "after_pruning", "finetuned", "parameters", "macs")
    return plain(
        STEP,
        f"prune:{loop}:{variant}:step{step}",
        "pruning",
        [row.input(name) for row in rows for name in names]
        + [row.input("parameters") for row in dense.values()],
        n=len(rows),
        estimate=mean(rows, "finetuned") - mean(rows, "before"),
        step=step,
        loop=words.named(loop),
        label=evidence.label(variant),
        before=words.percent(mean(rows, "before"), digits),
        after=words.percent(mean(rows, "after_pruning"), digits),
        finetuned=words.percent(mean(rows, "finetuned"), digits),
        seeds=words.averaged(len(rows)),
        parameters=words.percent(mean(rows, "parameters") / whole, 0),
        macs=left(rows),
    )


def validation_images(evidence: Evidence, variant: str) -> int:
    """The number of validation images."""
    runs = evidence.usable(variant, "validation_n").values()
    return next((row.cells["validation_n"] for row in runs), 1000)


def reach_claims(
    evidence: Evidence,
    loop: str,
    variant: str,
    steps: Mapping[int, Sequence[Row]],
    settings: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """The last step at which the mean drop from the dense network is within the limit."""
    limit = settings["drop"] or DROP
    dense = mean(next(iter(steps.values())), "before")
    lost = {step: dense - mean(rows, "finetuned") for step, rows in steps.items()}
    over = [step for step, drop in lost.items() if drop > limit + 1e-9]
    within = [step for step in steps if not over or step < over[0]]
    seeds = len(next(iter(steps.values())))
    digits = words.decimals(validation_images(evidence, variant), seeds)
    values: dict[str, Any] = {
        "loop": words.named(loop),
        "label": evidence.label(variant),
        "dense": words.percent(dense, digits),
        "drop": words.points(limit, 0 if round(100 * limit, 6) % 1 == 0 else 1),
    }
    template = REACH if within and over else REACH_ALL if within else REACH_NONE
    if over:
        values |= {"next": over[0], "lost": words.points(lost[over[0]], max(digits, 1))}
    if within:
        rows = steps[within[-1]]
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
            [row.input("finetuned") for rows in steps.values() for row in rows],
            kind=Kind.LOOP,
            about=f"{loop}:{variant}",
            n=seeds,
            estimate=float(within[-1]) if within else 0.0,
            **values,
        )
    ]


def contrasts(evidence: Evidence, loop: str, variant: str) -> list[Contrast]:
    """Each seed's last pruned network against its dense one and the loop's controls."""
    label = evidence.label(variant)
    ends = stage_rows(evidence, loop, variant)
    others = {
        "end": (f"{label} as trained", evidence.usable(variant, ACCURACY)),
        "scratch": (
            "the same widths trained from scratch",
            stage_rows(evidence, loop, variant, "scratch"),
        ),
        "longer": (
            f"{label}, unpruned and trained as long",
            stage_rows(evidence, loop, variant, "longer"),
        ),
    }
    return [
        Contrast(
            f"prune:{loop}:{variant}:{name}",
            f"{label} after {words.named(loop)}",
            second,
            {seed: [(ends[seed], rows[seed])] for seed in ends if seed in rows},
        )
        for name, (second, rows) in others.items()
    ]


def stage_rows(
    evidence: Evidence, loop: str, variant: str, control: str | None = None
) -> dict[int, Row]:
    """Seed → the row of a loop's last step, or of one of its controls, with scores."""
    found: dict[int, Row] = {}
    for row in evidence.rows:
        name, _, stage = row.cells["stage"].rpartition("_")
        mine = stage == control if control else stage.isdigit()
        mine = mine and (row.cells["variant"], name) == (variant, loop)
        if mine and row.usable and ACCURACY in row.cells:
            found[row.cells["seed"]] = row
    return found


def enough_claims(
    evidence: Evidence, loop: str, variant: str, least: float | None
) -> list[dict[str, Any]]:
    """Each seed's step of fewest operations above an accuracy, and its test accuracy."""
    if least is None:
        return []
    label, told, inputs = evidence.label(variant), [], []
    seeds: dict[int, list[Row]] = {}
    for row in evidence.rows:
        name = row.cells["stage"].rpartition("_")[0]
        mine = (row.cells["variant"], name) == (variant, loop)
        if mine and row.usable and "finetuned" in row.cells:
            seeds.setdefault(row.cells["seed"], []).append(row)
    for seed, rows in seeds.items():
        inputs += [row.input(name) for row in rows for name in ("finetuned", "macs")]
        above = [row for row in rows if row.cells["finetuned"] > least]
        row = min(
            above,
            key=lambda r: (r.cells["macs"], -r.cells["finetuned"]),
            default=None,
        )
        told.append(f"seed {seed}: {enough(evidence, row) if row else 'none'}")
    return [
        plain(
            ENOUGH,
            f"prune:{loop}:{variant}:enough",
            "pruning",
            inputs,
            n=len(seeds),
            loop=words.named(loop),
            label=label,
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
