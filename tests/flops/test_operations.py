"""Operation counts against published tables, PyTorch's counter and hand arithmetic."""

import inspect
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from labmill import models
from labmill.flops.counter import count
from labmill.flops.table import CONVENTIONS, Convention

quick = settings(max_examples=40, deadline=None, derandomize=True)


def registered() -> list[str]:
    folder = Path(models.__file__).parent
    return sorted(
        p.stem for p in folder.glob("*.py") if "\ndef build(" in p.read_text()
    )


def build(name: str, **arguments: object) -> nn.Module:
    module = __import__(f"labmill.models.{name}", fromlist=["build"])
    known = inspect.signature(module.build).parameters
    defaults = {"num_classes": 10, "image_size": 32, "in_channels": 3}
    if getattr(module, "KIND", "") == "sequence":
        defaults = {"num_classes": 10, "image_size": 12}
    if "network" in known:  # a network of another library, by name
        defaults["network"] = {"torchvision": "squeezenet1_1"}.get(name, "resnet10t")
    return module.build(
        **{k: v for k, v in (defaults | arguments).items() if k in known}
    )


def example(name: str) -> tuple[torch.Tensor, ...]:
    module = __import__(f"labmill.models.{name}", fromlist=["build"])
    if getattr(module, "KIND", "") == "sequence":
        tokens = torch.arange(12)[None] % 10
        return tokens, tokens
    return (torch.zeros(1, 3, 32, 32),)


