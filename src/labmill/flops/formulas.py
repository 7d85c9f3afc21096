"""Closed formulas for operation counts, checked against the counter by the tests.

Each formula is one Python function that takes numbers or SymPy symbols, so that the
number in a table and its formula cannot differ. Letters: n sequence length,
m length of the memory that cross-attention reads, d width, h heads, f hidden width of
the feed-forward part, v vocabulary. Conventions are those of "everything" in
`labmill.flops.table`, for one sequence, layers with biases, and blocks as
`labmill.models.blocks` builds them (joint projections, ReLU).
"""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from labmill.flops.table import Quantities

BYTES = 2  # of a value: 16-bit floats
SEPARABLE_DERIVATION = r"""
A regular convolution with a kernel of $K_h \times K_w$ turns $C_\text{in}$ channels
into $C_\text{out}$ channels of $H \times W$ positions. Every output value is a sum over
all input channels and kernel positions, so the number of multiplications is

$$O_m = H \, W \; C_\text{out} \; C_\text{in} \, K_h K_w .$$

The separable one first filters each input channel alone (depthwise), with
$H W \, C_\text{in} \, K_h K_w$ multiplications, and then mixes the channels at each
position with a $1 \times 1$ convolution (pointwise), with $H W \, C_\text{in} \,
C_\text{out}$ multiplications:

$$O_\text{dsc} = H \, W \; C_\text{in} \, (K_h K_w + C_\text{out}) .$$

The regular count gives $H W \, C_\text{in} = O_m / (C_\text{out} K_h K_w)$. Put in,

$$O_\text{dsc} = O_m \cdot \frac{K_h K_w + C_\text{out}}{K_h K_w \, C_\text{out}}
             = O_m \left( \frac{1}{C_\text{out}} + \frac{1}{K_h K_w} \right) .$$

The factor does not depend on the image, on stride or padding, or on $C_\text{in}$. It
is below 1 unless the kernel has one position or there is one output channel (or both
numbers are 2). It holds for multiplications, and so for multiply-adds; additions follow
it only nearly, because a sum of $N$ products has $N - 1$ of them.
"""


def linear(n: int, inputs: int, outputs: int) -> Quantities:
    """Count n rows through a linear layer with bias."""
    products, weights = n * inputs * outputs, inputs * outputs + outputs
    return Quantities(
        multiplications=products,
        additions=products,
        parameters=weights,
        activation_bytes=BYTES * n * outputs,
        traffic_bytes=BYTES * (n * inputs + weights + n * outputs),
    )


def scaled_dot_product(
    n: int,
    m: int,
    d: int,
    h: int,
    *,
    masked: bool = False,
    materialise_attention: bool = False,
) -> Quantities:
    """Count softmax(q kᵀ / √(d/h) + mask) v of all heads, n queries and m keys.

    `materialise_attention`: scores and probabilities are written and read back.
    """
    scores = h * n * m
    kept = BYTES * scores if materialise_attention else 0
    return Quantities(
        multiplications=2 * n * m * d + 2 * scores,
        additions=(n * m * d - scores)
        + (scores if masked else 0)
        + (2 * scores - h * n)
        + (n * m * d - n * d),
        comparisons=scores - h * n,
        special=scores,
        activation_bytes=BYTES * n * d + 2 * kept,
        traffic_bytes=BYTES * (2 * n * d + 2 * m * d) + 4 * kept,
    )


def self_attention(n: int, d: int, h: int, **options: bool) -> Quantities:
    """Count joint projections, attention (with its options), the output projection."""
    attention = scaled_dot_product(n, n, d, h, **options)
    return linear(n, d, 3 * d) + attention + linear(n, d, d)


def cross_attention(n: int, m: int, d: int, h: int, **options: bool) -> Quantities:
    """Count attention of n positions to a memory of m, projections included."""
    attention = scaled_dot_product(n, m, d, h, **options)
    ends = linear(n, d, d) + linear(n, d, d)
    return ends + linear(m, d, 2 * d) + attention


def feed_forward(n: int, d: int, f: int) -> Quantities:
    """Count linear d → f, ReLU, linear f → d."""
    size = BYTES * n * f
    relu = Quantities(comparisons=n * f, activation_bytes=size, traffic_bytes=2 * size)
    return linear(n, d, f) + relu + linear(n, f, d)


def layer_norm(n: int, d: int) -> Quantities:
    """Count layer normalisation of n rows with scale and shift."""
    return Quantities(
        multiplications=n * (3 * d + 2),
        additions=n * (4 * d - 1),
        special=n,
        parameters=2 * d,
        activation_bytes=BYTES * n * d,
        traffic_bytes=BYTES * (2 * n * d + 2 * d),
    )


def residual(n: int, d: int) -> Quantities:
    """Count the sum of a block's input and output, (n, d) each."""
    size = BYTES * n * d
    return Quantities(additions=n * d, activation_bytes=size, traffic_bytes=3 * size)


def embedding(n: int, d: int, v: int) -> Quantities:
    """Count the rows of 64-bit tokens in a table of v, times √d, plus positions."""
    return Quantities(
        multiplications=n * d,
        additions=n * d,
        parameters=v * d,
        activation_bytes=3 * BYTES * n * d,
        traffic_bytes=8 * n + 7 * BYTES * n * d,
    )


# Block of a transformer: its formula and the letters it takes, in order.
BLOCKS: dict[str, tuple[Callable[..., Quantities], str]] = {
    "embedding and positions": (embedding, "n d v"),
    "self-attention": (self_attention, "n d h"),
    "masked self-attention": (partial(self_attention, masked=True), "n d h"),
    "cross-attention": (cross_attention, "n m d h"),
    "feed-forward": (feed_forward, "n d f"),
    "layer normalisation": (layer_norm, "n d"),
    "residual": (residual, "n d"),
}


def latex(block: str, **options: bool) -> dict[str, str]:
    """Return the closed formulas of a block in LaTeX, by quantity, without zeros.

    `options` are the keyword arguments of the block's function.
    """
    import sympy

    formula, letters = BLOCKS[block]
    counts = asdict(formula(*sympy.symbols(letters, positive=True), **options))
    return {k: sympy.latex(sympy.expand(v)) for k, v in counts.items() if v}


def overtakes(
    d: int, h: int, f: int, *, quantity: str = "multiplications", **options: bool
) -> int | None:
    """Return the sequence length from which self-attention costs more than the MLP.

    `quantity`: a field of Quantities, or "operations"; `options`: keyword arguments of
    `self_attention`. None if it never does. Exact: both are polynomials in n of
    degree two at most.
    """

    def excess(n: int) -> int:
        attention = self_attention(n, d, h, **options)
        mlp = feed_forward(n, d, f)
        return int(getattr(attention, quantity) - getattr(mlp, quantity))

    curvature = excess(2) - 2 * excess(1) + excess(0)
    slope = excess(1) - excess(0)
    if curvature <= 0 and slope <= 0:
        return 1 if curvature == slope == 0 and excess(0) > 0 else None
    upper = 1
    # Past the vertex of the parabola the excess only grows.
    while excess(upper) <= 0 or excess(upper + 1) < excess(upper):
        upper *= 2
    lower = 0
    while upper - lower > 1:
        middle = (lower + upper) // 2
        grown = excess(middle) > 0 and excess(middle + 1) >= excess(middle)
        lower, upper = (lower, middle) if grown else (middle, upper)
    # Above zero on both sides of the vertex: above zero everywhere.
    return 1 if excess(upper - 1) > 0 else upper
