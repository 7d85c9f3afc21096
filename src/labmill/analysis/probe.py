"""Linear probes: how well a linear classifier predicts the class from features.

Alain and Bengio, 2017, arXiv:1610.01644.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

STEPS = 60


def linear_probe(
    train: Tensor,
    train_labels: Tensor,
    held_out: Tensor,
    held_out_labels: Tensor,
    *,
    l2: float = 1e-3,
) -> float:
    """Return the accuracy of a logistic regression on held-out features.

    Features are standardised by the training ones; a constant one counts as zero. Full
    batches, L-BFGS in float64 from zero: the result is a function of the features.
    Features are float (n, dim); `l2` weighs the squared weights against the mean loss.
    """
    train, held_out = train.double(), held_out.double()
    mean, std = train.mean(0), train.std(0)
    scale = torch.where(std > 1e-8, 1 / std.clamp(min=1e-8), torch.zeros_like(std))
    train, held_out = (train - mean) * scale, (held_out - mean) * scale
    classes = int(max(train_labels.max(), held_out_labels.max())) + 1
    weight = train.new_zeros(train.shape[1], classes, requires_grad=True)
    bias = train.new_zeros(classes, requires_grad=True)
    solver = torch.optim.LBFGS(
        [weight, bias], max_iter=STEPS, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(train @ weight + bias, train_labels)
        value = value + l2 * weight.square().sum()
        value.backward()
        return value

    solver.step(loss)
    with torch.no_grad():
        right = (held_out @ weight + bias).argmax(1) == held_out_labels
    return float(right.double().mean())
