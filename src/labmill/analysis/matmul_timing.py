"""Rule formulate: a network's layers as matrix products, timed against the library's."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.analysis.records import Formulations
from labmill.core.logs import log
from labmill.core.records import Provenance, Settings
from labmill.models.matmul import FORMULATIONS, rewritten
from labmill.profiling.latency import spread, timed
from labmill.training import precision
from labmill.training.data_loader import batch_bounds
from labmill.training.network import channels_last
from labmill.training.trained_model import TrainedModel


def formulate(trained: TrainedModel, *, out: Path, provenance: Provenance) -> None:
    """Write formulate.json, the result of `compare_layers` for a network.

    Uses training images, repeated if there are fewer than requested, and one thread, as
    all latencies. The job's settings are `run`, `images`, `batch_size` and `repeats`.
    """
    settings = provenance.settings
    device = precision.prepare(None, 1)
    run = settings["run"]
    network = trained.network().to(device)
    part = trained.data().part("train")
    rows = np.resize(np.arange(len(part)), settings["images"])
    mean, std = trained.normalisation(run["normalisation"])
    pixels = ((torch.from_numpy(part.images[rows]) / 255 - mean) / std).to(device)
    if channels_last(run["model"]["name"]):
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        network = network.to(memory_format=torch.channels_last)
    found = Formulations(
        **compare_layers(
            network,
            pixels,
            torch.from_numpy(part.labels[rows]).to(device),
            batch_size=settings["batch_size"],
            repeats=settings["repeats"],
        ),
        provenance=provenance,
    )
    for kind, times in (("inference", found.inference), ("training", found.training)):
        seconds = {name: round(time.median_s, 3) for name, time in times.items()}
        log.info("%s, seconds for %d images: %s", kind, found.images, seconds)
    found.write(out)


def compare_layers(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    batch_size: int = 32,
    repeats: int = 5,
) -> Settings:
    """Time passes over all images, forward alone and with a training step per batch.

    The formulations take turns, so that other load on the machine affects all; one pass
    each before is not measured. `model` is not changed. `images` are normalised.
    Returns the fields of `Formulations`, but for its provenance.
    """
    networks = {name: rewritten(model, name) for name in FORMULATIONS}
    sizes = np.diff(batch_bounds(len(images), batch_size)).tolist()
    batches = list(zip(images.split(sizes), labels.split(sizes), strict=True))
    times: dict[str, dict[str, list[float]]] = {
        kind: {name: [] for name in networks} for kind in ("inference", "training")
    }
    logits = {name: infer(network, batches) for name, network in networks.items()}
    for turn in range(repeats + 1):
        for name, network in networks.items():
            for kind, work in (("inference", infer), ("training", learn)):
                seconds = timed(partial(work, network, batches), images.device)
                if turn:
                    times[kind][name].append(seconds)
    return {
        "images": len(images),
        "batch": batch_size,
        "threads": torch.get_num_threads(),
        "device": str(images.device),
        **{
            kind: {name: spread(values, "s") for name, values in found.items()}
            for kind, found in times.items()
        },
        "largest_difference": {
            name: float((own - logits["library"]).abs().max())
            for name, own in logits.items()
        },
    }


def infer(network: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Return the logits of all images."""
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(images) for images, _ in batches])
    return logits


def learn(network: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> None:
    """Take a step of gradient descent per batch, too small to change the network."""
    network.train()
    parameters: list[Tensor] = [p for p in network.parameters() if p.requires_grad]
    for images, labels in batches:
        loss = F.cross_entropy(network(images), labels)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-1e-6)
