"""Batched augmentation of uint8 images, a function of (seed, epoch, image) alone.

One table of uniform numbers is drawn per epoch, a row per image; a batch takes the rows
of its images. So what happens to an image depends neither on its batch nor on its place
in it, and switching one change on does not alter the draws of another.

The frequent changes are here, computed in one pass; others are files of
`labmill.data.augmentations` and of the user.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from labmill.core import project, registry
from labmill.core.errors import LabmillError
from labmill.core.trees import JsonObject
from labmill.data.records import Card
from labmill.stats.randomness import numpy_generator, torch_generator

KIND = "augmentations"
# Keys of `training.augmentation` that are no names of files.
BUILT_IN = ("crop", "flip", "brightness", "contrast", "rotate90", "cutout")
COLUMNS = ("top", "left", "flip", "turn", "brightness", "contrast", "hole_y", "hole_x")


@dataclass(frozen=True)
class Registered:
    """An augmentation of the registry, with its arguments.

    Attributes:
        change: (images, draws) → images; of one that mixes also `partners` → images and
            the share (B,) of each image that is its own.
        draws: uniform numbers that it needs per image.
        mixes: whether it takes other images, its partners.
    """

    name: str
    change: Callable[..., Any]
    draws: int
    mixes: bool

    def __call__(self, images: Tensor, draws: Tensor, **partners: Tensor) -> Any:
        """Return what the entry returns, if it is as expected in type and shape."""
        with project.own_errors():
            found = self.change(images, draws, **partners)
        expected = (images, draws.new_empty(len(images))) if self.mixes else images
        if described(found) != described(expected):
            raise LabmillError(
                f"{registry.place(KIND, self.name)}: returned "
                f"{described(found)}; expected {described(expected)}"
            )
        return found


def described(found: object) -> str:
    """Return the type and shape of a tensor, or of each one in a tuple."""
    match found:
        case Tensor():
            return f"{found.dtype} {tuple(found.shape)}"
        case tuple():
            return " and ".join(map(described, found))
    return type(found).__name__


def registered(settings: JsonObject) -> list[Registered]:
    """Return the registered augmentations of these settings, in the order of applying.

    By `POSITION` in their files, then by name; those that mix come last.
    """
    found = []
    for name in settings.keys() - {*BUILT_IN}:
        if settings[name] in (None, False):
            continue
        given = {} if settings[name] is True else settings[name]
        change = partial(registry.load_entry(KIND, name), **given)
        draws = registry.constant(KIND, name, "DRAWS", 1)
        mixes = registry.takes(KIND, name, "partners")
        found.append(Registered(name, change, draws, mixes))

    def order(one: Registered) -> tuple[bool, int, str]:
        return one.mixes, registry.constant(KIND, one.name, "POSITION", 0), one.name

    return sorted(found, key=order)


class Augmentation:
    """Random changes of square images: turn, mirror, shift, colour, a hole, and others.

    Args:
        settings: those of `labmill.study.schema.Augmentation`; an absent one is off.
            `flip`: "alternate" mirrors an image in every other epoch, at random in the
            first (Jordan, 2024, arXiv:2404.00498). `brightness`: factor within 1 ± that; `contrast`: distance from the image's
            mean, factor within 1 ± that; `cutout`: side of a square whose centre is
            anywhere in the image (DeVries and Taylor, 2017, arXiv:1708.04552).
        size: side of the images.
        fill: colour of the hole, per channel in 0..1; black if absent.
    """

    def __init__(
        self,
        settings: JsonObject,
        size: int,
        fill: Sequence[float] | None = None,
    ) -> None:
        self.size = size
        self.crop: int = settings.get("crop", 0)
        self.cutout: int = settings.get("cutout", 0)
        self.flip: bool | str = settings.get("flip", False)
        self.rotate90: bool = settings.get("rotate90", False)
        self.brightness: float = settings.get("brightness", 0.0)
        self.contrast: float = settings.get("contrast", 0.0)
        self.fill = fill
        self.registered = registered(settings)
        for key, found, most in (
            ("crop", self.crop, size - 1),
            ("cutout", self.cutout, size),
        ):
            if found > most:
                raise LabmillError(
                    f"augmentation.{key}: found {found}; allowed: 0 to {most} "
                    f"for images of {size} × {size}"
                )

    @property
    def active(self) -> bool:
        """Return True if any change is on."""
        built_in = self.moves or self.colours or self.cutout > 0
        return built_in or bool(self.registered)

    @property
    def mixes(self) -> bool:
        """Return True if images are mixed with others."""
        return any(one.mixes for one in self.registered)

    @property
    def moves(self) -> bool:
        """Return True if pixels change their position."""
        return self.crop > 0 or bool(self.flip) or self.rotate90

    @property
    def colours(self) -> bool:
        """Return True if pixel values change."""
        return self.brightness > 0 or self.contrast > 0

    def table(self, seed: int, epoch: int, count: int) -> Tensor:
        """Draw uniform numbers, float32 (count, 8) on the CPU; row i is for image i.

        Columns of registered augmentations follow. A row does not depend on `count`.
        """

        def uniform(axis: str, width: int, epoch: int) -> Tensor:
            generator = torch_generator(seed, axis, epoch)
            return torch.rand(count, width, generator=generator)

        table = uniform("augment", len(COLUMNS), epoch)
        if self.flip == "alternate":
            first = uniform("augment", len(COLUMNS), 0)[:, COLUMNS.index("flip")]
            mirrored = (first < 0.5) ^ (epoch % 2 == 1)
            table[:, COLUMNS.index("flip")] = torch.where(mirrored, 0.0, 0.5)
        further = [
            uniform(f"augment.{one.name}", one.draws, epoch) for one in self.registered
        ]
        return torch.cat([table, *further], 1)

    def partners(self, seed: int, epoch: int, count: int) -> np.ndarray:
        """Return with which of `count` images each of them is mixed."""
        return numpy_generator(seed, "partner", epoch).permutation(count)

    def further(self, rows: Tensor) -> list[tuple[Registered, Tensor]]:
        """Return the registered augmentations, each with its columns of the rows."""
        widths = [len(COLUMNS), *(one.draws for one in self.registered)]
        return list(zip(self.registered, rows.split(widths, 1)[1:], strict=True))

    def __call__(self, images: Tensor, rows: Tensor) -> Tensor:
        """Change each image by its row of the table; return uint8 of the same shape.

        Built-in changes neither wait for the device nor make a shape depend on data, so
        that they may be captured in a graph. `rows` is on the same device.
        """
        draw = dict(zip(COLUMNS, rows.unbind(1), strict=False))
        changed = self.jitter_colours(images, draw) if self.colours else images
        if self.moves:
            changed = self.move_pixels(changed, draw)
        if self.cutout:
            changed = self.cut_hole(changed, draw)
        for one, draws in self.further(rows):
            if not one.mixes:
                changed = one(changed, draws)
        return changed

    def mix(
        self, images: Tensor, rows: Tensor, partners: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mix each image with its partner: return images, and each one's own share (B,)."""
        own = torch.ones(len(images), device=images.device)
        for one, draws in self.further(rows):
            if one.mixes:
                images, share = one(images, draws, partners=partners)
                own = own * share
        return images, own

    def jitter_colours(self, images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Change brightness, then contrast about the image's mean, as one affine map."""
        bright = 1 + self.brightness * (2 * draw["brightness"] - 1)
        spread = 1 + self.contrast * (2 * draw["contrast"] - 1)
        values = images.float()
        shift = values.mean((1, 2, 3)) * bright * (1 - spread)
        values *= (bright * spread)[:, None, None, None]
        values += shift[:, None, None, None]
        return values.round_().clamp_(0, 255).to(torch.uint8)

    def move_pixels(self, images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Turn, mirror and shift in one gather; pixels from outside are black.

        Every such move takes output (i, j) from input row[i] + column[j] of the
        flattened image, so that only these two vectors per image are computed.
        """
        size, last = self.size, self.size - 1
        y = x = torch.arange(size, device=images.device).expand(len(images), size)
        inside = None
        if self.crop:
            shifts = 2 * self.crop + 1
            y = y + (random_integers(draw["top"], shifts) - self.crop)[:, None]
            x = x + (random_integers(draw["left"], shifts) - self.crop)[:, None]
            inside = is_inside(y, size)[:, :, None] & is_inside(x, size)[:, None, :]
            y, x = y.clamp(0, last), x.clamp(0, last)
        if self.flip:
            x = torch.where((draw["flip"] < 0.5)[:, None], last - x, x)
        row, column = y * size, x
        if self.rotate90:
            turn = random_integers(draw["turn"], 4)[:, None]
            y = torch.where((turn == 1) | (turn == 2), last - y, y)
            x = torch.where(turn >= 2, last - x, x)
            on_side = turn % 2 == 1
            row = torch.where(on_side, y, y * size)
            column = torch.where(on_side, x * size, x)
        source = (row[:, :, None] + column[:, None, :]).flatten(1)
        flat = images.flatten(2)
        result = flat.gather(2, source[:, None].expand_as(flat)).view_as(images)
        return result if inside is None else result * inside[:, None]

    def cut_hole(self, images: Tensor, draw: Mapping[str, Tensor]) -> Tensor:
        """Fill a square anywhere; its part outside the image is cut off."""
        line = torch.arange(self.size, device=images.device)
        top = (random_integers(draw["hole_y"], self.size) - self.cutout // 2)[:, None]
        left = (random_integers(draw["hole_x"], self.size) - self.cutout // 2)[:, None]
        outside = ~(
            is_inside(line - top, self.cutout)[:, None, :, None]
            & is_inside(line - left, self.cutout)[:, None, None, :]
        )
        if self.fill is None:
            return images * outside
        return torch.where(outside, images, self.fill_colour(images.device))

    def fill_colour(self, device: torch.device) -> Tensor:
        """Return `fill` as uint8 (C, 1, 1), created on `device` without a copy to it."""
        return torch.cat(
            [
                torch.full(
                    (1, 1, 1), round(255 * value), dtype=torch.uint8, device=device
                )
                for value in self.fill or ()
            ]
        )


def random_integers(uniform: Tensor, count: int) -> Tensor:
    """Return integers 0..count-1, equally likely, from numbers in [0, 1)."""
    return (uniform * count).long()


def is_inside(position: Tensor, size: int) -> Tensor:
    """Return where 0 <= position < size."""
    return (position >= 0) & (position < size)


def normaliser(
    card: Card, how: str | Mapping[str, Sequence[float]] = "dataset"
) -> tuple[Tensor, Tensor]:
    """Return mean and deviation, float32 (1, C, 1, 1), for images scaled to 0..1.

    `how`: "dataset": its own; "half": 0.5 and 0.5; "none": 0 and 1; or a mapping with
    `mean` and `std` per channel. A channel that never varies is left unscaled.
    """
    constants = {"half": (0.5, 0.5), "none": (0.0, 1.0)}
    mean: Sequence[float]
    std: Sequence[float]
    if isinstance(how, Mapping):
        mean, std = how["mean"], how["std"]
    elif how == "dataset":
        mean, std = card.mean, [value or 1.0 for value in card.std]
    else:
        mean, std = ([value] * card.channels for value in constants[how])
    if len(mean) != card.channels or len(std) != card.channels:
        raise LabmillError(
            f"data.normalisation: found {len(mean)} means and {len(std)} deviations; "
            f"{card.name} has {card.channels} channel(s)"
        )
    return (
        torch.tensor(mean, dtype=torch.float32).view(1, -1, 1, 1),
        torch.tensor(std, dtype=torch.float32).view(1, -1, 1, 1),
    )
