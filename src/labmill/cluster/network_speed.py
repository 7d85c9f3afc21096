"""What one network costs on this machine: operations, parameters, measured seconds.

Both are remembered in the user's cache: counts by the network's arguments and code, speed
by its training and the machine too. For the networks of labmill's own studies,
network_speeds.json has both as measured elsewhere (`make speeds`), so that a first plan
needs neither torch nor a guess.
"""

import itertools
import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from labmill.core import registry
from labmill.core.digest_cache import cache_file
from labmill.core.errors import LabmillError
from labmill.core.files import write_json
from labmill.core.fingerprint import code_fingerprints, digest
from labmill.core.paths import PACKAGE
from labmill.core.provenance import machine
from labmill.core.trees import JsonObject
from labmill.plan.plan import Plan
from labmill.study.schema import Training

# Counting a network takes about 50 ms; of many, those that time allows stand for all.
COUNT_SECONDS = 0.5
# Measuring: steps before, seconds of the measured ones, of the whole, images of an epoch
# (of a short one the start would be measured) and the megabytes that they may take.
WARM_UP, STEPS_SECONDS, MOST_SECONDS, IMAGES, MEGABYTES = 2, 1.5, 5.0, 8192, 50
ELSEWHERE = PACKAGE / "cluster" / "network_speeds.json"
# Settings that change no step.
LENGTH = {"epochs", "until", "converged", "early_stopping", "evaluate_every", "labels"}
VALUES = {"learning_rate", "schedule", "weight_decay", "betas", "momentum", "ema"}


@dataclass(frozen=True)
class Network:
    """A network of a run, and how it is trained.

    Attributes:
        shape: `num_classes`, `image_size`, `in_channels`.
    """

    name: str
    arguments: JsonObject
    shape: Mapping[str, int]
    training: Training
    threads: int
    task: str

    @cached_property
    def code(self) -> JsonObject:
        """The fingerprints of its code."""
        return dict(code_fingerprints([registry.module("models", self.name)]))

    def key(self, *code: Any) -> str:
        """Return a digest of what decides its operations, with or without its code."""
        return digest([self.name, dict(self.arguments), dict(self.shape), *code])

    def speed_key(self, *where: Any) -> str:
        """Return a digest of what decides the time of a step, somewhere."""
        settings = self.training.model_dump(mode="json", exclude=LENGTH | VALUES)
        return digest([self.key(), settings, self.task, *where])

    def here(self, device: str) -> str:
        """Return the digest of the time of a step of today's code on this machine."""
        return self.speed_key(self.code, device, self.threads, machine())

    def build(self) -> Any:
        """Build it with initial weights."""
        return registry.build(self.name, **self.shape, **self.arguments)


def network_of(
    plan: Plan, run: JsonObject, training: Any, threads: int
) -> Network | None:
    """Return the network of a run; None where only the data determine its shape.

    Args:
        plan: of its study.
        run: settings of the run.
        training: settings of its training or fine-tuning.
        threads: that a job of it has.
    """
    classes, side = plan.facts["num_classes"], plan.facts["image_size"]
    channels, model = plan.facts["in_channels"], run["model"]
    task = run["task"]
    if plan.facts["kind"] == "sequence":
        task, side = "sequence", plan.study.data.arguments.get("length", 0) + 1
    if not (classes and channels and side and side > 1):
        return None
    if task == "rotation":
        classes = 4
    shape = {"num_classes": classes, "image_size": side, "in_channels": channels}
    settings = Training.model_validate_json(json.dumps(training))
    return Network(model["name"], model["arguments"], shape, settings, threads, task)


@dataclass(frozen=True)
class Speed:
    """Seconds per image: of training, and of a forward pass."""

    training: float
    forward: float


@dataclass
class Known:
    """Operations and parameters of networks, and their speeds, in a file.

    Attributes:
        rates: operations a second that networks of a model train at.
    """

    counts: dict[str, tuple[float, int]] = field(default_factory=dict)
    speeds: dict[str, Speed] = field(default_factory=dict)
    rates: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> "Known":
        """Read a file; one that is missing or damaged has nothing."""
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            return cls(
                {key: (o, p) for key, (o, p) in found["counts"].items()},
                {key: Speed(*two) for key, two in found["speeds"].items()},
                found.get("rates", {}),
            )
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return cls()

    def write(self, path: Path) -> None:
        """Write a file."""
        speeds = {key: [s.training, s.forward] for key, s in self.speeds.items()}
        found = {"counts": self.counts, "speeds": speeds, "rates": self.rates}
        write_json(path, found)


