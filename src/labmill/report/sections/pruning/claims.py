"""Prune loops: how far they go, and what they cost on test."""

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from labmill.plan.outputs import cheapest_above, kept_step
from labmill.pruning.records import PruneRecord
from labmill.report.claims.claim import (
    Claim,
    Kind,
    Phrase,
    Statement,
    claim,
    digits_apart,
)
from labmill.report.claims.comparison import (
    ACCURACY,
    Comparison,
    Evidence,
    TestedFamily,
)
from labmill.report.claims.differences import difference_claim
from labmill.report.claims.images import image_claims
from labmill.report.number_format import decimals
from labmill.report.results import StudyResults
from labmill.report.runs import Run, made_by_all, mean, stage_of
from labmill.report.sections.pruning.influence import influence_claims
from labmill.report.text import named, spaced
from labmill.stats.significance import LEAST_SEEDS, Mean, mean_over_seeds

LOSS = "{verb} {size:points}{interval}"
KEPT = (
    "Pruning {label:name} to {macs:percent.0} of its multiply-adds {loss} of validation "
    "accuracy ({unpruned:percent} → {finetuned:percent}; step {step} of loop {loop:name}, "
)
REACH = Statement(
    KEPT + "the last that costs at most {drop:round_points}). Step {next} {lost}."
    "{certain}{ends_of}"
)
REACH_ALL = Statement(
    KEPT + "{shared}; no step costs more than {drop:round_points}).{certain}{ends_of}"
)
REACH_NONE = Statement(
    "Pruning {label:name} (loop {loop:name}) {lost} of validation accuracy already at step "
    "{next} (unpruned: {unpruned:percent}), more than {drop:round_points}.{certain}{ends_of}"
)
INTERVAL = " (95\N{NO-BREAK SPACE}% interval {ends:ends}{zero})"
BETWEEN = " With these intervals, the loop stays within {drop:round_points} for {first} to {last} steps."
ONE_SEED = " One seed gives no interval for that."
ENDS = " The seeds' loops ended after steps {steps:list}."
ENOUGH = Statement(
    "Steps of loop {loop:name} on {label:name} with the fewest operations among those with a "
    "validation accuracy above {least:percent.0}: {steps:semicolons}."
)
STEP = (
    "seed {seed}: step {step} ({widths} units; {macs:percent.0} of the multiply-adds; "
    "validation {validation:percent.1}{test})"
)
# Step → seed → run, steps in order.
Steps = Mapping[int, Mapping[int, Run]]


def make_claims(results: StudyResults) -> list[Claim]:
    """Return how far loops go, how their ends compare, and the influence of units."""
    return [*pruning_claims(results), *influence_claims(results)]


def pruning_claims(results: StudyResults) -> list[Claim]:
    """Return all prune loops; comparisons of their networks with others are a family."""
    claims, comparisons = [], []
    runs: dict[str, Mapping[int, Run]] = {}
    for loop, settings in results.study["pruning"].items():
        for variant in settings["variants"]:
            rows = loop_rows(results, loop, variant)
            numbers = sorted(int(stage) for stage in rows if stage.isdigit())
            steps = {number: rows[str(number)] for number in numbers}
            if steps:
                limit = settings["drop"] or results.study["margin"]
                claims.append(reach_claim(results, loop, variant, steps, limit))
                least = settings["above"]
                if least is not None:
                    claims.append(enough_claim(results, loop, variant, steps, least))
                networks = networks_of(results, loop, variant, rows, limit)
                runs |= networks
                comparisons += compared(results, loop, variant, networks)
    evidence = Evidence(runs, ACCURACY, results.study["margin"], results.overlap)
    family = TestedFamily.of(evidence, comparisons, "networks of the prune loops")
    outcomes = [found for one in comparisons if (found := family.outcome(one))]
    few = [o.comparison for o in outcomes if o.test.n < LEAST_SEEDS]
    return [
        *claims,
        *map(difference_claim, outcomes),
        *image_claims(evidence, few, "pruning"),
    ]


def loop_rows(
    results: StudyResults, loop: str, variant: str
) -> dict[str, dict[int, Run]]:
    """Return step or control of a loop → seed → usable run."""
    found: dict[str, dict[int, Run]] = {}
    for row in results.rows:
        name, stage = stage_of(row.stage)
        if row.usable and (row.variant, name) == (variant, loop):
            found.setdefault(stage, {})[row.seed] = row
    return found


