"""Pictures of networks and what is told about their kinds."""

from pathlib import Path
from types import SimpleNamespace

from helpers.report_page import built
from labmill.core import registry
from labmill.report import style
from labmill.report.sections.background.sentences import TEXTS
from labmill.report.sections.variants.figures import networks


def layer(
    name: str, kind: str, shape: list[int], parameters: int = 0
) -> SimpleNamespace:
    return SimpleNamespace(
        name=name, kind=kind, output_shape=[1, *shape], parameters=parameters, operations=9
    )  # fmt: skip


NET = [
    layer("conv1", "convolution", [8, 8, 8], 80),
    layer("conv1.relu", "activation", [8, 8, 8]),
    layer("pool", "pooling", [8, 4, 4]),
    layer("head", "linear", [10], 1290),
]


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_a_box_per_layer_with_shape_and_cost():
    boxes = networks.boxes_of(NET)
    assert [box.name for box in boxes] == ["conv1", "pool", "head"]
    drawn = texts(networks.picture(boxes, boxes))
    assert "8×4×4" in drawn and "80 p, 18 op" in drawn


def test_changed_layers_have_another_colour():
    first = networks.boxes_of(NET)
    wider = networks.boxes_of([*NET[:2], layer("pool", "pooling", [8, 2, 2]), NET[3]])
    edges = [
        patch.get_linewidth()
        for patch in networks.picture(wider, first).axes[0].patches
    ]
    assert edges == [0.8, 2.2, 0.8] and style.color(1) != style.INK  # fmt: skip


def test_a_deep_network_is_drawn_by_its_blocks():
    deep = [
        layer(f"blocks.{i}.{part}.0", "linear", [8], 1)
        for i in range(12)
        for part in ("attention", "mlp")
    ]
    boxes = networks.boxes_of(deep)
    assert [box.name for box in boxes] == [f"blocks.{i}" for i in range(12)]
    assert {box.parameters for box in boxes} == {2}


def test_every_model_of_ours_has_a_background(tmp_path: Path):
    generic = {"timm", "torchvision"}  # names of many architectures
    assert set(TEXTS) | generic == set(registry.names("models"))
    changes = {"report": {"background": True, "sections": ["background"]}}
    folder = built(tmp_path, changes=changes, seeds=1)
    text = (folder / "report.md").read_text("utf-8")
    assert text.count("**Vision transformer.**") == 1
    assert text.count("**Convolutional network.**") == 1
    assert "softmax" in (folder / "report.html").read_text("utf-8")
