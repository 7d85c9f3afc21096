"""A plain feed-forward network as data: one line of words per layer, no torch.

    layers: [conv 16 bn, conv 32 k5 s2, pool, separable 64, avgpool, adaptive 4,
             flatten, dropout 0.2, linear 100 tanh]

The first word is the operation, then its number, then options in any order:

=========== ========================== =========================================
operation   number                     options
=========== ========================== =========================================
conv        output channels            k3 s1 p<k//2> g1, bn/nobn, an activation
separable   output channels            as conv: depthwise k×k, then 1×1
pool        –                          k2 s<k> p0 (maximum)
avgpool     –                          k2 s<k> p0
adaptive    size of the output         (average)
flatten     –
dropout     probability
linear      output features            bn/nobn, an activation
=========== ========================== =========================================

An activation is relu, tanh, gelu, silu, sigmoid or none. Options that a line leaves out
have the network's defaults. The last layer, to the classes, is not in the list.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from labmill.core.errors import LabmillError, suggest

ACTIVATIONS = ("relu", "tanh", "gelu", "silu", "sigmoid", "none")
_LETTERS = {"k": "kernel", "s": "stride", "p": "padding", "g": "groups"}

Shape = tuple[int, ...]  # (channels, size, size), or (features,) once flat


@dataclass(frozen=True)
class Layer:
    """One line. An option that is None is the network's default."""

    operation: ClassVar[str]


@dataclass(frozen=True)
class Weighted(Layer):
    """A layer with weights: `width` outputs, then a norm and an activation."""

    width: int
    norm: bool | None = field(default=None, kw_only=True)
    activation: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Convolution(Weighted):
    operation = "conv"
    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    groups: int = 1

    @property
    def border(self) -> int:
        """Return the zeros added on each side: as many as keep the size by default."""
        return self.kernel // 2 if self.padding is None else self.padding


@dataclass(frozen=True)
class Separable(Convolution):
    operation = "separable"


@dataclass(frozen=True)
class MaxPool(Layer):
    operation = "pool"
    kernel: int = 2
    stride: int | None = None
    padding: int = 0


@dataclass(frozen=True)
class AveragePool(MaxPool):
    operation = "avgpool"


@dataclass(frozen=True)
class AdaptivePool(Layer):
    operation = "adaptive"
    size: int


@dataclass(frozen=True)
class Flatten(Layer):
    operation = "flatten"


@dataclass(frozen=True)
class Dropout(Layer):
    operation = "dropout"
    probability: float


@dataclass(frozen=True)
class Linear(Weighted):
    operation = "linear"


KINDS: dict[str, type[Layer]] = {
    kind.operation: kind
    for kind in (
        Convolution,
        Separable,
        MaxPool,
        AveragePool,
        AdaptivePool,
        Flatten,
        Dropout,
        Linear,
    )
}
_NUMBERS = {"width", "size", "probability"}
_LAST = {"norm", "activation"}


def parse(lines: Iterable[str]) -> tuple[Layer, ...]:
    """Return the layers of the lines; LabmillError names a line that is none."""
    return tuple(_parse_line(f"layers[{i}]", line) for i, line in enumerate(lines))


def _parse_line(where: str, line: str) -> Layer:
    where = f"{where}: {line!r}"
    words = line.split() if isinstance(line, str) else []
    if not words or words[0] not in KINDS:
        found = words[0] if words else line
        raise LabmillError(f"{where}: unknown operation; {suggest(found, KINDS)}")
    kind = KINDS[words.pop(0)]
    names = [item.name for item in fields(kind)]
    values: dict[str, Any] = {}
    if number := next((name for name in names if name in _NUMBERS), None):
        values[number] = _number(where, number, words.pop(0) if words else "nothing")
    for word in words:
        name, value = _option(where, word, names)
        if name in values:
            raise LabmillError(f"{where}: {name} is given twice")
        values[name] = value
    return kind(**values)


