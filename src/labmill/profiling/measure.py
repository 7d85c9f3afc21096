"""Rule measure: what one network costs: parameters, operations, latency, memory."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from labmill.core import registry
from labmill.core.logs import log
from labmill.core.progress import publish
from labmill.core.records import Provenance, Settings
from labmill.flops.counter import count
from labmill.profiling.latency import latency
from labmill.profiling.profile import profile
from labmill.profiling.records import Latency, Measurement
from labmill.profiling.sequences import one_sequence, sequence_costs
from labmill.study.schema import Training
from labmill.training import precision
from labmill.training.device import device_name
from labmill.training.inputs import TrainingJob
from labmill.training.trained_model import TrainedModel

# Batch sizes whose latency belongs to a profile.
PROFILED = (1, 32, 256)


def measure(
    trained: TrainedModel, *, out: Path, trace: Path, provenance: Provenance
) -> None:
    """Write measure.json; with `profile` in the settings also the trace of some steps.

    Latency is that of real validation images on one thread: the networks are small, and
    a number that means the same on every machine is better than the machine's best. The
    job's settings are `batches`, `repeats`, `convention`, `normalisation`, `profile`
    and `training`.
    """
    device = precision.prepare(None, 1)
    settings, about = provenance.settings, trained.about
    network = trained.network().to(device)
    images = torch.from_numpy(trained.data().part("validation").images)
    sequences = registry.constant("models", about.name, "KIND") == "sequence"
    inputs: Any = (about.in_channels, about.image_size, about.image_size)
    if sequences:
        inputs = one_sequence(images.numpy(), device)
    dtype = torch.float16 if sequences else torch.float32
    table = count(network, inputs, convention=settings["convention"], dtype=dtype)
    macs = count(network, inputs, convention="macs").total.operations
    network = network.to(memory_format=layout_of(trained))
    timings = latencies(network, images, trained, settings)
    more: Settings = {}
    if sequences:
        more["sequence"] = sequence_costs(network, images.numpy())
    if settings["profile"]:
        job = TrainingJob(
            training=Training.model_validate(settings["training"], strict=False),
            data=trained.training_images(),
            seed=0,
            normalisation=trained.normalisation(settings["normalisation"]),
            channels_last=trained.channels_last,
            task="sequence" if sequences else "classification",
        )
        publish(doing="profiling steps")
        more["profile"] = profile(trace, network, job, device)
        log.info("a step: %.2f ms", more["profile"].step.median_ms)
    where = {"device": device_name(device), "threads": torch.get_num_threads()}
    weights = list(network.parameters())
    Measurement(
        parameters=sum(p.numel() for p in weights),
        weight_bytes=sum(p.numel() * p.element_size() for p in weights),
        activation_bytes=table.total.activation_bytes,
        macs=macs,
        operations=table.to_dict(),
        latency=timings,
        provenance=provenance.model_copy(update=where),
        **more,
    ).write(out)


def layout_of(trained: TrainedModel) -> torch.memory_format:
    """Return how the network wants its images in memory."""
    return torch.channels_last if trained.channels_last else torch.contiguous_format


def latencies(
    network: nn.Module, images: Tensor, trained: TrainedModel, settings: Settings
) -> list[Latency]:
    """Time forward passes over images, repeated where a batch needs more."""
    mean, std = trained.normalisation(settings["normalisation"])
    device = next(network.parameters()).device
    found = []
    for batch in sorted(
        {*settings["batches"], *(PROFILED if settings["profile"] else ())}
    ):
        publish(doing=f"timing batches of {batch}")
        rows = images.repeat(-(-batch // len(images)), 1, 1, 1)
        pixels = ((rows[:batch] / 255 - mean) / std).to(device)
        pixels = pixels.contiguous(memory_format=layout_of(trained))
        found.append(latency(network, pixels, settings["repeats"]))
        log.info("batch %d: median %.3f ms", batch, found[-1].median_ms)
    return found
