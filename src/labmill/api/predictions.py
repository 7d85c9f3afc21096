"""Logits as a table of predictions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd


def table(logits: np.ndarray, classes: Sequence[str]) -> pd.DataFrame:
    """Return prediction, its probability and all logits, one row per image.

    Args:
        logits: float (images, classes).
        classes: names of the classes.
    """
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = shifted / shifted.sum(axis=1, keepdims=True)
    taken = logits.argmax(axis=1)
    found = pd.DataFrame(
        {
            "prediction": [classes[one] for one in taken],
            "probability": probability[np.arange(len(taken)), taken],
        }
    )
    return found.join(
        pd.DataFrame(logits, columns=[f"logit_{name}" for name in classes])
    )
