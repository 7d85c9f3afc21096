"""The networks of a study's prune loops: unpruned, every step, and the controls."""

from dataclasses import dataclass

from labmill.evaluation.records import Metrics
from labmill.profiling.records import Measurement
from labmill.pruning.records import PruneRecord
from labmill.report.results import StudyResults
from labmill.report.runs import Run, stage_of
from labmill.training.records import ModelDescription

CONTROLS = {
    "scratch": "same widths from scratch",
    "longer": "unpruned, trained as long",
}


@dataclass(frozen=True)
class Network:
    """One network of a loop.

    Attributes:
        step: its number, 0 for the unpruned network, None for a control.
        accuracy: on validation images; `test` on test images.
        macs: for one image.
        latency_ms: of the first seed, at the largest batch size.
    """

    loop: str
    variant: str
    seed: int
    step: int | None
    control: str | None
    accuracy: float
    test: float | None
    macs: float | None
    latency_ms: float | None


def networks(results: StudyResults) -> list[Network]:
    """Return all networks in the study's order, the unpruned one once per loop."""
    return [
        network
        for loop, settings in results.study["pruning"].items()
        for run in results.of_kind("variant")
        if run.usable and run.variant in settings["variants"]
        if stage_of(run.stage)[0] in ("", loop)
        if (network := network_of(results, loop, run))
    ]


def network_of(results: StudyResults, loop: str, run: Run) -> Network | None:
    """Return a run as a network of the loop; None where it has no accuracy."""
    what = stage_of(run.stage)[1]
    pruned, metrics = run.read(PruneRecord), run.read(Metrics)
    measured, description = run.read(Measurement), run.read(ModelDescription)
    if pruned:
        accuracy = pruned.finetuned
        macs: int | None = pruned.macs
    elif metrics:
        accuracy = metrics.parts.validation.accuracy
        macs = description.training.macs if description else None
    else:
        return None
    if what == "dense":
        steps = results.pruned.get(loop, {}).get(run.variant, [])
        macs = next((step.made.dense_macs for step in steps), None)
    timings = measured.latency if measured else []
    largest = max(timings, key=lambda timing: timing.batch, default=None)
    return Network(
        loop=loop,
        variant=run.variant,
        seed=run.seed,
        step=0 if what == "dense" else int(what) if what.isdigit() else None,
        control=what if what in CONTROLS else None,
        accuracy=accuracy,
        test=metrics.parts.test.accuracy if metrics else None,
        macs=macs,
        latency_ms=largest.median_ms if largest else None,
    )