def ends_of(steps: Steps) -> dict[int, Run]:
    """Return seed → the last network of its loop."""
    last: dict[int, Run] = {}
    for runs in steps.values():
        last |= runs
    return last


def left(rows: Collection[Run]) -> float:
    """Return the share of the unpruned network's multiply-adds."""
    return mean(rows, "macs") / mean(rows, "dense_macs")


def reach_claim(
    results: StudyResults, loop: str, variant: str, steps: Steps, limit: float
) -> Claim:
    """Return the last step at which the mean loss of accuracy is within the limit.

    Only steps that every seed has made have a mean of all seeds. The claim's interval
    contains the steps that the losses' own intervals allow.
    """
    shared = made_by_all(steps)
    unpruned = {seed: run.cells["before"] for seed, run in steps[shared[0]].items()}
    losses = {
        step: mean_over_seeds(
            [
                unpruned[seed] - run.cells["finetuned"]
                for seed, run in steps[step].items()
            ]
        )
        for step in shared
    }
    over = [step for step, lost in losses.items() if lost.estimate > limit + 1e-9]
    within = [step for step in shared if not over or step < over[0]]
    ends = reached(losses, limit)
    validation = results.usable(variant, "validation_n").values()
    images = next((row.cells["validation_n"] for row in validation), 1000)
    digits = digits_apart(
        (lost.estimate for lost in losses.values()),
        [limit],
        max(1, decimals(images, len(unpruned))),
    )
    values: dict[str, Any] = {}
    if over:
        values |= {"next": over[0], "lost": loss(losses[over[0]], digits)}
    if within:
        rows = steps[within[-1]].values()
        values |= {
            "step": within[-1],
            "macs": left(rows),
            "finetuned": mean(rows, "finetuned"),
            "loss": loss(losses[within[-1]], digits),
        }
    between = None
    if ends and ends[0] != ends[1]:
        between = Phrase(BETWEEN, drop=limit, first=ends[0], last=ends[1])
    return claim(
        REACH if within and over else REACH_ALL if within else REACH_NONE,
        f"prune:{loop}:{variant}:reach",
        [row.input("finetuned") for runs in steps.values() for row in runs.values()],
        kind=Kind.LOOP,
        about=f"{loop}:{variant}",
        n=len(unpruned),
        estimate=float(within[-1]) if within else 0.0,
        ends=ends or (None, None),
        digits=digits,
        loop=spaced(loop),
        label=results.label(variant),
        unpruned=float(np.mean([*unpruned.values()])),
        drop=limit,
        shared="the last that every seed made" if len(unpruned) > 1 else "its last",
        certain=between if ends else Phrase(ONE_SEED),
        ends_of=ended(steps),
        **values,
    )


def reached(losses: Mapping[int, Mean], limit: float) -> tuple[int, int] | None:
    """Return the last steps certainly and possibly within the limit; None for one seed.

    0 is the unpruned network.
    """
    if any(lost.n < 2 for lost in losses.values()):
        return None
    certain = possible = 0
    for step, lost in losses.items():
        low = lost.estimate if lost.low is None else lost.low
        high = lost.estimate if lost.high is None else lost.high
        if low <= limit + 1e-9 and possible == step - 1:
            possible = step
        if high <= limit + 1e-9 and certain == step - 1:
            certain = step
    return certain, possible


def loss(lost: Mean, digits: int) -> Phrase:
    """Return that a step costs accuracy or gains some, and its interval."""
    interval = None
    if lost.low is not None and lost.high is not None:
        text = INTERVAL.replace("ends}", f"ends.{digits}}}")
        ends = (lost.low, lost.high)
        interval = Phrase(
            text,
            ends=ends if lost.estimate >= 0 else (-ends[1], -ends[0]),
            zero=", which includes 0" if ends[0] <= 0 <= ends[1] else "",
        )
    verb = "costs" if lost.estimate >= 0 else "gains"
    text = LOSS.replace("points}", f"points.{digits}}}")
    return Phrase(text, verb=verb, size=abs(lost.estimate), interval=interval)


def ended(steps: Steps) -> Phrase | None:
    """Return where each seed's loop ended, if not all ended after the same step."""
    ends = {seed: stage_of(row.stage)[1] for seed, row in ends_of(steps).items()}
    if len(set(ends.values())) == 1:
        return None
    return Phrase(
        ENDS,
        steps=[
            Phrase(
                "{step} (seed {seed}: {accuracy:percent})",
                step=ends[seed],
                seed=seed,
                accuracy=row.cells["finetuned"],
            )
            for seed, row in ends_of(steps).items()
        ],
    )


