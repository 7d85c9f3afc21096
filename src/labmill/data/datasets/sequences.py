"""Sequences of digits to be copied or reversed, generated: the answer is known exactly.

An "image" has two rows of one token per position, as grey values: the source (a marker
of the task, then the digits) and the target (the digits, copied or reversed, then an
end marker). Its label is the task. So it is fetched, split and loaded as any dataset
is; a model of kind "sequence" reads the tokens back.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from labmill.core.errors import LabmillError
from labmill.data.prepare import Decoded
from labmill.stats.randomness import numpy_generator

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = ("copying", "reversal")
IMAGE_SIZE = None  # length + 1, as the arguments decide
CHANNELS = 1
ORIGIN = "generated"
LICENCE = "none needed: generated"
KIND = "sequence"

DIGITS = 10
MARKERS = ("copy", "reverse", "end")  # tokens 10, 11, 12
VOCABULARY = 13
GREY = 20  # a token's number times this is its grey value


def decode(
    files: dict[str, Path],
    *,
    length: int = 10,
    train: int = 40_000,
    test: int = 2_000,
    seed: int = 0,
) -> Decoded:
    """Return different sequences of random digits, every other one to be reversed.

    Images uint8 (train + test, 1, 2, length + 1). No sequence occurs twice and none is
    a palindrome, for which both answers would be the same: what is tested was never
    seen in training. Raises LabmillError when there are not as many sequences.
    """
    import numpy as np

    wanted = train + test
    if length < 2 or wanted > DIGITS**length // 4 or min(train, test) < 2:
        raise LabmillError(
            f"data.arguments: found length {length}, train {train}, test {test}; "
            "allowed: length at least 2, two sequences or more per part, at most a "
            "quarter of all there are in both"
        )
    generator = numpy_generator(seed, "sequences")
    digits = generator.integers(DIGITS, size=(2 * wanted + 64, length), dtype=np.uint8)
    _, first = np.unique(digits, axis=0, return_index=True)
    digits = digits[np.sort(first)]
    digits = digits[(digits != digits[:, ::-1]).any(1)][:wanted]
    labels = np.arange(wanted) % 2
    task, end = (labels + DIGITS)[:, None], np.full((wanted, 1), VOCABULARY - 1)
    answer = np.where(labels[:, None] == 1, digits[:, ::-1], digits)
    rows = np.stack((np.hstack((task, digits)), np.hstack((answer, end))), axis=1)
    return Decoded(
        images=(rows[:, None] * GREY).astype(np.uint8),
        labels=labels.astype(np.int64),
        train=train,
        classes=CLASSES,
    )


def read_tokens(images: "Tensor") -> tuple["Tensor", "Tensor"]:
    """Return source and target, int64 (B, L), of images (B, 1, 2, L) in 0..1.

    Inverts `decode`; rows past the second are ignored.
    """
    tokens = (images[:, 0, :2] * (255 / GREY) + 0.5).long()
    return tokens[:, 0], tokens[:, 1]
