"""When a run ends, and which of its weights it keeps."""

import math
from typing import Any

from labmill.study import Training

RULES = ("early_stopping", "converged")


class Watch:
    """Follows the figures over the epochs; `counters` are saved with the state."""

    def __init__(self, training: Training) -> None:
        self.training = training
        # Rule -> best figure so far, epochs since then.
        self.counters: dict[str, list[float]] = {
            rule: [-math.inf, 0] for rule in RULES if getattr(training, rule)
        }
        # Whether the epoch just seen has the best validation accuracy.
        self.gained = False

    def verdict(self, row: dict[str, Any]) -> str | None:
        """The status with which the run ends after this epoch, or None."""
        self.gained = False
        over = {}
        if row["validation_loss"] is not None:
            over = {
                "stopped_early": self._stale(
                    "early_stopping", row["validation_accuracy"]
                ),
                "converged": self._stale("converged", -row["validation_loss"]),
            }
        until = self.training.until
        if until and row["train_accuracy"] >= until.train_accuracy:
            return "reached_target"
        return next((status for status, stale in over.items() if stale), None)

    def _stale(self, rule: str, figure: float) -> bool:
        """Whether a rule's patience is over."""
        if rule not in self.counters:
            return False
        patience = getattr(self.training, rule)
        best, waited = self.counters[rule]
        gained = figure > best + patience.tolerance
        if gained:
            best, waited = figure, 0
        else:
            waited += self.training.evaluate_every
        self.counters[rule] = [best, waited]
        if rule == "early_stopping":
            self.gained = gained
        return waited >= patience.patience
