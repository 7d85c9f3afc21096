"""Several looks at growing results: how strict each one must be.

A study that adds seeds until its questions are decided tests them again after every
round. The error is spent over the looks (Lan and DeMets 1983): at a share t of all seeds
a comparison has spent t^1.5 of it (Kim and DeMets 1987). The nominal level of each look
follows from the normal process with independent increments and is applied to the p values
of the t tests (Jennison and Turnbull 2000, section 4.4). The intervals at these levels
hold together over all looks (repeated confidence intervals). Simulated:
docs/statistics.md.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

SPENDING = 1.5
# The grid of the normal process: its values at the last look have deviation 1.
STEP, REACH = 0.004, 8.0


@dataclass(frozen=True)
class Look:
    """One look at the results of a study.

    Attributes:
        seeds: of the variants that were undecided before.
        looks: seeds at each look, rising.
    """

    seeds: int
    looks: tuple[int, ...]

    def share(self, alpha: float) -> float:
        """Return the nominal level of this look as a share of a comparison's alpha."""
        number = next(k for k, size in enumerate(self.looks) if self.seeds <= size)
        return nominal_levels(self.looks, alpha)[number] / alpha


@lru_cache
def nominal_levels(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """Return the two-sided level of each look; the error over all looks is alpha."""
    values = np.arange(-REACH, REACH + STEP / 2, STEP)
    found: list[float] = []
    density, spent, before = np.array([1 / STEP]), 0.0, 0.0
    for time in np.array(looks) / looks[-1]:
        increment = np.exp(-0.5 * values**2 / (time - before))
        density = np.convolve(density, increment / increment.sum(), mode="same")
        tail = STEP * (2 * np.cumsum(density[::-1]) - density[::-1])
        target = alpha * (time**SPENDING - spent)
        bound = float(np.interp(target, tail, values[::-1]))
        found.append(2 * float(special.ndtr(-bound / time**0.5)))
        density = np.where(np.abs(values) <= bound, density, 0.0)
        spent, before = time**SPENDING, time
    return tuple(found)
