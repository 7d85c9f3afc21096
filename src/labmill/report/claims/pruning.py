"""Prune loops: the triple of each step, how far it goes, and what it costs on test."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from labmill.evaluation.statistics import Verdict
from labmill.report.claims import words
from labmill.report.claims.accuracy import ACCURACY, difference_claim, image_claims
from labmill.report.claims.evidence import Contrast, Evidence, compare_seeds
from labmill.report.claims.template import Plain, plain
from labmill.report.read import Row, made_by_all

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
# What a loop without a limit of its own is held to.
DROP = 0.01
# A loop of more steps is told by its first and last.
MOST_STEPS = 6


def pruning_claims(evidence: Evidence) -> list[dict[str, Any]]:
    """All prune loops; the comparisons of their ends with the dense nets are a family."""
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
            ends.append(end_contrast(evidence, loop, variant))
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
            n=seeds,
            estimate=float(within[-1]) if within else 0.0,
            **values,
        )
    ]


def end_contrast(evidence: Evidence, loop: str, variant: str) -> Contrast:
    """Each seed's last pruned network against its dense one."""
    pairs: dict[int, list[tuple[Row, Row]]] = {}
    dense = evidence.usable(variant, ACCURACY)
    for row in evidence.rows:
        name = row.cells["stage"].rpartition("_")[0]
        seed = row.cells["seed"]
        if (
            (row.cells["variant"], name) == (variant, loop)
            and row.usable
            and ACCURACY in row.cells
            and seed in dense
        ):
            pairs[seed] = [(row, dense[seed])]
    label = evidence.label(variant)
    first = f"{label} after {words.named(loop)}"
    return Contrast(f"prune:{loop}:{variant}:end", first, f"{label} as trained", pairs)
