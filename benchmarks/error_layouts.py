"""Layouts of variants × seeds for `error_rates.py`: scatter, seeds, shapes."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Standard deviations in points: the speed-run study of the sample dynamic_cnn.
SPEED_RUN = (5.5, 0.8, 0.25, 1.2, 9.7, 8.0, 0.26)
IMAGES = 500


@dataclass(frozen=True)
class Layout:
    """One simulated study, in points of accuracy.

    Attributes:
        sds: standard deviation of each variant's own scatter.
        seed_effect: standard deviation of an effect of each seed on all `sharing`.
        sharing: number of variants (the first ones) that share it; None for all.
        shape: normal, exponential, t3, binomial (accuracy `level` on 500 images) or
            dead (each run ends at 10 % with probability `dead`, else normal).
        means: true means, all equal where empty.
        pair: the pair whose power is measured.
    """

    name: str
    sds: Sequence[float]
    seed_effect: float = 0.0
    sharing: int | None = None
    shape: str = "normal"
    level: float = 0.0
    dead: float = 0.0
    means: Sequence[float] = field(default_factory=tuple)
    pair: tuple[int, int] = (0, 1)

    def draw(self, generator: np.random.Generator, repeats: int, n: int) -> Floats:
        """Draw values (repeats, variants, n seeds)."""
        k = len(self.sds)
        shape = (repeats, k, n)
        if self.shape == "binomial":
            counts = generator.binomial(IMAGES, self.level, shape)
            return np.asarray(counts / (IMAGES / 100))
        if self.shape == "exponential":
            noise = 1 - generator.exponential(size=shape)
        elif self.shape == "t3":
            noise = generator.standard_t(3, shape) / 3**0.5
        else:
            noise = generator.standard_normal(shape)
        values: Floats = noise * np.array(self.sds)[:, None]
        if self.seed_effect:
            effect = generator.standard_normal((repeats, 1, n)) * self.seed_effect
            values[:, : self.sharing] += effect
        if len(self.means):
            values += np.array(self.means)[:, None]
        if self.shape == "dead":
            values = np.where(generator.random(shape) < self.dead, -60.0, values)
        return values


def _one(*sds: tuple[float, int]) -> list[float]:
    return [sd for sd, count in sds for _ in range(count)]


# All true means equal. The first nine are those of review section 2.
EQUAL = (
    Layout("1 ×5", _one((1, 5))),
    Layout("5, 1 ×4", _one((5, 1), (1, 4))),
    Layout("5, 1 ×6", _one((5, 1), (1, 6))),
    Layout("5, 1 ×10", _one((5, 1), (1, 10))),
    Layout("10, 1 ×6", _one((10, 1), (1, 6))),
    Layout("5 ×2, 1 ×5", _one((5, 2), (1, 5))),
    Layout("as dynamic_cnn", SPEED_RUN),
    Layout(
        "4 of 5 share a seed effect .85; .16 ×4, .3",
        _one((0.16, 4), (0.3, 1)),
        seed_effect=0.85,
        sharing=4,
    ),
    Layout(
        "4 of 5 share .85; .6 ×4, .16",
        _one((0.6, 4), (0.16, 1)),
        seed_effect=0.85,
        sharing=4,
    ),
    Layout("1 ×2", _one((1, 2))),
    Layout("5, 1", _one((5, 1), (1, 1))),
    Layout("1 ×3", _one((1, 3))),
    Layout("5, 1 ×2", _one((5, 1), (1, 2))),
    Layout("5 ×2, 1", _one((5, 2), (1, 1))),
    Layout("1 ×10", _one((1, 10))),
    Layout("1 ×18", _one((1, 18))),
    Layout("2, 1 ×5", _one((2, 1), (1, 5))),
    Layout("3, 1 ×6", _one((3, 1), (1, 6))),
    Layout("5, 1 ×17", _one((5, 1), (1, 17))),
    Layout("10, 1 ×17", _one((10, 1), (1, 17))),
    Layout("30, 1 ×9", _one((30, 1), (1, 9))),
    Layout("10 ×2, 1 ×7", _one((10, 2), (1, 7))),
    Layout("5 ×4, 1 ×4", _one((5, 4), (1, 4))),
    Layout("5 ×3, 1 ×15", _one((5, 3), (1, 15))),
    Layout("10 ×3, 1 ×9", _one((10, 3), (1, 9))),
    Layout("10 ×6, 1 ×12", _one((10, 6), (1, 12))),
    Layout("0.2, 1 ×6", _one((0.2, 1), (1, 6))),
    Layout("0.02, 1 ×8", _one((0.02, 1), (1, 8))),
    Layout("0.3 … 10, 9 steps", list(np.geomspace(0.3, 10, 9))),
    Layout("0.3 … 10, 18 steps", list(np.geomspace(0.3, 10, 18))),
    Layout("0.1 ×3, 1 ×3, 10 ×3", _one((0.1, 3), (1, 3), (10, 3))),
    Layout("1 ×5, seed effect 0.5", _one((1, 5)), seed_effect=0.5),
    Layout("1 ×5, seed effect 2", _one((1, 5)), seed_effect=2),
    Layout("5, 1 ×6, seed effect 2", _one((5, 1), (1, 6)), seed_effect=2),
    Layout("2 of 4 share 1; .3 ×4", _one((0.3, 4)), seed_effect=1, sharing=2),
    Layout("5 of 10 share 1; .3 ×10", _one((0.3, 10)), seed_effect=1, sharing=5),
    Layout(
        "ceiling: 99.4 % of 500 images ×5", _one((1, 5)), shape="binomial", level=0.994
    ),
    Layout("chance: 10 % of 500 images ×9", _one((1, 9)), shape="binomial", level=0.1),
    Layout("exponential, 1 ×7", _one((1, 7)), shape="exponential"),
    Layout("exponential, 5, 1 ×6", _one((5, 1), (1, 6)), shape="exponential"),
    Layout("t with 3 df, 1 ×7", _one((1, 7)), shape="t3"),
    Layout("dead runs 10 %, 1 ×7", _one((1, 7)), shape="dead", dead=0.1),
    Layout("dead runs 30 %, 1 ×7", _one((1, 7)), shape="dead", dead=0.3),
)


def power_layouts(n: int) -> list[Layout]:
    """Return layouts with a true difference; `gap` is found about 75 % of the time."""
    gap = {3: 3.5, 5: 2.7, 8: 2.1, 10: 1.8}[n]
    found = []
    for k, effect in ((2, 0), (3, 0), (5, 0), (10, 0), (18, 0), (5, 0.5), (5, 2.0)):
        name = f"1 ×{k}, one {gap} ahead" + (f", seed effect {effect}" * bool(effect))
        means = [gap, *[0] * (k - 1)]
        found.append(Layout(name, _one((1, k)), seed_effect=effect, means=means))
    return [
        *found,
        Layout(
            "dynamic_cnn: 11.4 ahead of the next (sds .26, 1.2)",
            (0.26, 1.2, 0.8, 0.25, 5.5, 9.7, 8.0),
            means=(72.6, 61.2, 60.0, 61.2, 26.3, 21.1, 30.0),
        ),
        Layout(
            "the same, all others equal",
            SPEED_RUN,
            means=(0, 0, 0, 0, 0, 0, 11.35),
            pair=(3, 6),
        ),
        Layout(
            f"4, 1 ×8: two of sd 1, {gap} apart",
            _one((4, 1), (1, 8)),
            means=[0, gap, *[0] * 7],
            pair=(1, 8),
        ),
        Layout(
            f"10 ×2, 1 ×7: two of sd 1, {2 * gap} apart",
            _one((10, 2), (1, 7)),
            means=[0, 0, 2 * gap, *[0] * 6],
            pair=(2, 8),
        ),
        Layout(
            f"0.02, 1 ×8: two of sd 1, {gap} apart",
            _one((0.02, 1), (1, 8)),
            means=[0, gap, *[0] * 7],
            pair=(1, 8),
        ),
    ]
