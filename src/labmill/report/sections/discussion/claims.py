"""Observations that call for an explanation. Each is a rule with a threshold.

An explanation is worded as consistent with the data: none was tested.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from labmill.profiling.records import Measurement
from labmill.report.claims.claim import Claim, Statement, claim
from labmill.report.claims.comparison import ACCURACY
from labmill.report.number_format import decimals, percent
from labmill.report.results import StudyResults
from labmill.report.runs import Run, mean
from labmill.report.text import all_of, named, number_of, span
from labmill.study.metrics import metrics_of

CLASSES = Statement(
    "{share:percent.0} of the difference between {first:name} and {second:name} "
    "({part:points} of {whole:points}) comes from {few} of {all} classes: {names:list}."
)
BEYOND = Statement(
    "{names:list} ({few} of {all} classes) {verb} {part:points} of the difference between "
    "{first:name} and {second:name}, which is {whole:points} over all classes: the others "
    "together go the other way."
)
COST = Statement(
    "{few:name} needs {operations:percent.0} of the multiply-adds of {many:name}, "
    "{bytes:percent.0} of the memory traffic (weights and activations) and "
    "{time:percent.0} of the time for one image. This is consistent with time that "
    "depends on {causes} more than on arithmetic."
)
TRAFFIC = "memory traffic and the cost of each call"
# What is slower than its traffic explains.
CALLS = "the cost of each call"
FALLING = Statement(
    "The training loss of {variants:list} was still falling at the end: by {falls:list} over "
    "the last {epochs}. This is consistent with training that had not converged."
)
OVERFIT = Statement(
    "{variants:list} recognise {train:list} of the training images, but "
    "{validation:list} of the validation images. This is consistent with overfitting."
)
SATURATED = Statement(
    "{label:name} gets {accuracy:percent} of the {images:number} test {things} right"
    "{errors}. So few errors leave little room for differences."
)
EASIER = Statement(
    "For {all}, test accuracy is {least:points} to {most:points} {side} "
    "validation accuracy. This is consistent with test images "
    "that are {what} by chance."
)
LEFT_OUT = Statement(
    "The study uses {limit:count} images of its dataset. With all images, accuracies and "
    "their order may differ."
)

# Thresholds of the rules.
LEAST_DIFFERENCE, MOST_OF, FEW_CLASSES = 0.02, 0.5, 0.25
FEWER_OPERATIONS, TIME_BEYOND = 0.7, 0.25
LAST_PART, FALL, LEARNED = 0.1, 0.1, 0.999
GAP = 0.05
SATURATION = 0.99
SHIFT = 0.01


def make_claims(results: StudyResults) -> list[Claim]:
    """Return the observation of each rule that applies."""
    rules = (
        class_shares,
        cost_without_time,
        still_falling,
        overfitting,
        saturated,
        easier_part,
        data_left_out,
    )
    return [found for rule in rules for found in rule(results)]


def runs_of(results: StudyResults, *columns: str) -> dict[str, list[Run]]:
    """Return ranked variant → its usable runs that have all metrics."""
    found = {
        variant: [
            run
            for run in results.usable(variant, columns[0]).values()
            if all(column in run.cells for column in columns)
        ]
        for variant in results.ranked
    }
    return {variant: runs for variant, runs in found.items() if runs}


def class_shares(results: StudyResults) -> Iterator[Claim]:
    """Yield the questions whose difference comes mostly from few classes."""
    for name, question in results.study["compare"].items():
        (base_name, base), *others = question["levels"].items()
        if ACCURACY not in metrics_of(question["metric"]):
            continue
        for level, variants in others:
            sides = [
                [
                    run
                    for v in dict.fromkeys(side)
                    for run in results.usable(v, ACCURACY).values()
                ]
                for side in (variants, base)
            ]
            if not all(sides):
                continue
            gains = np.subtract(*(right_by_class(side) for side in sides))
            whole = float(gains.sum())
            order = np.argsort(-gains * np.sign(whole))
            shares = np.cumsum(gains[order]) / whole if whole else np.zeros(len(gains))
            few = int(np.argmax(shares >= MOST_OF)) + 1
            if abs(whole) < LEAST_DIFFERENCE or few > FEW_CLASSES * len(gains):
                continue
            classes = sides[0][0].metrics["classes"]
            yield claim(
                CLASSES if shares[few - 1] <= 1 else BEYOND,
                f"discussion:classes:{name}:{level}",
                [r.source("metrics", "parts.test.confusion") for s in sides for r in s],
                n=few,
                estimate=float(shares[few - 1]),
                share=float(shares[few - 1]),
                first=level,
                second=base_name,
                part=float(gains[order[:few]].sum()),
                whole=whole,
                few=few,
                verb="gives" if few == 1 else "give",
                all=len(gains),
                names=[classes[k] for k in order[:few]],
            )


def right_by_class(runs: Iterable[Run]) -> np.ndarray:
    """Return each class's share of all test images that are recognised; sums to accuracy."""
    matrices = [np.array(run.metrics["parts"]["test"]["confusion"]) for run in runs]
    return np.mean([np.diag(one) / one.sum() for one in matrices], axis=0)


