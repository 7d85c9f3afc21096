"""Rule formulate: a network's layers as matrix products, timed beside the library's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from labmill.measure.compare_layers import compare_layers
from labmill.runtime import log, write_json
from labmill.trained import Trained
from labmill.training import choices
from labmill.training.train import channels_last


def formulate(
    settings: Mapping[str, Any],
    trained: Trained,
    *,
    out: Path,
    provenance: Mapping[str, Any],
) -> None:
    """Write `out`, what `compare_layers` finds out about a network.

    settings: `run`, and `images`, `batch_size`, `repeats` of the study's `formulate`.
    Training images, repeated where there are fewer than asked for; one thread, as all
    latencies. Images are laid out in memory as the network's family wants them.
    """
    device = choices.prepare(None, 1)
    run = settings["run"]
    network = trained.network().to(device)
    part = trained.data().part("train")
    rows = np.resize(np.arange(len(part)), settings["images"])
    mean, std = trained.normaliser(run["normalisation"])
    pixels = ((torch.from_numpy(part.images[rows]) / 255 - mean) / std).to(device)
    if channels_last(run["model"]["name"]):
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        network = network.to(memory_format=torch.channels_last)
    found = compare_layers(
        network,
        pixels,
        torch.from_numpy(part.labels[rows]).to(device),
        batch_size=settings["batch_size"],
        repeats=settings["repeats"],
    )
    for kind in ("inference", "training"):
        seconds = {name: round(t["median_s"], 3) for name, t in found[kind].items()}
        log.info("%s, seconds for %d images: %s", kind, found["images"], seconds)
    write_json(out, {**found, "provenance": dict(provenance)})