def _number(where: str, name: str, word: str) -> int | float:
    try:
        value = float(word) if name == "probability" else int(word)
    except ValueError:
        value = -1
    if not (0 <= value < 1 if name == "probability" else value >= 1):
        allowed = "0 up to 1" if name == "probability" else "a whole number from 1"
        raise LabmillError(f"{where}: {name} is {word}; allowed: {allowed}")
    return value


def _option(where: str, word: str, names: list[str]) -> tuple[str, object]:
    """Return the field that a word sets, and its value."""
    options: dict[str, tuple[str, object]] = {}
    if "norm" in names:
        options |= {"bn": ("norm", True), "nobn": ("norm", False)}
    if "activation" in names:
        options |= {name: ("activation", name) for name in ACTIVATIONS}
    letters = {letter: name for letter, name in _LETTERS.items() if name in names}
    if match := re.fullmatch(r"([a-z])(\d+)", word):
        letter, number = match[1], int(match[2])
        if letter in letters and (number >= 1 or letter == "p"):
            return letters[letter], number
    if word in options:
        return options[word]
    allowed = [*options, *(f"{letter}<number>" for letter in letters)]
    raise LabmillError(f"{where}: unknown option {word!r}; {suggest(word, allowed)}")


def text(layer: Layer) -> str:
    """Return the shortest line that parses to `layer`."""
    words = [layer.operation]
    letter_of = {name: letter for letter, name in _LETTERS.items()}
    for item in sorted(fields(layer), key=lambda item: item.name in _LAST):
        value = getattr(layer, item.name)
        if item.name in _NUMBERS:
            words.append(f"{value:g}" if isinstance(value, float) else str(value))
        elif value == item.default:
            continue
        elif item.name in letter_of:
            words.append(f"{letter_of[item.name]}{value}")
        elif item.name == "norm":
            words.append("bn" if value else "nobn")
        else:
            words.append(str(value))
    return " ".join(words)


def shapes(
    layers: Sequence[Layer], *, in_channels: int, image_size: int
) -> list[Shape]:
    """Return shapes of one image: before the first layer, then after each layer."""
    found: list[Shape] = [(in_channels, image_size, image_size)]
    for index, layer in enumerate(layers):
        where = f"layers[{index}]: {text(layer)!r} after {_shape_text(found[-1])}"
        found.append(_next_shape(where, layer, found[-1]))
    if len(found[-1]) != 1:
        raise LabmillError(
            f"layers: the last shape is {_shape_text(found[-1])}; "
            "end with 'flatten' or 'linear'"
        )
    return found


def _next_shape(where: str, layer: Layer, shape: Shape) -> Shape:
    flat = len(shape) == 1
    if isinstance(layer, Dropout):
        return shape
    if isinstance(layer, Linear):
        if not flat:
            raise LabmillError(f"{where}: put 'flatten' before it")
        return (layer.width,)
    if flat:
        raise LabmillError(f"{where}: the network is flat already")
    channels, size, _ = shape
    if isinstance(layer, Flatten):
        return (channels * size * size,)
    if isinstance(layer, AdaptivePool):
        return (channels, layer.size, layer.size)
    if isinstance(layer, MaxPool):
        stride = layer.stride or layer.kernel
        if layer.padding > layer.kernel // 2:
            raise LabmillError(f"{where}: p is at most half of k")
        size = (size + 2 * layer.padding - layer.kernel) // stride + 1
    elif isinstance(layer, Convolution):
        if channels % layer.groups or layer.width % layer.groups:
            raise LabmillError(
                f"{where}: g must divide both {channels} and {layer.width}"
            )
        size = (size + 2 * layer.border - layer.kernel) // layer.stride + 1
        channels = layer.width
    if size < 1:
        raise LabmillError(f"{where}: nothing is left of the image")
    return (channels, size, size)


def check(arguments: Mapping[str, Any]) -> None:
    """Check the `layers` among a model's arguments, if they are given."""
    if lines := arguments.get("layers"):
        layers = parse(lines)
        size, channels = arguments.get("image_size"), arguments.get("in_channels")
        if size and channels:
            shapes(layers, in_channels=channels, image_size=size)


def _shape_text(shape: Shape) -> str:
    return "×".join(map(str, shape))
