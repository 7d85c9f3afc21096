"""labmill's own loop, and the bare step loop as its upper bound."""

import tempfile
import time
from pathlib import Path

import torch
from cases import Case
from torch.nn import functional as F

from labmill.study.schema import Training
from labmill.training.inputs import TrainingJob
from labmill.training.precision import prepare
from labmill.training.resume import Stop, Store
from labmill.training.step import autocast
from labmill.training.trainer import Trainer


class Silent:
    """No progress."""

    def step(self, *_: object) -> None: ...

    def epoch(self, *_: object) -> None: ...


class Labmill:
    """Epochs of the real loop: shuffled, gathered, normalised, recorded.

    `long`: what `auto` chooses when the run is long enough to compile for.
    """

    def __init__(
        self,
        case: Case,
        steps: int,
        *,
        device: str = "cpu",
        precision: str = "auto",
        compile: str = "auto",
        **settings: object,
    ) -> None:
        self.case, self.steps = case, steps
        self.folder = tempfile.TemporaryDirectory()
        training = Training(
            epochs=10**6,
            batch_size=case.batch,
            learning_rate=1e-4,
            precision=precision,
            compile=compile,
            **settings,
        )
        job = TrainingJob(
            training=training,
            data=case.data(steps),
            seed=0,
            normalisation=([0.5], [0.5]),
            channels_last=case.channels_last,
        )
        self.trainer = Trainer(
            case.network(),
            job,
            device=prepare(device, None),
            store=Store(Path(self.folder.name)),
            stop=Stop(),
        )
        began = time.perf_counter()
        self.trainer.choose_step()
        self.make_seconds = time.perf_counter() - began

    @property
    def how(self) -> str:
        """Precision and form of the step."""
        step = {"step": "one graph", "off": "eager"}[self.trainer.compilation]
        return f"{self.trainer.precision}, {step}"

    def images_per_second(self, _: int = 0) -> float:
        self.trainer.one_epoch(Silent())
        return self.trainer.state.history[-1].images_per_second


class Bare:
    """Model and optimizer on one batch in memory, nothing else, chosen as labmill chose.

    For a compiled step, the compiled step alone.
    """

    def __init__(self, labmill: Labmill) -> None:
        self.case, self.trainer = labmill.case, labmill.trainer
        self.x, self.y = (t.to(self.trainer.device) for t in self.case.one_batch())
        self.precision = self.trainer.precision
        self.model = self.case.network().to(self.trainer.device)
        if self.case.channels_last:
            self.model.to(memory_format=torch.channels_last)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-4, fused=True)

    def step(self) -> None:
        if self.trainer.compilation == "step":
            self.trainer.take(self.x, self.y, 1e-4)
            return
        with autocast(self.precision, self.x.device):
            outputs = self.model(self.x)
        F.cross_entropy(outputs.float(), self.y).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def images_per_second(self, steps: int) -> float:
        self.model.train()
        wait = torch.cuda.synchronize if self.x.is_cuda else lambda: None
        wait()
        began = time.perf_counter()
        for _ in range(steps):
            self.step()
        wait()
        return steps * self.case.batch / (time.perf_counter() - began)
