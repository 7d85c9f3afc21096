"""What one network costs: parameters, operations, latency, memory."""

from pathlib import Path
from typing import Any

import torch

from labmill import checkpoint
from labmill.data.arrays import TrainingData
from labmill.data.augment import normaliser
from labmill.measure.latency import latency
from labmill.measure.operations import count
from labmill.runtime import log, read_json, write_json
from labmill.training import choices
from labmill.training.loop import device_name
from labmill.training.train import channels_last


def measure(
    *,
    images: Path,
    card: Path,
    split: Path,
    model: Path,
    description: Path,
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
    network = checkpoint.load(model, description).to(device)
    facts = read_json(description)
    mean, std = normaliser(read_json(card), settings["normalisation"])
    shape = (facts["in_channels"], facts["image_size"], facts["image_size"])
    table = count(network, shape, convention=settings["convention"])
    macs = count(network, shape, convention="macs").total.operations
    part = TrainingData.open(images, split).part("validation")
    timings = []
    last = channels_last(facts["name"])
    layout = torch.channels_last if last else torch.contiguous_format
    network = network.to(memory_format=layout)
    for batch in settings["batches"]:
        rows = torch.from_numpy(part.images).repeat(-(-batch // len(part)), 1, 1, 1)
        pixels = ((rows[:batch] / 255 - mean) / std).to(device)
        pixels = pixels.contiguous(memory_format=layout)
        timings.append(latency(network, pixels, settings["repeats"]))
        log.info("batch %d: median %.3f ms", batch, timings[-1]["median_ms"])
    result = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "weight_bytes": sum(p.numel() * p.element_size() for p in network.parameters()),
        "activation_bytes": table.total.activation_bytes,
        "macs": macs,
        "operations": table.to_dict(),
        "latency": timings,
        "provenance": provenance
        | {"device": device_name(device), "threads": torch.get_num_threads()},
    }
    write_json(out, result)
