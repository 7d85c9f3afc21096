"""The errors of one contrast: from seeds, and from test images where asked for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from labmill.stats.images import ImageError
from labmill.stats.layout import Contrast, Layout, Spread
from labmill.stats.moderation import half_width, own_correction, p_value
from labmill.stats.prior import Floats

Images = Callable[[Contrast], ImageError | None]
Errors = Sequence[tuple[float, float]]


class Status(StrEnum):
    """How a contrast was tested, or why not."""

    TESTED = "own test with moderated variances"
    BORROWED = "own values all equal: the other variants' spread"
    TOO_FEW_SEEDS = "fewer than two seeds"
    NO_SPREAD = "no value varies over seeds"


@dataclass(frozen=True)
class ContrastTest:
    """A contrast's errors, with the test images' error added where it is asked for."""

    contrast: Contrast
    status: Status
    estimate: float
    n: dict[str, int]
    spread: Spread | None
    image: ImageError | None
    own: Errors
    moderated: Errors
    parts: tuple["ContrastTest", ...]

    @classmethod
    def of(
        cls, layout: Layout, contrast: Contrast, images: Images | None
    ) -> "ContrastTest":
        spread = layout.spread(contrast)
        if spread is None:
            means = {
                v: np.mean(list(layout.values[v].values())) for v in contrast.weights
            }
            estimate = float(sum(w * means[v] for v, w in contrast.weights.items()))
            n = {v: len(layout.values[v]) for v in contrast.weights}
            few = Status.TOO_FEW_SEEDS
            return cls(contrast, few, estimate, n, None, None, (), (), ())
        image = images(contrast) if images else None
        own, moderated = (
            _with_images(errors, image) for errors in (spread.own, [spread.moderated])
        )
        status = Status.BORROWED if spread.borrowed else Status.TESTED
        if max(squared for squared, _ in (*own, *moderated)) <= 0:
            status = Status.NO_SPREAD
        parts = tuple(cls.of(layout, part, images) for part in contrast.parts)
        if not all(part.testable for part in parts):
            parts = ()
        return cls(
            contrast,
            status,
            spread.estimate,
            dict(spread.n),
            spread,
            image,
            own,
            moderated,
            parts,
        )

    @property
    def testable(self) -> bool:
        return self.status in (Status.TESTED, Status.BORROWED)

    @property
    def share(self) -> float:
        return self.spread.share if self.spread else 1.0

    def p(self, estimate: float) -> tuple[float, float]:
        """Return the own and the moderated p of an estimate."""
        own, moderated = (
            max(float(p_value(np.asarray(estimate), *_arrays(one))) for one in errors)
            for errors in (self.own, self.moderated)
        )
        return own, moderated

    def half_width(self, alpha: float, m: int) -> float:
        """Return the corrected half-width; an average's is at most its parts'."""
        guard = alpha / float(own_correction(m, self.share))
        longest, shortest, moderated = (
            max(float(half_width(*_arrays(one), np.asarray(level))) for one in errors)
            for errors, level in (
                (self.own, alpha / m),
                (self.own, guard),
                (self.moderated, alpha / m),
            )
        )
        half = min(max(moderated, shortest), longest)
        if self.parts:
            half = min(half, max(part.half_width(alpha, m) for part in self.parts))
        return half


def _with_images(errors: Errors, image: ImageError | None) -> Errors:
    """Add what test images contribute; both errors count, so no interval shrinks."""
    if image is None:
        return tuple(errors)
    added = []
    for squared, freedom in errors:
        total = squared + image.variance
        inverse = squared**2 / freedom + image.variance**2 / image.freedom
        added.append((total, total**2 / inverse if inverse > 0 else freedom))
    return (*errors, *added)


def _arrays(error: tuple[float, float]) -> tuple[Floats, Floats]:
    """Return squared error and freedom as arrays."""
    return np.asarray(error[0]), np.asarray(error[1])
