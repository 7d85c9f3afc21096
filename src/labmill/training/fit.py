"""Train a network: from scratch, to fine-tune it, or on a pretext task."""

import logging
from pathlib import Path

import torch
from torch import nn

from labmill.randomness import seed_for
from labmill.study import Training
from labmill.training import choices
from labmill.training.device import memory_errors
from labmill.training.loop import Fitting
from labmill.training.record import Data, Normalisation, Outcome
from labmill.training.state import Stop, Store
from labmill.training.tasks import TASKS

log = logging.getLogger("labmill")


def fit(
    model: nn.Module,
    training: Training,
    data: Data,
    *,
    seed: int,
    normalisation: Normalisation,
    state: Path,
    channels_last: bool,
    device: str | torch.device | None = None,
    axis: str = "train",
    progress: bool = True,
    task: str = "classification",
    threads: int | None = None,
    resident: bool | None = None,
) -> Outcome:
    """Train `model` in place on `data.train`, watching `data.validation`.

    Goes on from what the folder `state` holds, to the same bits as if never stopped.
    Where the run had ended, its weights are read back. SIGTERM and SIGUSR1 end it at
    the next step with SystemExit(75), its state saved. Parameters that require no
    gradient stay, and their modules run in evaluation mode. `axis` separates the
    randomness of stages with one seed; `resident` overrides whether the images are
    held on the device. Raises LabmillError for settings that do not fit the data, and
    when the device has too little memory.
    """
    device = choices.prepare(device, threads)
    store = Store(Path(state))
    with Stop() as stop, store.lease(stop):
        done = store.finished()
        if done is not None:
            model.load_state_dict(done[0])
            log.info("already trained: result restored from %s", store.folder)
            return Outcome(**done[1], weights=store.weights)
        with memory_errors(device, training):
            fitting = Fitting(
                model,
                training,
                data,
                seed=seed if axis == "train" else seed_for(seed, axis),
                normalisation=normalisation,
                store=store,
                stop=stop,
                channels_last=channels_last,
                device=device,
                task=TASKS[task],
                resident=resident,
            )
            return fitting.run(progress)
