"""Pictures of the networks, drawn from their layers."""

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import islice
from typing import NamedTuple

from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from labmill.profiling.records import LayerCount, Measurement
from labmill.report import style
from labmill.report.number_format import short
from labmill.report.results import StudyResults
from labmill.training.records import ModelDescription

CAPTION = (
    "The network, row by row: layer, shape of its output, parameters (p) and operations "
    "(op)."
)
EDITED = " Thick orange boxes differ from the first network of the kind."
ALT = "Boxes in rows, one per layer, with output shape, parameters and operations."
# Boxes of a picture, pictures, and variants of which each network is drawn.
MOST, PICTURES, FEW = 16, 4, 4
# Belong to the layer before.
SMALL = ("activation", "elementwise", "normalisation")


class Box(NamedTuple):
    """Layers that are drawn as one."""

    name: str
    shape: str
    parameters: int
    operations: int


def caption(results: StudyResults) -> str:
    """Return what is drawn."""
    shown = islice(networks(results), PICTURES)
    return CAPTION + (
        EDITED if any(boxes != first for _, boxes, first in shown) else ""
    )


def draw(results: StudyResults) -> dict[str, Figure]:
    """Draw the first network of each kind, and the edited ones."""
    found = islice(networks(results), PICTURES)
    return {label: picture(boxes, first) for label, boxes, first in found}


def networks(results: StudyResults) -> Iterator[tuple[str, list[Box], list[Box]]]:
    """Yield label, boxes and those of the first network of the kind.

    Others of a kind only where variants are few or the study edits architectures.
    """
    every = results.rankings or len(results.variants) <= FEW
    firsts: dict[str, list[Box]] = {}
    known: list[list[Box]] = []
    for variant, label in results.variants.items():
        found = results.first(variant, Measurement)
        description = results.first(variant, ModelDescription)
        if not found or not description:
            continue
        boxes = boxes_of(found.operations.layers)
        first = firsts.setdefault(description.name, boxes)
        if boxes not in known and (first is boxes or every):
            known.append(boxes)
            yield label, boxes, first


def boxes_of(layers: Sequence[LayerCount]) -> list[Box]:
    """Return layers as boxes: by the deepest level of modules that gives few enough."""
    deepest = max(layer.name.count(".") for layer in layers) + 1
    levels = (merged(layers, depth) for depth in range(deepest, 0, -1))
    return next((boxes for boxes in levels if len(boxes) <= MOST), merged(layers, 1))


def merged(layers: Sequence[LayerCount], depth: int) -> list[Box]:
    """Return neighbouring layers of one module as one box, small layers with the one before."""
    boxes: list[Box] = []
    for layer in layers:
        name = ".".join(layer.name.removeprefix("layers.").split(".")[:depth])
        shape = "×".join(map(str, layer.output_shape[1:]))
        parameters, operations = layer.parameters, layer.operations
        if boxes and (layer.kind in SMALL or boxes[-1].name == name):
            name, _, before, done = boxes.pop()
            parameters, operations = before + parameters, done + operations
        boxes.append(Box(name, shape, parameters, operations))
    return boxes


def picture(boxes: Sequence[Box], first: Sequence[Box]) -> Figure:
    """Draw one network."""
    columns = 2 if style.narrow() < 1 else 4
    rows = -(-len(boxes) // columns)
    same = SequenceMatcher(None, first, boxes, autojunk=False).get_matching_blocks()
    kept = {i for part in same for i in range(part.b, part.b + part.size)}
    drawn = style.figure(0.62 * rows)
    axes = drawn.subplots()
    axes.set_axis_off()
    axes.set(xlim=(-0.02, columns), ylim=(rows, 0))
    for i, box in enumerate(boxes):
        x, y = i % columns, i // columns
        edge: style.Look = {"ec": style.INK, "lw": 0.8}
        if i not in kept:
            edge = {"ec": style.color(1), "lw": 2.2}
        round_ = "round,pad=0,rounding_size=0.04"
        axes.add_patch(
            FancyBboxPatch(
                (x, y + 0.08), 0.86, 0.84, boxstyle=round_, fc="none", **edge
            )
        )
        cost = f"{short(box.parameters)} p, {short(box.operations)} op"
        middle: style.Look = {"ha": "center", "va": "center"}
        for line, text in enumerate((ending(box.name), box.shape, cost)):
            look = {"fontsize": 8, "weight": "normal" if line else "bold", **middle}
            axes.text(x + 0.43, y + 0.27 + 0.23 * line, text, **look)
        if i + 1 < len(boxes):
            axes.text(x + 0.93, y + 0.5, "→", fontsize=9, **middle)
    return drawn


def ending(name: str, most: int = 16) -> str:
    """Return a layer's name, or the part of it that tells it from its neighbours."""
    short_name = name if len(name) <= most else f"…{name[1 - most :]}"
    return style.label(short_name, most)
