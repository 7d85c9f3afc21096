"""Library layers against our own matrix products: the same network, timed fairly."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from labmill.measure.latency import spread, timed
from labmill.models.matmul import FORMULATIONS, rewritten


def compare_layers(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    batch_size: int = 32,
    repeats: int = 5,
) -> dict[str, Any]:
    """Time passes over all images, forward alone and with a training step per batch.

    images: float32 (n, C, H, W), normalised; labels: int64 (n,). The formulations take
    turns, so that whatever else the machine does falls on all of them; one pass each
    goes before, unmeasured. `model` is not changed.

    Returns:
        `images`, `batch`, `threads`, `device`; `inference` and `training`, each
        formulation → `{median_s, q1_s, q3_s, n}` for one pass over all images;
        `largest_difference`: formulation → of its logits from the library's.
    """
    networks = {name: rewritten(model, name) for name in FORMULATIONS}
    batches = list(zip(images.split(batch_size), labels.split(batch_size), strict=True))
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
    """The logits of all images."""
    network.eval()
    with torch.inference_mode():
        return torch.cat([network(images) for images, _ in batches])


def learn(network: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> None:
    """A step of gradient descent per batch, too small to change what is timed."""
    network.train()
    parameters = [p for p in network.parameters() if p.requires_grad]
    for images, labels in batches:
        loss = F.cross_entropy(network(images), labels)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-1e-6)
