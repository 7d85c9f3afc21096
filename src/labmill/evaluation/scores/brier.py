"""Brier score: mean squared distance of the probabilities from the true class."""

import numpy as np
from scipy.special import softmax

TITLE = "Brier score"
UNIT = ""
BETTER = "lower"


def metric(logits: np.ndarray, labels: np.ndarray) -> float:
    """Return it, from 0 (certain and right) to 2."""
    truth = np.eye(logits.shape[1])[labels]
    return float(((softmax(logits, axis=1) - truth) ** 2).sum(axis=1).mean())
