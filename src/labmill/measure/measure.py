"""What one network costs: parameters, operations, latency, memory."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from labmill import registry
from labmill.measure.latency import latency
from labmill.measure.operations import count
from labmill.measure.profile import profile
from labmill.measure.sequences import one_sequence, sequence_facts
from labmill.runtime import log, write_json
from labmill.study import Training
from labmill.trained import Trained
from labmill.training import choices
from labmill.training.device import device_name
from labmill.training.tasks import TASKS
from labmill.training.train import Parts, channels_last

# Batch sizes whose latency belongs to a profile.
PROFILED = (1, 32, 256)


def measure(
    trained: Trained,
    *,
    out: Path,
    trace: Path,
    provenance: dict[str, Any],
) -> None:
    """Write `out` (measure.json); with `profile` in the settings also `trace`.

    Latency is that of real validation images on one thread: the networks are small, and
    one number that means the same on every machine beats the machine's best.
    """
    device = choices.prepare(None, 1)
    settings = provenance["settings"]
    network = trained.network().to(device)
    facts = trained.facts()
    mean, std = trained.normaliser(settings["normalisation"])
    shape = (facts["in_channels"], facts["image_size"], facts["image_size"])
    part = trained.data().part("validation")
    sequences = registry.constant("models", facts["name"], "KIND") == "sequence"
    inputs = one_sequence(part.images, device) if sequences else shape
    table = count(
        network,
        inputs,
        convention=settings["convention"],
        dtype=torch.float16 if sequences else torch.float32,
    )
    macs = count(network, inputs, convention="macs").total.operations
    timings = []
    last = channels_last(facts["name"])
    profiled = settings["profile"]
    layout = torch.channels_last if last else torch.contiguous_format
    network = network.to(memory_format=layout)
    for batch in sorted({*settings["batches"], *(PROFILED if profiled else ())}):
        rows = torch.from_numpy(part.images).repeat(-(-batch // len(part)), 1, 1, 1)
        pixels = ((rows[:batch] / 255 - mean) / std).to(device)
        pixels = pixels.contiguous(memory_format=layout)
        timings.append(latency(network, pixels, settings["repeats"]))
        log.info("batch %d: median %.3f ms", batch, timings[-1]["median_ms"])
    result: dict[str, Any] = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "weight_bytes": sum(p.numel() * p.element_size() for p in network.parameters()),
        "activation_bytes": table.total.activation_bytes,
        "macs": macs,
        "operations": table.to_dict(),
        "latency": timings,
        "provenance": provenance
        | {"device": device_name(device), "threads": torch.get_num_threads()},
    }
    if sequences:
        result["sequence"] = sequence_facts(network, part.images)
    if profiled:
        result["profile"] = profile(
            trace,
            model=network,
            training=Training.model_validate(settings["training"], strict=False),
            data=training_parts(trained.images, trained.split),
            seed=0,
            normalisation=(mean, std),
            channels_last=last,
            device=device,
            task=TASKS["sequence" if sequences else "classification"],
            resident=None,
        )
        log.info("a step: %.2f ms", result["profile"]["step"]["median_ms"])
    write_json(out, result)


def training_parts(images: Path, split: Path) -> Parts:
    """The images and indices that a step is trained on."""
    with np.load(split) as file:
        return Parts(
            np.load(images, mmap_mode="r"),
            file["labels"],
            file["train"],
            file["validation"],
        )
