"""Batched augmentation of uint8 images, a function of (seed, epoch, image) alone.

One table of uniform numbers is drawn per epoch, a row per image; a batch takes the rows
of its images. So what happens to an image depends neither on its batch nor on its place
in it, and switching one change on does not alter the draws of another.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from labmill.errors import LabmillError, suggest
from labmill.randomness import torch_generator

DEFAULTS: dict[str, Any] = {
    "crop": 0,
    "flip": False,
    "brightness": 0.0,
    "contrast": 0.0,
    "rotate90": False,
    "cutout": 0,
}
COLUMNS = ("top", "left", "flip", "turn", "brightness", "contrast", "hole_y", "hole_x")


class Augmentation:
    """Random changes of square images: turn, mirror, shift, colour, a hole.

    settings: `crop`: pixels by which the image is padded with black before a crop of
    the old size; `flip`: mirror left-right with probability 1/2; `rotate90`: turn by 0,
    90, 180 or 270 degrees; `brightness`: factor within 1 ± that; `contrast`: distance
    from the image's mean, factor within 1 ± that; `cutout`: side in pixels of a square
    whose centre is anywhere in the image, filled with `fill` (DeVries and Taylor, 2017,
    arXiv:1708.04552). size: the images' side. fill: per channel in 0..1, black without.
    Raises LabmillError for an unknown setting or one that is out of range.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        size: int,
        fill: Sequence[float] | None = None,
    ) -> None:
        for key in settings:
            if key not in DEFAULTS:
                raise LabmillError(
                    f"augmentation: found {key!r}; {suggest(key, DEFAULTS)}"
                )
        values = {**DEFAULTS, **settings}
        for key, most in (
            ("crop", size - 1),
            ("cutout", size),
            ("brightness", 1),
            ("contrast", 1),
        ):
            if not 0 <= values[key] <= most:
                raise LabmillError(
                    f"augmentation.{key}: found {values[key]}; allowed: 0 to {most} "
                    f"for images of {size} × {size}"
                )
        self.size = size
        self.crop: int = values["crop"]
        self.cutout: int = values["cutout"]
        self.flip: bool = values["flip"]
        self.rotate90: bool = values["rotate90"]
        self.brightness: float = values["brightness"]
        self.contrast: float = values["contrast"]
        self.fill = fill

    @property
    def active(self) -> bool:
        """Whether anything would be changed."""
        return self.moves or self.colours or self.cutout > 0

    @property
    def moves(self) -> bool:
        """Whether pixels change place."""
        return self.crop > 0 or self.flip or self.rotate90

    @property
    def colours(self) -> bool:
        """Whether values change."""
        return self.brightness > 0 or self.contrast > 0

    def table(self, seed: int, epoch: int, count: int) -> Tensor:
        """Uniform numbers in [0, 1), float32 (count, 8) on the CPU; row i is image i's.

        A row does not depend on `count`.
        """
        generator = torch_generator(seed, "augment", epoch)
        return torch.rand(count, len(COLUMNS), generator=generator)

    def __call__(self, images: Tensor, rows: Tensor) -> Tensor:
        """The images changed as their rows of the table say.

        images: uint8 (B, C, size, size); rows: float32 (B, 8), on the same device.
        Returns uint8 (B, C, size, size). Neither waits for the device nor makes a shape
        depend on data, so that it may be captured in a graph.
        """
        draw = dict(zip(COLUMNS, rows.unbind(1), strict=True))
        changed = self.coloured(images, draw) if self.colours else images
        if self.moves:
            changed = self.moved(changed, draw)
        if self.cutout:
            changed = self.holed(changed, draw)
        return changed

    def coloured(self, images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Brightness, then contrast about the image's own mean, as one affine map."""
        bright = 1 + self.brightness * (2 * draw["brightness"] - 1)
        spread = 1 + self.contrast * (2 * draw["contrast"] - 1)
        values = images.float()
        shift = values.mean((1, 2, 3)) * bright * (1 - spread)
        values *= (bright * spread)[:, None, None, None]
        values += shift[:, None, None, None]
        return values.round_().clamp_(0, 255).to(torch.uint8)

    def moved(self, images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Turn, mirror and shift in one gather; what comes from outside is black.

        Every such move takes output (i, j) from input row[i] + column[j] of the
        flattened image, so that only these two vectors per image are worked out.
        """
        size, last = self.size, self.size - 1
        y = x = torch.arange(size, device=images.device).expand(len(images), size)
        inside = None
        if self.crop:
            y = y + (whole(draw["top"], 2 * self.crop + 1) - self.crop)[:, None]
            x = x + (whole(draw["left"], 2 * self.crop + 1) - self.crop)[:, None]
            inside = within(y, size)[:, :, None] & within(x, size)[:, None, :]
            y, x = y.clamp(0, last), x.clamp(0, last)
        if self.flip:
            x = torch.where((draw["flip"] < 0.5)[:, None], last - x, x)
        row, column = y * size, x
        if self.rotate90:
            turn = whole(draw["turn"], 4)[:, None]
            y = torch.where((turn == 1) | (turn == 2), last - y, y)
            x = torch.where(turn >= 2, last - x, x)
            on_side = turn % 2 == 1
            row = torch.where(on_side, y, y * size)
            column = torch.where(on_side, x * size, x)
        source = (row[:, :, None] + column[:, None, :]).flatten(1)
        flat = images.flatten(2)
        result = flat.gather(2, source[:, None].expand_as(flat)).view_as(images)
        return result if inside is None else result * inside[:, None]

    def holed(self, images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """A square of `fill` anywhere; what reaches over the edge is cut off."""
        line = torch.arange(self.size, device=images.device)
        top = (whole(draw["hole_y"], self.size) - self.cutout // 2)[:, None]
        left = (whole(draw["hole_x"], self.size) - self.cutout // 2)[:, None]
        outside = ~(
            within(line - top, self.cutout)[:, None, :, None]
            & within(line - left, self.cutout)[:, None, None, :]
        )
        if self.fill is None:
            return images * outside
        return torch.where(outside, images, self.colour(images.device))

    def colour(self, device: torch.device) -> Tensor:
        """`fill` as uint8 (C, 1, 1), made on `device` without a copy to it."""
        return torch.cat(
            [
                torch.full(
                    (1, 1, 1), round(255 * value), dtype=torch.uint8, device=device
                )
                for value in self.fill or ()
            ]
        )


def whole(uniform: Tensor, count: int) -> Tensor:
    """Integers 0..count-1, equally likely, from numbers in [0, 1)."""
    return (uniform * count).long()


def within(position: Tensor, size: int) -> Tensor:
    """Where 0 <= position < size."""
    return (position >= 0) & (position < size)


def normaliser(
    card: Mapping[str, Any],
    how: Literal["dataset", "half", "none"] | Mapping[str, Sequence[float]] = "dataset",
) -> tuple[Tensor, Tensor]:
    """Mean and deviation, float32 (1, C, 1, 1), for images scaled to 0..1.

    "dataset": the card's own; "half": 0.5 and 0.5; "none": 0 and 1; or a mapping with
    `mean` and `std` per channel. A channel that never varies is left unscaled. Raises
    LabmillError for another word or the wrong number of channels.
    """
    channels = card["channels"]
    constants = {"half": (0.5, 0.5), "none": (0.0, 1.0)}
    if isinstance(how, Mapping):
        mean, std = list(how["mean"]), list(how["std"])
    elif how == "dataset":
        mean, std = card["mean"], [value or 1.0 for value in card["std"]]
    elif how in constants:
        mean, std = ([value] * channels for value in constants[how])
    else:
        raise LabmillError(
            f"data.normalisation: found {how!r}; "
            f"{suggest(how, ['dataset', *constants])}, or mean and std per channel"
        )
    if len(mean) != channels or len(std) != channels:
        raise LabmillError(
            f"data.normalisation: found {len(mean)} means and {len(std)} deviations; "
            f"{card['name']} has {channels} channel(s)"
        )
    return (
        torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1),
        torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1),
    )
