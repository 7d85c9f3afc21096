"""Try own losses, optimizers, augmentations and metrics on made-up numbers.

Each function raises LabmillError for what the jobs would stumble over after hours.
"""

import json
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from labmill.core import project, registry
from labmill.core.errors import LabmillError
from labmill.core.trees import Settings
from labmill.data.augment import Augmentation
from labmill.evaluation.scores import further_score
from labmill.study.schema import Training
from labmill.training.optimizers import Optimizer
from labmill.training.tasks import loss_of


def try_own(
    kind: str, name: str, facts: Settings, training: Settings | None = None
) -> None:
    """Try one entry; `training`: the options that decide what it is given."""
    settings = Training.model_validate_json(json.dumps(training or {}))
    with project.own_errors():
        match kind:
            case "metrics":
                try_metric(name, facts["num_classes"])
            case "losses":
                try_loss(settings, facts["num_classes"])
            case "optimizers":
                try_optimizer(settings)
            case "augmentations":
                try_augmentation(settings, facts["image_size"], facts["in_channels"])


def situations(classes: int) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield logits and labels: usual ones, one class predicted, one image per class."""
    labels = np.arange(4 * classes) % classes
    logits = np.random.default_rng(0).normal(size=(4 * classes, classes))
    yield "made-up logits", logits, labels
    yield "logits of which the first is the largest", -np.sort(-logits, 1), labels
    yield "one image per class", logits[:classes], labels[:classes]


def fail(kind: str, name: str, message: str) -> None:
    """Raise the message about one file."""
    raise LabmillError(f"{registry.place(kind, name)}: {message}")


def try_metric(name: str, classes: int) -> None:
    """Check that a metric is one number, and a finite one of usual logits."""
    values = {
        which: further_score(name, logits, labels)
        for which, logits, labels in situations(classes)
    }
    usual, value = next(iter(values.items()))
    if not np.isfinite(value):
        fail("metrics", name, f"returned {value} for {usual} of {classes} classes")


def try_loss(training: Training, classes: int) -> None:
    """Check that a loss is one finite number with a gradient, also of mixed labels."""
    name, loss = training.loss, loss_of(training)
    mixed = registry.constant("losses", name, "MIXED_LABELS", False)
    for which, logits, labels in situations(classes):
        targets = torch.from_numpy(labels)
        for target in (targets, *([torch.eye(classes)[targets]] if mixed else ())):
            given = torch.from_numpy(logits).float().requires_grad_()
            found = loss(given, target)
            if not isinstance(found, Tensor) or found.shape != ():
                seen = tuple(found.shape) if isinstance(found, Tensor) else found
                fail(
                    "losses", name, f"returned {seen!r}; expected one number, a tensor"
                )
            if not found.isfinite():
                fail("losses", name, f"returned {found.item()} for {which}")
            if not found.requires_grad:
                fail("losses", name, "returned a number without a gradient")
            found.backward()


def try_optimizer(training: Training) -> None:
    """Check that two steps change the weights, and that the state can be saved."""
    name, network = training.optimizer, nn.Linear(3, 2)
    before = network.weight.clone()
    optimizer = Optimizer(network, training)
    with torch.no_grad():
        for _ in range(2):
            grads = [torch.ones_like(param) for param in optimizer.params]
            optimizer.update(
                optimizer.params, grads, optimizer.states(), 1e-3, fused=True
            )
        optimizer.load(optimizer.tensors())
    if torch.equal(before, network.weight):
        fail("optimizers", name, "changed no weight in two steps")
    if not network.weight.isfinite().all():
        fail("optimizers", name, "made weights that are not finite")


def try_augmentation(training: Training, size: int, channels: int) -> None:
    """Check that images keep type and shape, which `Registered` does."""
    shape = (4, channels, size, size)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, "uint8"))
    change = Augmentation(training.model_dump()["augmentation"], size)
    rows = change.table(0, 0, len(images))
    change.mix(change(images, rows), rows, images.flip(0))
