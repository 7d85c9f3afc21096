"""Every closed formula against the counter, on modules that were really built."""

from dataclasses import asdict
from fractions import Fraction

import pytest
import sympy
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from labmill.flops import formulas
from labmill.flops.counter import count
from labmill.flops.table import CONVENTIONS, Convention, Quantities
from labmill.models.attention import Attention
from labmill.models.blocks import DecoderBlock, EncoderBlock
from labmill.models.transformer import build

quick = settings(max_examples=30, deadline=None, derandomize=True)
size = st.integers(1, 5)


def counted(model: nn.Module, *inputs: torch.Tensor, **options: object) -> Quantities:
    convention = Convention(
        **vars(CONVENTIONS["everything"])
        | {"materialise_attention": options["materialise_attention"]}
    )
    return count(model, inputs, convention=convention, dtype=torch.bfloat16).total


options = st.fixed_dictionaries({"materialise_attention": st.booleans()})


@quick
@given(
    inputs=st.integers(1, 8),
    outputs=st.integers(1, 12),
    kernel=st.tuples(size, size),
    stride=st.integers(1, 3),
    side=st.integers(5, 12),
)
def test_regular_to_separable(inputs, outputs, kernel, stride, side) -> None:
    shape = (inputs, side, side)
    regular = nn.Conv2d(inputs, outputs, kernel, stride=stride)
    separable = nn.Sequential(
        nn.Conv2d(inputs, inputs, kernel, stride=stride, groups=inputs),
        nn.Conv2d(inputs, outputs, 1),
    )
    before, after = (
        count(model, shape, convention="report3").total.multiplications
        for model in (regular, separable)
    )
    # The factor of SEPARABLE_DERIVATION.
    factor = Fraction(1, outputs) + Fraction(1, kernel[0] * kernel[1])
    assert before * factor == after


class Masked(nn.Module):
    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attention(x, causal=True)


class Cross(nn.Module):
    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: torch.Tensor, memory: torch.Tensor) -> torch.Tensor:
        return self.attention(x, self.attention.project_memory(memory))


@quick
@given(n=st.integers(1, 9), m=st.integers(1, 9), h=size, width=size, options=options)
def test_attention(n, m, h, width, options) -> None:
    d = h * width
    x, memory = torch.zeros(1, n, d), torch.zeros(1, m, d)
    own = Attention(d, h, "joint")
    cross = Cross(Attention(d, h, "joint", cross=True))
    assert formulas.self_attention(n, d, h, **options) == counted(own, x, **options)
    masked = formulas.self_attention(n, d, h, masked=True, **options)
    assert masked == counted(Masked(own), x, **options)
    expected = counted(cross, x, memory, **options)
    assert formulas.cross_attention(n, m, d, h, **options) == expected


@quick
@given(n=st.integers(1, 9), h=size, width=size, f=st.integers(1, 30), options=options)
def test_whole_blocks_are_sums_of_the_parts(n, h, width, f, options) -> None:
    d = h * width
    m = n + 2
    block = {"activation": "relu", "norm": "post", "dropout": 0.1, "hidden": f}
    encoder = EncoderBlock(d, h, projections="joint", **block)
    decoder = DecoderBlock(d, h, projections="joint", **block)
    x, memory = torch.zeros(1, n, d), torch.zeros(1, m, d)
    branch = formulas.residual(n, d) + formulas.layer_norm(n, d)
    attention = formulas.self_attention(n, d, h, **options)
    feed_forward = formulas.feed_forward(n, d, f)
    assert attention + feed_forward + branch + branch == counted(encoder, x, **options)
    cross = formulas.cross_attention(n, m, d, h, **options)
    parts = attention + cross + feed_forward + branch + branch + branch
    assert parts == counted(decoder, x, memory, **options)


@quick
@given(
    n=st.integers(2, 9), h=size, width=size, f=st.integers(1, 20), v=st.integers(2, 9)
)
def test_the_whole_transformer(n, h, width, f, v) -> None:
    d = h * width
    model = build(num_classes=v, image_size=n, dim=d, heads=h, ffn=f)
    tokens = torch.zeros(1, n, dtype=torch.int64)
    sizes = {"n": n, "m": n, "d": d, "h": h, "f": f, "v": v + 1}

    def block(name: str) -> Quantities:
        formula, letters = formulas.BLOCKS[name]
        return formula(*(sizes[letter] for letter in letters.split()))

    names = [
        "self-attention",
        "masked self-attention",
        "cross-attention",
        *2 * ["feed-forward", "embedding and positions"],
        *5 * ["residual", "layer normalisation"],
    ]
    head = formulas.linear(n, d, v)
    table = Quantities(parameters=-(v + 1) * d)  # source and target share one
    expected = sum(map(block, names), head + table)
    found = count(model, (tokens, tokens), convention="everything", dtype=torch.float16)
    assert found.total == expected


@pytest.mark.parametrize("block", formulas.BLOCKS)
def test_latex_is_the_same_formula(block: str) -> None:
    formula, letters = formulas.BLOCKS[block]
    values = dict(zip("nmdhfv", (7, 5, 12, 3, 20, 11), strict=True))
    names = letters.split()
    numbers = asdict(formula(*(values[name] for name in names)))
    text = formulas.latex(block)
    assert set(text) == {name for name, value in numbers.items() if value}
    for name, tex in text.items():
        plain = tex.replace("^{", "**").replace("}", "").replace(" ", "*")
        plain = plain.replace("*+*", "+").replace("*-*", "-")
        assert sympy.sympify(plain).subs(values) == numbers[name]


def test_where_the_products_of_attention_overtake() -> None:
    # 4nd² + 2n²d products against 8nd²: from n > 2d on; the n² divisions and scalings
    # of every head bring it a little earlier.
    assert formulas.overtakes(256, 8, 1024) == 497
    assert pytest.approx(496.5, abs=0.1) == 2 * 256 * 256 / (256 + 8)


@quick
@given(
    h=size,
    width=size,
    f=st.integers(1, 60),
    quantity=st.sampled_from(["operations", "traffic_bytes", "activation_bytes"]),
    materialise=st.booleans(),
)
def test_overtaking_is_where_it_happens(h, width, f, quantity, materialise) -> None:
    d = h * width
    start = formulas.overtakes(
        d, h, f, quantity=quantity, materialise_attention=materialise
    )

    def more(n: int) -> bool:
        attention = formulas.self_attention(n, d, h, materialise_attention=materialise)
        other = formulas.feed_forward(n, d, f)
        return getattr(attention, quantity) > getattr(other, quantity)

    if start is None:
        assert not all(more(n) for n in range(2000, 2020))
        return
    assume(start < 2000)
    assert all(more(n) for n in range(start, start + 200))
    assert start == 1 or not more(start - 1)