class NetworkCache:
    """Counts and speeds of networks: of this user on this machine, and as delivered."""

    def __init__(self) -> None:
        self.left = COUNT_SECONDS
        self.path = cache_file("speed")
        self.own, self.delivered = Known.read(self.path), Known.read(ELSEWHERE)

    def save(self) -> None:
        """Write the cache, where that is possible."""
        with suppress(LabmillError, OSError, RuntimeError):
            self.own.write(self.path)

    def speed(self, network: Network, device: str) -> tuple[Speed, str] | None:
        """Return a network's speed and where it was measured."""
        if found := self.own.speeds.get(network.here(device)):
            return found, "measured"
        found = self.delivered.speeds.get(network.speed_key())
        if found is None or device != "cpu":
            return None
        share = 1 / network.threads  # of the processor's seconds
        return Speed(
            found.training * share, found.forward * share
        ), "measured elsewhere"

    def known_count(self, network: Network) -> tuple[float, int] | None:
        """Return the operations and parameters of a network that was counted."""
        found = self.delivered.counts.get(network.key())
        return found or self.own.counts.get(network.key(network.code))

    def count(self, networks: Iterable[Network]) -> None:
        """Count networks that are not known yet, while time is left.

        First those of most jobs; then in no order that a search has.
        """
        by_key = [(n.key(n.code), n) for n in networks if not self.known_count(n)]
        every, jobs = dict(by_key), Counter(key for key, _ in by_key)
        if not every or self.left <= 0:
            return
        # Before the time counts: it imports torch.
        from labmill.flops.counter import count

        began = time.process_time()
        for key in sorted(every, key=lambda key: (-jobs[key], key)):
            if time.process_time() - began > self.left:
                break
            network = every[key]
            built, side = network.build(), network.shape["image_size"]
            size = network.shape["in_channels"], height(network), side
            parameters = sum(p.numel() for p in built.parameters())
            self.own.counts[key] = count(built, size).total.operations, parameters
        self.left -= time.process_time() - began
        self.save()

    def counted(
        self, network: Network, among: Iterable[Network]
    ) -> tuple[float, int] | None:
        """Return a network's operations and parameters.

        The means of those `among` others of its model that were counted, where it was
        not; None where none was.
        """
        if found := self.known_count(network):
            return found
        same = {one.key(): one for one in among if one.name == network.name}
        others = [found for one in same.values() if (found := self.known_count(one))]
        if not others:
            return None
        operations, parameters = zip(*others, strict=True)
        return sum(operations) / len(others), sum(parameters) // len(others)

    def measure(self, networks: Iterable[Network], device: str) -> int:
        """Train each network that is not known yet a few steps; return how many."""
        new = {
            key: one
            for one in networks
            if (key := one.here(device)) not in self.own.speeds
        }
        for number, (key, network) in enumerate(new.items()):
            print(f"  measuring {number + 1} of {len(new)}: {network.name}")
            self.own.speeds[key] = measured(network, device)
            self.save()
        return len(new)


def height(network: Network) -> int:
    """Return the rows of an image; a sequence has two, its source and its target."""
    return 2 if network.task == "sequence" else network.shape["image_size"]


def measured(network: Network, device: str) -> Speed:
    """Train a network a few steps on random images.

    On a CPU, seconds are those of the processor: other programs do not change them. A
    step that a long run would compile is measured uncompiled.
    """
    import numpy as np
    import torch

    from labmill.data.datasets.sequences import GREY
    from labmill.training import precision
    from labmill.training.inputs import TrainingImages, TrainingJob
    from labmill.training.network import channels_last
    from labmill.training.resume import Stop, Store
    from labmill.training.trainer import Trainer

    batch, classes = network.training.batch_size, network.shape["num_classes"]
    shape = network.shape["in_channels"], height(network), network.shape["image_size"]
    most = MEGABYTES * 1_000_000 // math.prod(shape)
    images, checked = max(4 * batch, min(IMAGES, most)), min(1024, most)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (images + checked, *shape), np.uint8)
    labels = random.integers(0, classes, len(pixels))
    zero = torch.zeros(1, network.shape["in_channels"], 1, 1)
    normalisation = zero + 0.5, zero + 0.25
    if network.task == "sequence":  # its tokens, not normalised
        pixels, normalisation = pixels % classes * GREY, (zero, zero + 1)
    training = network.training.model_copy(
        update={"compile": "off", "epochs": 1, "labels": None, "until": None}
    )
    job = TrainingJob(
        training=training,
        data=TrainingImages(
            pixels, labels, np.arange(images), np.arange(images, len(pixels))
        ),
        seed=0,
        normalisation=normalisation,
        channels_last=channels_last(network.name),
        threads=network.threads,
        task=network.task,
        progress=False,
    )
    where = precision.prepare(device, network.threads)
    on_cpu = where.type == "cpu"

    def now() -> float:
        """Return seconds of the device's work."""
        if on_cpu:
            return time.process_time() / network.threads
        torch.cuda.synchronize()
        return time.perf_counter()

    trainer = Trainer(
        network.build(), job, device=where, store=Store(Path()), stop=Stop()
    )
    trainer.model.train()
    seen, whole, began = 0, time.monotonic(), now()
    endless = (step for n in itertools.count() for step in trainer.batches.epoch(n))
    for steps, (x, y) in enumerate(endless):
        if steps == WARM_UP:
            began = now()
        if steps > WARM_UP and (
            now() - began > STEPS_SECONDS or time.monotonic() - whole > MOST_SECONDS
        ):
            break
        trainer.take(x, y, training.learning_rate)
        seen += batch if steps >= WARM_UP else 0
    trained = (now() - began) / seen
    began = now()
    trainer.validate()
    return Speed(trained, (now() - began) / checked)
