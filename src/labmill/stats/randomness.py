"""Counter-based randomness: every random choice is a function of its coordinates.

No generator is shared or advanced: a run resumed at any step draws the same numbers as
a run that was never stopped, and two variants with one seed get the same batches in the
same order.
"""

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def seed_for(seed: int, axis: str, *counters: int) -> int:
    """Return a 63-bit seed for one random choice.

    `axis` names the kind of choice (`init`, `order`, `augment`, `dropout`, `split` …),
    `counters` where it happens (epoch, step). Equal coordinates give equal seeds;
    any difference gives an unrelated one (BLAKE2b).
    """
    text = ":".join([str(seed), axis, *map(str, counters)])
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def numpy_generator(seed: int, axis: str, *counters: int) -> "np.random.Generator":
    """Return a NumPy generator at the given coordinates."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(seed_for(seed, axis, *counters)))


def torch_generator(
    seed: int, axis: str, *counters: int, device: str = "cpu"
) -> "torch.Generator":
    """Return a torch generator at the given coordinates, on `device`."""
    import torch

    generator = torch.Generator(device=device)
    return generator.manual_seed(seed_for(seed, axis, *counters))
