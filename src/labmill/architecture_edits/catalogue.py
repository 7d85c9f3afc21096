"""The catalogue of small edits of a layer description; no torch.

An edit turns the lines of a plain network (`labmill.models.layer_list`) into other
lines. Networks that cannot be built are left out, and unchanged ones.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from difflib import SequenceMatcher
from typing import Any

from labmill.core.errors import LabmillError
from labmill.models.layer_list import (
    AdaptivePool,
    Convolution,
    Dropout,
    Flatten,
    Layer,
    Linear,
    MaxPool,
    Separable,
    parse,
    shapes,
    text,
)

KINDS = {
    "remove": "remove a convolution",
    "pool": "merge or move a pool",
    "width": "halve a width",
    "separable": "depthwise and 1×1 in place of a convolution",
    "classifier": "shrink or replace the classifier",
    "activation": "change an activation",
    "norm": "drop batch norm",
}
# Layers of all kinds; which fields one has follows from its class.
Lines = tuple[Any, ...]


@dataclass(frozen=True)
class Edit:
    """One change, described by `words`; `layers` are the lines after it."""

    kind: str
    words: str
    layers: tuple[str, ...]


def catalogue(
    lines: Sequence[str],
    *,
    in_channels: int,
    image_size: int,
    activation: str = "relu",
    batch_norm: bool = False,
) -> list[Edit]:
    """Return every legal edit of `lines`, each result once."""
    layers = parse(lines)
    makers = (removals, pools, widths, separables, classifiers)
    made = [edit for maker in makers for edit in maker(layers)]
    made += activations(layers, activation)
    made += norms(layers, batch_norm)
    found: dict[tuple[str, ...], Edit] = {}
    for kind, words, changed in made:
        try:
            shapes(changed, in_channels=in_channels, image_size=image_size)
        except LabmillError:
            continue
        edit = Edit(kind, words, tuple(map(text, changed)))
        if changed != layers:
            found.setdefault(edit.layers, edit)
    return list(found.values())


Made = Iterator[tuple[str, str, Lines]]


def removals(layers: Lines) -> Made:
    """Remove each convolution, if there are several."""
    convolutions = [
        i for i, layer in enumerate(layers) if isinstance(layer, Convolution)
    ]
    for i in convolutions if len(convolutions) > 1 else ():
        yield "remove", f"without {named(layers, i)}", without(layers, i)


def pools(layers: Lines) -> Made:
    """Move a pool before a convolution; merge two pools into the first."""
    places = [i for i, layer in enumerate(layers) if isinstance(layer, MaxPool)]
    for i in places:
        if i and isinstance(layers[i - 1], Convolution):
            moved = (*layers[: i - 1], layers[i], layers[i - 1], *layers[i + 1 :])
            yield "pool", f"{named(layers, i)} before {named(layers, i - 1)}", moved
    for first, second in itertools.pairwise(places):
        one, other = layers[first], layers[second]
        if one.padding or other.padding or type(one) is not type(other):
            continue
        if {one.stride or one.kernel, other.stride or other.kernel} == {one.kernel}:
            both = replace(one, kernel=one.kernel * other.kernel, stride=None)
            merged = without((*layers[:first], both, *layers[first + 1 :]), second)
            words = f"{named(layers, first)} and {named(layers, second)} as one"
            yield "pool", words, merged


def widths(layers: Lines) -> Made:
    """Halve the channels of each convolution."""
    for i, layer in enumerate(layers):
        if isinstance(layer, Convolution) and layer.width >= 2:
            half = replace(layer, width=layer.width // 2)
            yield (
                "width",
                f"{named(layers, i)} with {half.width} channels",
                put(layers, i, half),
            )


def separables(layers: Lines) -> Made:
    """Replace each spatial convolution by a depthwise and a 1×1 one."""
    for i, layer in enumerate(layers):
        plain = isinstance(layer, Convolution) and not isinstance(layer, Separable)
        if plain and layer.kernel > 1 and layer.groups == 1:
            values = {f.name: getattr(layer, f.name) for f in fields(layer)}
            yield (
                "separable",
                f"{named(layers, i)} separable",
                put(layers, i, Separable(**values)),
            )


def classifiers(layers: Lines) -> Made:
    """Remove or narrow hidden linear layers; average over positions before them."""
    hidden = [i for i, layer in enumerate(layers) if isinstance(layer, Linear)]
    for i in hidden:
        width = layers[i].width
        for part in (2, 4, 16):
            if width >= 2 * part:
                narrow = replace(layers[i], width=width // part)
                words = f"{named(layers, i)} with {narrow.width} features"
                yield "classifier", words, put(layers, i, narrow)
        after = i + 1 < len(layers) and isinstance(layers[i + 1], Dropout)
        gone = without(without(layers, i + 1), i) if after else without(layers, i)
        yield "classifier", f"without {named(layers, i)}", gone
    if len(hidden) > 1:
        start = hidden[0]
        kept = tuple(
            one for one in layers[start:] if not isinstance(one, Linear | Dropout)
        )
        yield "classifier", "without hidden linear layers", (*layers[:start], *kept)
    for i, layer in enumerate(layers):
        if isinstance(layer, Flatten):
            before = layers[i - 1] if i else None
            if isinstance(before, AdaptivePool):
                mean = put(layers, i - 1, AdaptivePool(1))
            else:
                mean = (*layers[:i], AdaptivePool(1), *layers[i:])
            yield "classifier", "mean over positions before the classifier", mean


def activations(layers: Lines, default: str) -> Made:
    """Replace activations that cost more by ReLU."""
    for i, layer in enumerate(layers):
        own = getattr(layer, "activation", "none") or default
        if own not in ("relu", "none"):
            plain = replace(layer, activation="relu")
            yield "activation", f"{named(layers, i)} with ReLU", put(layers, i, plain)


def norms(layers: Lines, default: bool) -> Made:
    """Remove each batch norm, and all."""
    normed = [
        i
        for i, layer in enumerate(layers)
        if (
            isinstance(layer, Convolution)
            and (layer.norm or (layer.norm is None and default))
        )
        or (isinstance(layer, Linear) and layer.norm)
    ]
    bare = layers
    for i in normed:
        plain = replace(layers[i], norm=False)
        bare = put(bare, i, plain)
        yield "norm", f"{named(layers, i)} without batch norm", put(layers, i, plain)
    if len(normed) > 1:
        yield "norm", "no batch norm at all", bare


def named(layers: Lines, i: int) -> str:
    """Return a layer by its module's name, with its width: `conv2 (32)`."""
    layer = layers[i]
    number = sum(one.operation == layer.operation for one in layers[: i + 1])
    width = getattr(layer, "width", None)
    return f"{layer.operation}{number}" + (f" ({width})" if width else "")


def put(layers: Lines, i: int, layer: Layer) -> Lines:
    """Return the lines with another one at position i."""
    return (*layers[:i], layer, *layers[i + 1 :])


def without(layers: Lines, i: int) -> Lines:
    """Return the lines without the one at position i."""
    return (*layers[:i], *layers[i + 1 :])


def changes(before: Sequence[str], after: Sequence[str]) -> int:
    """Count the lines that differ: removed, added or changed."""
    return sum(
        max(b - a, d - c)
        for kind, a, b, c, d in matcher(before, after).get_opcodes()
        if kind != "equal"
    )


def aligned(before: Sequence[str], after: Sequence[str]) -> dict[int, int]:
    """Map each new line to the old line that it is, or that it changes."""
    pairs: dict[int, int] = {}
    for kind, a, b, c, d in matcher(before, after).get_opcodes():
        if kind in ("equal", "replace"):
            pairs |= dict(zip(range(c, d), range(a, b), strict=False))
    return pairs


def matcher(before: Sequence[str], after: Sequence[str]) -> SequenceMatcher:
    """Return a matcher of whole lines."""
    return SequenceMatcher(a=list(before), b=list(after), autojunk=False)
