"""Put into the copy of labmill that these tests run: a training that waits for its test.

So that a fault always meets a run in its middle, on a fast machine as on a slow one.
After each epoch a run writes `variant epoch job` to `trained.txt` of its working
directory, then waits while `hold/<variant>` is there and nobody asks it to stop.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any


def held(one_epoch: Callable[..., Any]) -> Callable[..., Any]:
    """`Trainer.one_epoch` with a gate behind it."""

    def through(self: Any, *arguments: Any) -> Any:
        status = one_epoch(self, *arguments)
        variant = self.store.folder.parts[2]
        with Path("trained.txt").open("a") as file:
            file.write(
                f"{variant} {self.state.epoch} {os.environ.get('SLURM_JOB_ID', 0)}\n"
            )
        while Path("hold", variant).exists() and not self.stop.requested:
            time.sleep(0.05)
        return status

    return through
