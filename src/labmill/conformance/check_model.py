"""Try one network in every stage, on a few made-up images: `labmill check model NAME`."""

import copy
import json
import tempfile
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.project import own_fault
from labmill.flops.counter import count
from labmill.models.foreign import arguments_of, example, features, needed_head
from labmill.pruning.structure import Structure
from labmill.study.check_models import MODELS
from labmill.study.schema import Model, Training
from labmill.training import checkpoint, trainer
from labmill.training.initialization import seeded
from labmill.training.inputs import TrainingImages, TrainingJob
from labmill.training.network import channels_last

IMAGES, VALIDATION, BATCH = 20, 8, 8
# Before this step of six the trial of resuming stops.
STOPPED_AT = 4


@dataclass(frozen=True)
class Trial:
    """One stage: whether it works, and what was seen."""

    stage: str
    works: bool
    seen: str


def check_model(
    name: str,
    given: Mapping[str, Any],
    facts: Mapping[str, int],
    *,
    without: Container[str] = (),
) -> list[Trial]:
    """Try a network in every stage.

    Args:
        name: of the model, or `torchvision/resnet18`.
        given: arguments as in a study.
        facts: `num_classes`, `image_size`, `in_channels` of the images.
        without: stages that are left out.

    Raises:
        LabmillError: there is no such model, or it reads no images.
    """
    model = Model(name=name, arguments=dict(given))
    name, given = model.name, model.arguments
    registry.known(MODELS, name)
    if registry.constant(MODELS, name, "KIND", "image") != "image":
        raise LabmillError(f"{name} reads sequences; only networks of images are tried")

    def build() -> nn.Module:
        return seeded(0, lambda: checkpoint.build(name, **facts, **given))

    stages: dict[str, Callable[[], str]] = {
        "build": lambda: size_of(build()),
        "train": lambda: trained(build(), name),
        "resume to the bit": lambda: resumed(build, name),
        "bfloat16": lambda: trained(build(), name, precision="bf16"),
        "compiled step": lambda: trained(build(), name, compile="step"),
        "save and load": lambda: rebuilt(build(), name),
        "operations": lambda: counted(build()),
        "features": lambda: featured(build()),
        "pruning": lambda: pruned(build(), name),
    }
    found: list[Trial] = []
    for stage, work in stages.items():
        if stage in without:
            continue
        try:
            found.append(Trial(stage, True, work()))
        except Exception as error:
            said = own_fault(error) or f"{type(error).__name__}: {error}"
            found.append(Trial(stage, False, " ".join(said.split())[:200]))
            if stage == "build":
                break
    return found


def size_of(network: nn.Module) -> str:
    """Return the number of parameters, after one batch went through the network."""
    logits = network.eval()(example(network).expand(2, -1, -1, -1))
    expected = (2, arguments_of(network)["num_classes"])
    if tuple(logits.shape) != expected:
        raise LabmillError(f"returns {tuple(logits.shape)}; expected {expected}")
    return f"{sum(p.numel() for p in network.parameters()):,} parameters"


def job(network: nn.Module, name: str, state: Path, **settings: Any) -> TrainingJob:
    """Return a short training on made-up images."""
    facts = arguments_of(network)
    shape = (facts["in_channels"], facts["image_size"], facts["image_size"])
    rng = np.random.default_rng(0)
    total = IMAGES + VALIDATION
    labels = np.arange(total) % facts["num_classes"]
    defaults = {"precision": "fp32", "compile": "off", "epochs": 2}
    return TrainingJob(
        training=Training(batch_size=BATCH, **{**defaults, **settings}),
        data=TrainingImages(
            images=rng.integers(0, 256, (total, *shape), dtype=np.uint8),
            labels=labels.astype(np.int64),
            train=np.arange(IMAGES),
            validation=np.arange(IMAGES, total),
        ),
        seed=0,
        normalisation=([0.5] * shape[0], [0.5] * shape[0]),
        channels_last=channels_last(name),
        state=state,
        threads=1,
        progress=False,
    )


def trained(network: nn.Module, name: str, **settings: Any) -> str:
    """Train for two epochs; return the loss before and after."""
    with tempfile.TemporaryDirectory() as state:
        outcome = trainer.fit(network, job(network, name, Path(state), **settings))
    if outcome.status == "diverged":
        raise LabmillError("diverged: a loss or a weight is not finite")
    losses = [row.train_loss for row in outcome.history]
    return f"loss {losses[0]:.2f} → {losses[-1]:.2f} in two epochs"


def resumed(build: Callable[[], nn.Module], name: str) -> str:
    """Stop a training, resume it, and compare it with one that was never stopped."""
    whole, part = build(), build()
    with tempfile.TemporaryDirectory() as folder:
        trainer.fit(whole, job(whole, name, Path(folder, "whole")))
        rate = trainer.learning_rate

        def rate_or_stop(training: Training, step: int, steps_per_epoch: int) -> float:
            if step == STOPPED_AT:
                raise KeyboardInterrupt
            return rate(training, step, steps_per_epoch)

        try:
            trainer.SAVE_AFTER, saved = 0.0, trainer.SAVE_AFTER
            trainer.learning_rate = rate_or_stop
            trainer.fit(part, job(part, name, Path(folder, "part")))
        except KeyboardInterrupt:
            pass
        finally:
            trainer.SAVE_AFTER, trainer.learning_rate = saved, rate
        part = build()
        outcome = trainer.fit(part, job(part, name, Path(folder, "part")))
    other = part.state_dict()
    different = [
        key
        for key, value in whole.state_dict().items()
        if not torch.equal(value, other[key])
    ]
    if different or not outcome.facts.resumed_at:
        raise LabmillError(f"other weights: {', '.join(different[:3])}")
    return "stopped after an epoch: the same weights"


def rebuilt(network: nn.Module, name: str) -> str:
    """Build the network again from what model.json would contain."""
    arguments = json.loads(json.dumps(arguments_of(network)))
    again = checkpoint.build(name, **arguments)
    again.load_state_dict(network.state_dict())
    images = torch.rand_like(example(network))
    with torch.no_grad():
        if not torch.equal(again.eval()(images), network.eval()(images)):
            raise LabmillError("the same weights give other logits")
    return "the same logits"


def counted(network: nn.Module) -> str:
    """Count the operations of one image."""
    found = count(network, example(network).shape[1:]).total
    return f"{found.operations:,} multiply-adds per image"


def featured(network: nn.Module) -> str:
    """Find the head and what it reads."""
    with torch.no_grad():
        found = features(network.eval(), example(network))
    return f"{needed_head(network)} reads {tuple(found.shape[1:])}"


def pruned(network: nn.Module, name: str) -> str:
    """Remove one unit of each layer; build the result again."""
    structure = Structure(network.eval())
    if not structure.layers:
        raise LabmillError("no layer can lose an output; define `prunable()`")
    before = copy.deepcopy(structure.widths())
    for layer in structure.layers:
        if before[layer] > 1:
            structure.remove(layer, [0])
    rebuilt(network, name)
    layers = ", ".join(structure.layers[:3])
    more = f" and {len(structure.layers) - 3} more" * (len(structure.layers) > 3)
    return f"{len(structure.layers)} layers: {layers}{more}"


def as_text(trials: list[Trial]) -> str:
    """Return the trials as a table for a terminal."""
    width = max(len(one.stage) for one in trials)
    return "\n".join(
        f"{'✓' if one.works else '✗'} {one.stage:<{width}}  {one.seen}"
        for one in trials
    )