def cost_without_time(results: StudyResults) -> Iterator[Claim]:
    """Yield that far fewer operations save little time."""
    columns = ("macs", "latency_ms_b1")
    runs = {v: r[0] for v, r in runs_of(results, *columns).items()}
    if not runs:
        return
    few, many = (pick(runs, key=lambda v: runs[v].cells["macs"]) for pick in (min, max))
    sides = [runs[variant] for variant in (few, many)]
    operations, time = (sides[0].cells[c] / sides[1].cells[c] for c in columns)
    if operations > FEWER_OPERATIONS or time < operations + TIME_BEYOND:
        return
    traffic = [moved(run) for run in sides]
    if all(traffic):
        yield claim(
            COST,
            "discussion:cost",
            [
                *(run.input(column) for run in sides for column in columns),
                *(run.source("measure", f) for run in sides for f in MOVED),
            ],
            estimate=time,
            few=results.label(few),
            many=results.label(many),
            operations=operations,
            bytes=traffic[0] / traffic[1],
            time=time,
            causes=TRAFFIC if traffic[0] / traffic[1] > time / 2 else CALLS,
        )


MOVED = ("weight_bytes", "activation_bytes")


def moved(run: Run) -> float:
    """Return bytes of weights and activations of one pass; 0 where they were not counted."""
    measured = run.read(Measurement)
    return float(measured.weight_bytes + measured.activation_bytes) if measured else 0.0


def still_falling(results: StudyResults) -> Iterator[Claim]:
    """Yield the variants whose training loss falls much in the last part of training.

    Not those that recognise all training images: their loss falls for ever.
    """
    falls, inputs, last = {}, [], 1
    for variant, runs in runs_of(results, "train_loss").items():
        if np.mean([run.cells.get("train_accuracy", 0) for run in runs]) > LEARNED:
            continue
        losses = [
            [
                e["train_loss"]
                for e in run.history()
                if np.isfinite(e["train_loss"] or np.nan)
            ]
            for run in runs
        ]
        parts = [max(1, round(LAST_PART * len(one))) for one in losses]
        if any(len(one) <= part for one, part in zip(losses, parts, strict=True)):
            continue
        fall = float(
            np.mean(
                [
                    1 - one[-1] / one[-1 - k]
                    for one, k in zip(losses, parts, strict=True)
                ]
            )
        )
        if fall >= FALL:
            falls[variant] = fall
            last = max(last, *parts)
            inputs += [run.source("history", "train_loss") for run in runs]
    if falls:
        yield claim(
            FALLING,
            "discussion:falling",
            inputs,
            n=len(falls),
            estimate=max(falls.values()),
            variants=labels(results, falls),
            epochs="epoch" if last == 1 else number_of(last, "epoch"),
            falls=spread([*falls.values()], 0),
        )


