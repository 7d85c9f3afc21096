"""Cross-entropy, with label smoothing (Szegedy et al., 2016, arXiv:1512.00567)."""

from torch import Tensor
from torch.nn import functional as F

MIXED_LABELS = True


def loss(logits: Tensor, labels: Tensor, *, label_smoothing: float = 0.0) -> Tensor:
    """Return the mean over the batch.

    Args:
        logits: float32 (n, classes).
        labels: int64 (n,), or shares of classes, float32 (n, classes).
        label_smoothing: share of probability spread over all classes.
    """
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
