"""What `examine` found, as the figures about attention read it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from labmill.analysis.records import Examination
from labmill.report.results import StudyResults


@dataclass(frozen=True)
class Examined:
    """One variant's examine.json and examine.npz.

    Attributes:
        label: the variant's name in the report.
        arrays: pixels, labels, maps, and cross and positions where there are any.
    """

    label: str
    record: Examination
    arrays: dict[str, np.ndarray]

    @cached_property
    def side(self) -> int:
        """Patches along one side of an image."""
        return int(self.arrays["maps"].shape[-1] ** 0.5)

    @cached_property
    def mean_maps(self) -> np.ndarray:
        """Means over heads, float (depth, images, T, T)."""
        return self.arrays["maps"].astype(np.float64).mean(2)

    def seen(self, maps: np.ndarray) -> np.ndarray:
        """Return where a class token looks, or without one all patches in the mean.

        (…, T, T) → (…, side, side), not a number where the token is not there yet.
        """
        has_token = maps.shape[-1] > self.side**2
        rows = maps[..., 0, 1:] if has_token else maps.mean(-2)
        total = rows.sum(-1, keepdims=True)
        shares = np.divide(rows, total, out=np.full_like(rows, np.nan), where=total > 0)
        return shares.reshape(*shares.shape[:-1], self.side, self.side)

    def rollout(self) -> np.ndarray:
        """Return attention through all layers, (images, side, side).

        The product of (A + I) / 2 over layers, A being the mean over heads (Abnar and
        Zuidema, 2020, arXiv:2005.00928). A token passes by layers before it came in.
        """
        one = np.eye(self.mean_maps.shape[-1])
        flow = np.broadcast_to(one, self.mean_maps.shape[1:])
        for layer in self.mean_maps:
            mixed = layer + one
            flow = mixed / mixed.sum(-1, keepdims=True) @ flow
        return self.seen(flow)


def examined(results: StudyResults) -> Iterator[Examined]:
    """Yield all examined networks, in the order of the study's list."""
    for run, record in results.analysed_runs(Examination):
        if arrays := run.arrays("examine_arrays"):
            yield Examined(run.label, record, arrays)