def overfitting(results: StudyResults) -> Iterator[Claim]:
    """Yield the variants that recognise far more training than validation images."""
    columns = ("train_accuracy", "validation_accuracy")
    known = runs_of(results, *columns)
    found = {v: [mean(runs, column) for column in columns] for v, runs in known.items()}
    wide = {v: both for v, both in found.items() if both[0] - both[1] >= GAP}
    if wide:
        yield claim(
            OVERFIT,
            "discussion:overfit",
            [run.input(c) for v in wide for run in known[v] for c in columns],
            n=len(wide),
            estimate=max(train - validation for train, validation in wide.values()),
            variants=labels(results, wide),
            train=spread([train for train, _ in wide.values()]),
            validation=spread([validation for _, validation in wide.values()]),
        )


def labels(results: StudyResults, variants: Mapping[str, object]) -> list[str]:
    """Return variants by name; the number of them where all are meant."""
    if len(variants) > 1 and set(variants) == set(results.ranked):
        return [all_of(len(variants), "variant")]
    return [named(results.label(variant)) for variant in variants]


def spread(values: Sequence[float], digits: int = 1) -> list[str]:
    """Return a range of percentages as text."""
    low, high = (percent(end(values), digits) for end in (min, max))
    return [low if low == high else f"{low} to {high}"]


def saturated(results: StudyResults) -> Iterator[Claim]:
    """Yield that the first variant makes hardly any error."""
    runs = runs_of(results, ACCURACY)
    if not runs:
        return
    first = max(runs, key=lambda variant: mean(runs[variant], ACCURACY))
    accuracy, images = mean(runs[first], ACCURACY), results.test_images(first)
    wrong = [round((1 - run.cells[ACCURACY]) * images) for run in runs[first]]
    if accuracy >= SATURATION:
        yield claim(
            SATURATED,
            "discussion:saturated",
            [run.input(ACCURACY) for run in runs[first]],
            n=len(runs[first]),
            estimate=accuracy,
            digits=decimals(images, len(runs[first])),
            label=results.label(first),
            accuracy=accuracy,
            errors=errors(wrong),
            images=images,
            things=results.things,
        )


def errors(wrong: Sequence[int]) -> str:
    """Return how many answers are wrong; a range where seeds differ."""
    if not any(wrong):
        return ", without a single error" + (" in any seed" if len(wrong) > 1 else "")
    which = f" ({len(wrong)} seeds)" if len(wrong) > 1 else ""
    return f": {span(wrong)} {'is' if max(wrong) == 1 else 'are'} wrong{which}"


def easier_part(results: StudyResults) -> Iterator[Claim]:
    """Yield that all variants do better, or all worse, on test than on validation images."""
    columns = (ACCURACY, "validation_accuracy")
    runs = runs_of(results, *columns)
    shifts = [mean(r, columns[0]) - mean(r, columns[1]) for r in runs.values()]
    if (
        len(shifts) < 2
        or min(map(abs, shifts)) < SHIFT
        or len(set(np.sign(shifts))) > 1
    ):
        return
    above = shifts[0] > 0
    sizes = [abs(shift) for shift in shifts]
    yield claim(
        EASIER,
        "discussion:easier",
        [run.input(c) for r in runs.values() for run in r for c in columns],
        n=len(shifts),
        estimate=float(np.mean(shifts)),
        all=all_of(len(shifts), "variant"),
        least=min(sizes),
        most=max(sizes),
        side="above" if above else "below",
        what="easier" if above else "harder",
    )


def data_left_out(results: StudyResults) -> Iterator[Claim]:
    """Yield that the study uses a part of its dataset."""
    limit, split = results.study["data"]["limit"], results.split_summary
    if limit and split and sum(split.sizes.values()) - split.sizes["test"] >= limit:
        yield claim(LEFT_OUT, "discussion:left_out", [], n=limit, limit=limit)
