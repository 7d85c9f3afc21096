"""Answers of a sequence model: does it copy each sequence, reverse it, or neither?"""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from labmill.data.datasets.sequences import CLASSES, DIGITS, read_tokens
from labmill.evaluation.records import Decoding

NEITHER = "neither"
PRECISIONS = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
BATCH = 256
# Keeps logarithms of probabilities finite.
SMALLEST = 1e-30


def behaviour(network: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return log-probabilities of copying, reversal and anything else, float32 (n, 3).

    The probability of an answer is the product of those of its tokens, each given the
    ones before it; the rest of 1 is that of anything else. `images` are those of
    `labmill.data.datasets.sequences`.
    """
    found = []
    with torch.inference_mode():
        for source, target in batches(network, images):
            digits = source[:, 1:]
            answers = [
                torch.cat((each, target[:, -1:]), 1)
                for each in (digits, digits.flip(1))
            ]
            both = torch.stack([likelihood(network, source, a) for a in answers], 1)
            rest = (1 - both.exp().sum(1, keepdim=True)).clamp(min=SMALLEST).log()
            both = both.clamp(min=float(np.log(SMALLEST)))
            found.append(torch.cat((both, rest), 1).float().cpu())
    return torch.cat(found).numpy()


def likelihood(
    network: nn.Module, source: torch.Tensor, answer: torch.Tensor
) -> torch.Tensor:
    """Return log P(answer | source), float64 (B,), of tokens (B, S) and (B, T)."""
    logits = network(source, answer).double()
    return logits.log_softmax(2).gather(2, answer[:, :, None]).sum((1, 2))


def decoded_exactly(network: Any, images: np.ndarray) -> Decoding:
    """Return the share of sequences whose greedy decoding is right to the last token.

    Computed in the precision of the network's weights.
    """
    right, asked = [], []
    with torch.inference_mode():
        for source, target in batches(network, images):
            answer = network.greedy(source, target.shape[1])
            right.append((answer == target).all(1).cpu())
            asked.append((source[:, 0] - DIGITS).cpu())
    exact, labels = torch.cat(right).double(), torch.cat(asked)
    shares = {
        name: float(exact[labels == label].mean()) for label, name in enumerate(CLASSES)
    }
    return Decoding(n=len(exact), exact=float(exact.mean()), **shares)


def at_precisions(
    network: nn.Module, parts: dict[str, np.ndarray]
) -> dict[str, dict[str, Decoding]]:
    """Return `decoded_exactly` by precision, to which the whole network is rounded."""
    found = {}
    for name, dtype in PRECISIONS.items():
        rounded = copy.deepcopy(network).to(dtype)
        found[name] = {
            part: decoded_exactly(rounded, images) for part, images in parts.items()
        }
    return found


def batches(
    network: nn.Module, images: np.ndarray
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield source and target tokens, int64 (B, L) on the network's device."""
    network.eval()
    device = next(network.parameters()).device
    for start in range(0, len(images), BATCH):
        part = torch.from_numpy(images[start : start + BATCH]).to(device)
        yield read_tokens(part / 255)
