"""Multi-class hinge loss."""

from torch.nn import functional as F


def loss(logits, labels, margin: float = 1.0):
    return F.multi_margin_loss(logits, labels, margin=margin)