def reference_macs(model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> int:
    # The math backend is the one whose products PyTorch's counter sees everywhere.
    with (
        torch.no_grad(),
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as flops,
    ):
        model.eval()(*inputs)
    return flops.get_total_flops() // 2


@pytest.mark.parametrize("name", registered())
def test_every_model_agrees_with_pytorch(name: str) -> None:
    model, inputs = build(name), example(name)
    table = count(model, inputs)
    assert table.total.operations == reference_macs(model, inputs) > 0
    assert table.total.parameters == sum(p.numel() for p in model.parameters())
    assert all(count(model, inputs, convention=c).uncounted == () for c in CONVENTIONS)


def lenet(separable: bool) -> nn.Module:
    return build("lenet", in_channels=1, image_size=28, separable=separable)


@pytest.mark.parametrize(
    ("separable", "rows"),
    [
        (
            False,
            [
                (117_600, 112_896),
                (240_000, 238_400),
                (48_000, 47_880),
                (10_080, 9_996),
                (840, 830),
            ],
        ),
        (
            True,
            [
                (19_600, 18_816),
                (4_704, 0),
                (15_000, 14_400),
                (9_600, 8_000),
                (400, 384),
                (1_920, 1_800),
                (10_080, 9_996),
                (840, 830),
            ],
        ),
    ],
)
def test_lenet_table_of_report_3(separable: bool, rows: list[tuple[int, int]]) -> None:
    table = count(lenet(separable), (1, 28, 28), convention="report3")
    counted = [row for row in table.layers if row.operations]
    assert [(row.multiplications, row.additions) for row in counted] == rows
    total = (table.total.multiplications, table.total.additions)
    assert total == ((62_144, 54_226) if separable else (416_520, 410_002))
    assert table.total.operations == sum(total)


@quick
@given(
    c=st.integers(1, 4),
    f1=st.integers(1, 6),
    f2=st.integers(1, 6),
    k=st.sampled_from([3, 5]),
    dense=st.integers(1, 20),
)
def test_formula_of_report_5(c: int, f1: int, f2: int, k: int, dense: int) -> None:
    side = 12
    one, two = side - k + 1, side - 2 * k + 2
    net = nn.Sequential(
        nn.Conv2d(c, f1, k),
        nn.ReLU(),
        nn.Conv2d(f1, f2, k),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(f2 * two * two, dense),
        nn.ReLU(),
        nn.Linear(dense, 10),
    )
    a = 1
    expected = (
        f1 * one * one * (2 * c * k * k - 1 + a)
        + f2 * two * two * (2 * f1 * k * k - 1 + a)
        + dense * (2 * f2 * two * two - 1 + a)
        + 10 * (2 * dense - 1)
    )
    table = count(net, (c, side, side), convention="report5")
    assert table.total.operations == expected


@quick
@given(data=st.data())
def test_convolutions_of_any_geometry(data: st.DataObject) -> None:
    groups = data.draw(st.integers(1, 3))
    c_in, c_out = (groups * data.draw(st.integers(1, 3)) for _ in range(2))
    kernel = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    options = {
        "stride": data.draw(st.integers(1, 2)),
        "padding": data.draw(st.integers(0, 1)),
        "dilation": data.draw(st.integers(1, 2)),
        "groups": groups,
        "bias": data.draw(st.booleans()),
    }
    transposed = data.draw(st.booleans())
    layer = (nn.ConvTranspose2d if transposed else nn.Conv2d)(
        c_in, c_out, kernel, **options
    )
    x = torch.zeros(2, c_in, 9, 8)
    row = count(layer, x, convention="everything", dtype=torch.float16).layers[0]
    y = layer(x)
    products = reference_macs(layer, (x,))
    assert row.multiplications == products
    bias = y.numel() if options["bias"] else 0
    assert row.additions == max(products - y.numel(), 0) + bias
    assert row.parameters == sum(p.numel() for p in layer.parameters())
    assert row.output_shape == tuple(y.shape)
    assert row.activation_bytes == 2 * y.numel()
    assert row.traffic_bytes == 2 * (x.numel() + row.parameters + y.numel())


class Functional(nn.Module):
    """Nothing but functional calls, each of which must be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(6, 6))
        self.never = nn.Parameter(torch.zeros(3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q = F.linear(x, self.weight)
        k = x @ self.weight.t()
        v = torch.einsum("btd,de->bte", x, self.weight)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.gelu(y) + torch.bmm(torch.softmax(q @ k.mT, -1), v)


def test_functional_calls_are_seen_and_parameters_counted_once() -> None:
    model, x = Functional(), torch.zeros(2, 5, 6)
    table = count(model, x)
    assert table.total.operations == reference_macs(model, (x,))
    assert table.total.operations == 3 * 2 * 5 * 6 * 6 + 4 * 2 * 5 * 5 * 6
    unused = [row.name for row in table.layers if row.kind == "unused"]
    assert unused == ["never"]
    assert table.total.parameters == 39


def test_rows_are_booked_on_the_module_that_called() -> None:
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    net = nn.Sequential(nn.Linear(4, 8), nn.Sequential(layer, nn.ReLU()))
    table = count(net, (5, 4), convention="everything")
    names = [row.name for row in table.layers]
    assert names[0] == "0" and names[-1] == "1.1"
    assert len(set(names)) == len(names)
    assert "1.0.self_attn.scaled_dot_product_attention" in names
    attention = table.under("1.0.self_attn")
    assert attention.parameters == 4 * 8 * 8 + 4 * 8
    everything = table.under("0") + table.under("1")
    assert everything == table.total


def test_one_module_called_twice_has_its_parameters_once() -> None:
    shared = nn.Linear(4, 4)
    table = count(nn.Sequential(shared, nn.ReLU(), shared), (4,))
    assert [row.parameters for row in table.layers] == [20, 0, 0]
    assert [row.operations for row in table.layers] == [16, 0, 16]
    assert len({row.name for row in table.layers}) == 3


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        # multiplications, additions, comparisons, special, for one input
        (nn.MaxPool2d(2), (3, 4, 4), (0, 0, 12 * 3, 0)),
        (nn.MaxPool2d((3, 2), stride=1), (1, 4, 4), (0, 0, 6 * 5, 0)),
        (nn.AvgPool2d(2), (3, 4, 4), (12, 12 * 3, 0, 0)),
        (nn.AvgPool1d(3, stride=1), (2, 5), (6, 12, 0, 0)),
        (nn.AdaptiveAvgPool2d(1), (3, 4, 4), (3, 3 * 15, 0, 0)),
        # windows of 5 → 3 overlap: 2 + 3 + 2 values on each axis
        (nn.AdaptiveAvgPool2d(3), (1, 5, 5), (9, 7 * 7 - 9, 0, 0)),
        (nn.AdaptiveMaxPool2d(1), (2, 3, 3), (0, 0, 16, 0)),
        (nn.BatchNorm2d(3), (3, 4, 4), (48, 48, 0, 0)),
        (nn.LayerNorm(6), (5, 6), (5 * 20, 5 * 23, 0, 5)),
        (nn.LayerNorm(6, elementwise_affine=False), (5, 6), (5 * 14, 5 * 17, 0, 5)),
        (nn.GroupNorm(2, 4), (4, 3, 3), (2 * 38 + 36, 2 * 53 + 36, 0, 2)),
        (nn.ReLU(), (7,), (0, 0, 7, 0)),
        (nn.Tanh(), (7,), (0, 0, 0, 7)),
        (nn.GELU(), (7,), (21, 7, 0, 7)),
        (nn.Softmax(-1), (3, 4), (12, 21, 9, 12)),
        (nn.LogSoftmax(-1), (3, 4), (0, 33, 9, 15)),
        (nn.Dropout(0.5), (7,), (0, 0, 0, 0)),
        (nn.Flatten(), (7, 2), (0, 0, 0, 0)),
    ],
)
def test_layers_by_hand(layer, shape, expected) -> None:
    total = count(layer, shape, convention="everything").total
    found = (total.multiplications, total.additions, total.comparisons, total.special)
    assert found == expected
    assert count(layer, shape, convention="macs").total.operations == 0


def test_an_embedding_reads_only_the_rows_it_needs() -> None:
    layer = nn.Embedding(1000, 8)
    total = count(layer, torch.tensor([[1, 2, 3]]), dtype=torch.bfloat16).total
    assert total.operations == 0
    assert total.parameters == 8000
    assert total.traffic_bytes == 3 * 8 + 2 * (2 * 3 * 8)


def test_bytes_follow_the_data_type_and_arithmetic_does_not() -> None:
    model = lenet(False)
    half = count(model, (1, 28, 28), dtype=torch.float16).total
    full = count(model, (1, 28, 28), dtype=torch.float32).total
    assert full.operations == half.operations
    assert full.activation_bytes == 2 * half.activation_bytes
    assert full.traffic_bytes == 2 * half.traffic_bytes


def test_an_operation_in_place_needs_no_new_memory() -> None:
    rows = [
        count(nn.Sequential(nn.Linear(3, 4), nn.ReLU(inplace)), (3,)).layers[1]
        for inplace in (False, True)
    ]
    assert [row.activation_bytes for row in rows] == [16, 0]
    assert rows[0].traffic_bytes == rows[1].traffic_bytes == 32


def test_fused_attention_can_be_charged_its_matrices() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.scaled_dot_product_attention(x, x, x)

    x = torch.zeros(1, 2, 5, 4)
    plain = CONVENTIONS["everything"]
    charged = Convention(**vars(plain) | {"materialise_attention": True})
    less, more = (
        count(Attention(), x, convention=c, dtype=torch.float16).total
        for c in (plain, charged)
    )
    scores = 2 * 5 * 5
    assert more.traffic_bytes - less.traffic_bytes == 4 * scores * 2
    assert more.activation_bytes - less.activation_bytes == 2 * scores * 2
    assert more.operations == less.operations


def test_an_exponent_may_be_a_tensor() -> None:
    class Powers(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2.0**x + x**x + x**2

    assert count(Powers(), torch.rand(2, 3))


def test_the_model_is_left_as_it_was() -> None:
    model = build("resnet")
    model.train()
    next(iter(model.children())).eval()
    before = [module.training for module in model.modules()]
    weights = {k: v.clone() for k, v in model.state_dict().items()}
    count(model, (3, 32, 32))
    assert [module.training for module in model.modules()] == before
    assert all(torch.equal(v, weights[k]) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_what_no_rule_covers_is_named() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(x)

    table = count(Odd(), (3,), convention="everything")
    assert table.uncounted == ("special_bessel_j0",)
    assert table.total.operations == 0


def test_the_table_is_json() -> None:
    table = count(lenet(True), (1, 28, 28), convention="report3").to_dict()
    assert json.loads(json.dumps(table)) == table
    assert table["total"]["multiplications"] == 62_144
    assert table["dtype"] == "float32"
    assert table["layers"][0]["input_shape"] == [1, 1, 28, 28]
