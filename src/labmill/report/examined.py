"""What `examine` found, as the figures about attention read it."""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from labmill.report import style
from labmill.report.results import Results


@dataclass(frozen=True)
class Examined:
    """One variant's examine.json and examine.npz.

    Attributes:
        variant, label: its name in the study and in the report.
        figures: attention distance and probes by layer.
        arrays: pixels, labels, maps, and cross and positions where there are any.
    """

    variant: str
    label: str
    figures: dict[str, Any]
    arrays: dict[str, np.ndarray]

    @property
    def heading(self) -> str:
        """The label above a small panel, in two lines at most."""
        return "\n".join(textwrap.wrap(style.shorten(self.label, 40), 21)[:2])

    @cached_property
    def side(self) -> int:
        """Patches along one side of an image."""
        tokens = self.arrays["maps"].shape[-1]
        return int(tokens**0.5)

    @cached_property
    def has_token(self) -> bool:
        """Whether the maps' first row and column are a class token's."""
        return self.arrays["maps"].shape[-1] > self.side**2

    @cached_property
    def mean_maps(self) -> np.ndarray:
        """Means over heads, float (depth, images, T, T)."""
        return self.arrays["maps"].astype(np.float64).mean(2)

    def seen(self, maps: np.ndarray) -> np.ndarray:
        """Where a class token looks, or without one all patches in the mean.

        (…, T, T) → (…, side, side), not a number where the token is not there yet.
        """
        rows = maps[..., 0, 1:] if self.has_token else maps.mean(-2)
        total = rows.sum(-1, keepdims=True)
        shares = np.divide(rows, total, out=np.full_like(rows, np.nan), where=total > 0)
        return shares.reshape(*shares.shape[:-1], self.side, self.side)

    def rollout(self) -> np.ndarray:
        """Attention through all layers, (images, side, side).

        The product of (A + I) / 2 over layers, A being the mean over heads (Abnar and
        Zuidema, 2020, arXiv:2005.00928). A token passes by layers before it came in.
        """
        one = np.eye(self.mean_maps.shape[-1])
        flow = np.broadcast_to(one, self.mean_maps.shape[1:])
        for layer in self.mean_maps:
            mixed = layer + one
            flow = mixed / mixed.sum(-1, keepdims=True) @ flow
        return self.seen(flow)


def examined(results: Results) -> Iterator[Examined]:
    """All that was examined, in the order of the study's list."""
    asked = results.study["examine"]["variants"] if results.study["examine"] else ()
    for variant in asked:
        for record in results.stages(variant):
            figures = results.open(record, "examine")
            path = results.path(record["files"].get("examine_arrays"))
            if figures and path:
                with np.load(path) as file:
                    arrays = dict(file)
                yield Examined(variant, results.label(variant), figures, arrays)
