"""Focal loss: well classified images count less (Lin et al., 2017, arXiv:1708.02002)."""

import torch
from torch import Tensor
from torch.nn import functional as F


def loss(logits: Tensor, labels: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Return the mean over the batch.

    Args:
        logits: float32 (n, classes).
        labels: int64 (n,).
        gamma: 0 is cross-entropy; larger, easy images count less.
    """
    log_share = F.log_softmax(logits, 1).gather(1, labels[:, None]).squeeze(1)
    return -torch.mean((1 - log_share.exp()) ** gamma * log_share)