def networks_of(
    results: StudyResults,
    loop: str,
    variant: str,
    rows: Mapping[str, Mapping[int, Run]],
    limit: float,
) -> dict[str, Mapping[int, Run]]:
    """Return the networks of a loop that have a test accuracy: name → seed → run.

    `kept` is the last step of each seed before its loss exceeds the limit, `end` the
    last one; a seed without the first has none of them.
    """
    steps = {int(stage): runs for stage, runs in rows.items() if stage.isdigit()}
    end = ends_of(dict(sorted(steps.items())))
    kept = {}
    for seed in end:
        made = [steps[step][seed] for step in sorted(steps) if seed in steps[step]]
        if step := kept_step([run.cells for run in made], limit):
            kept[seed] = made[step - 1]
    found = {
        "dense": results.usable(variant, ACCURACY),
        "kept": kept if len(kept) == len(end) else {},
        "end": end,
        "scratch": rows.get("scratch", {}),
        "longer": rows.get("longer", {}),
    }
    if any(ACCURACY not in run.cells for run in kept.values()):
        found["kept"] = {}
    return {
        row(loop, variant, name): tested
        for name, runs in found.items()
        if (tested := {s: run for s, run in runs.items() if ACCURACY in run.cells})
    }


def row(loop: str, variant: str, name: str) -> str:
    """Return the name of a network in the evidence; loops share the unpruned one."""
    return variant if name == "dense" else f"{loop}:{variant}:{name}"


def compared(
    results: StudyResults,
    loop: str,
    variant: str,
    networks: Mapping[str, Mapping[int, Run]],
) -> list[Comparison]:
    """Compare the kept network with the unpruned one, the last one with the controls."""
    label = named(results.label(variant))
    kept, end = (networks.get(row(loop, variant, name)) for name in ("kept", "end"))
    trained, last = (
        f"{label} as trained",
        f"{label} after all steps of loop {named(spaced(loop))}",
    )
    asked = [
        (last, "the same widths trained from scratch", "end", "scratch"),
        (last, f"{label}, unpruned and trained as long", "end", "longer"),
    ]
    if kept and kept != end:
        within = f"{label} after the last step of loop {named(spaced(loop))} within its limit"
        asked.insert(0, (within, trained, "kept", "dense"))
    else:
        asked.insert(0, (last, trained, "end", "dense"))
    return [
        Comparison(
            f"prune:{loop}:{variant}:{a if b == 'dense' else b}",
            first,
            second,
            [(row(loop, variant, a), row(loop, variant, b))],
            kind=Kind.LOOP,
            about=f"{loop}:{variant}",
            of_variants=False,
        )
        for first, second, a, b in asked
        if {row(loop, variant, a), row(loop, variant, b)} <= set(networks)
    ]


def enough_claim(
    results: StudyResults, loop: str, variant: str, steps: Steps, least: float
) -> Claim:
    """Return each seed's step of fewest operations above an accuracy."""
    found, inputs = [], []
    seeds = ends_of(steps)
    for seed in seeds:
        rows = [runs[seed] for runs in steps.values() if seed in runs]
        inputs += [row.input(name) for row in rows for name in ("finetuned", "macs")]
        place = cheapest_above([row.cells for row in rows], least)
        found.append(
            Phrase("seed {seed}: none", seed=seed)
            if place is None
            else enough(rows[place])
        )
    return claim(
        ENOUGH,
        f"prune:{loop}:{variant}:enough",
        inputs,
        n=len(seeds),
        loop=spaced(loop),
        label=results.label(variant),
        least=least,
        steps=found,
    )


def enough(row: Run) -> Phrase:
    """Return one network: its step, widths, cost and accuracies."""
    record = row.read(PruneRecord)
    assert record is not None
    test = row.cells.get(ACCURACY)
    return Phrase(
        STEP,
        seed=row.seed,
        step=record.step,
        widths=", ".join(f"{named(k)} {n}" for k, n in record.units.items()),
        macs=left([row]),
        validation=row.cells["finetuned"],
        test=None if test is None else Phrase(", test {test:percent.1}", test=test),
    )
