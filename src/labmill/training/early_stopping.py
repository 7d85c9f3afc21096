"""When a run ends, and which of its weights it keeps."""

import math

from labmill.study.schema import Training
from labmill.training.records import EpochRow, Status

RULES = ("early_stopping", "converged")


class EarlyStopping:
    """Follows validation metrics over the epochs.

    Attributes:
        counters: rule → best value so far, epochs since then; saved with the state.
        improved: whether the last epoch has the best validation accuracy.
    """

    def __init__(self, training: Training) -> None:
        self.training = training
        self.counters: dict[str, list[float]] = {
            rule: [-math.inf, 0] for rule in RULES if getattr(training, rule)
        }
        self.improved = False

    def verdict(self, row: EpochRow) -> Status | None:
        """Return the status with which the run ends after this epoch, or None."""
        self.improved = False
        stopped = converged = False
        loss, accuracy = row.validation_loss, row.validation_accuracy
        if loss is not None and accuracy is not None:
            stopped = self._is_out_of_patience("early_stopping", accuracy)
            converged = self._is_out_of_patience("converged", -loss)
        until = self.training.until
        if until and row.train_accuracy >= until.train_accuracy:
            return "reached_target"
        if stopped:
            return "stopped_early"
        return "converged" if converged else None

    def _is_out_of_patience(self, rule: str, value: float) -> bool:
        if rule not in self.counters:
            return False
        patience = getattr(self.training, rule)
        best, waited = self.counters[rule]
        improved = value > best + patience.tolerance
        if improved:
            best, waited = value, 0
        else:
            waited += self.training.evaluate_every
        self.counters[rule] = [best, waited]
        if rule == "early_stopping":
            self.improved = improved
        return bool(waited >= patience.patience)


def last_epoch(training: Training) -> int:
    """Return how many epochs a run has at most."""
    return training.until.max_epochs if training.until else training.epochs
