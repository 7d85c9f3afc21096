"""The count table and the conventions it is counted under; no torch.

What is counted at all is a `Convention`, because published counts disagree on it.
"""

from dataclasses import asdict, dataclass, fields
from typing import Literal

from labmill.core.trees import Settings

PartKind = Literal[
    "product", "bias", "pooling", "activation", "normalisation", "elementwise"
]


@dataclass(frozen=True)
class Part:
    """Scalar operations of one sort. `elements`: how many values an activation maps."""

    kind: PartKind
    multiplications: int = 0
    additions: int = 0
    comparisons: int = 0
    special: int = 0
    elements: int = 0


@dataclass(frozen=True, kw_only=True)
class Convention:
    """What counts as an operation.

    `biases`: one addition per output. `pooling`, `normalisation` (softmax included),
    `elementwise` (residual sums, scaling, masks, reductions): counted or left out.
    `activation_cost`: operations per activated value, or None to itemise (ReLU is one
    comparison, tanh one special function, GELU three products, a sum and an erf …).
    `multiply_add_as_one`: a sum of n products is n operations, its n - 1 additions are
    not counted again. `materialise_attention`: fused attention is charged the memory of
    its score and probability matrices, as if they were written and read back.
    """

    biases: bool
    pooling: bool
    activation_cost: int | None
    normalisation: bool
    elementwise: bool
    multiply_add_as_one: bool = False
    materialise_attention: bool = False

    def keep(self, part: Part) -> "Quantities":
        """Return the operations of `part` that this convention counts."""
        wanted = {
            "bias": self.biases,
            "pooling": self.pooling,
            "normalisation": self.normalisation,
            "elementwise": self.elementwise,
        }
        if not wanted.get(part.kind, True):
            return Quantities()
        if part.kind == "product" and self.multiply_add_as_one:
            return Quantities(multiplications=part.multiplications)
        if part.kind == "activation" and self.activation_cost is not None:
            cost = self.activation_cost * part.elements
            return Quantities(special=cost) if part.special else Quantities(0, 0, cost)
        return Quantities(
            part.multiplications, part.additions, part.comparisons, part.special
        )


_PRODUCTS_ONLY: Settings = {
    "biases": False,
    "pooling": False,
    "activation_cost": 0,
    "normalisation": False,
    "elementwise": False,
}
# macs: products only, the default, half of what torch.utils.flop_counter says.
# report3: an output of n products is n multiplications and n - 1 additions, no more.
# report5: 2nk² - 1 + a per convolution output, 2n - 1 + a per dense one, with a = 1
#          where an activation follows.
# everything: every scalar operation.
CONVENTIONS = {
    "macs": Convention(**_PRODUCTS_ONLY, multiply_add_as_one=True),
    "report3": Convention(**_PRODUCTS_ONLY),
    "report5": Convention(**{**_PRODUCTS_ONLY, "activation_cost": 1}),
    "everything": Convention(
        biases=True,
        pooling=True,
        activation_cost=None,
        normalisation=True,
        elementwise=True,
    ),
}


@dataclass(frozen=True)
class Quantities:
    """Counts of scalar operations, of parameters, and bytes.

    `activation_bytes`: the outputs written to new memory. `traffic_bytes`: every
    operation reads its inputs and parameters once and writes its output once.
    """

    multiplications: int = 0
    additions: int = 0
    comparisons: int = 0
    special: int = 0
    parameters: int = 0
    activation_bytes: int = 0
    traffic_bytes: int = 0

    @property
    def operations(self) -> int:
        """Return all scalar operations."""
        return self.multiplications + self.additions + self.comparisons + self.special

    def __add__(self, other: "Quantities") -> "Quantities":
        names = [field.name for field in fields(Quantities)]
        return Quantities(**{n: getattr(self, n) + getattr(other, n) for n in names})


@dataclass(frozen=True, kw_only=True)
class LayerCount(Quantities):
    """One row of a count table; shapes include the batch axis.

    `name` is the module's path, with the operation's name behind it where the module
    does more than one.
    """

    name: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]

    def to_dict(self) -> Settings:
        """Return the row as JSON values, `operations` included."""
        row = asdict(self) | {"operations": self.operations}
        return row | {key: list(row[key]) for key in ("input_shape", "output_shape")}


@dataclass(frozen=True, kw_only=True)
class Count:
    """The count table of a model: rows in the order of execution, and their sum.

    `uncounted` names operations that no rule covers: their arithmetic is missing.
    """

    layers: tuple[LayerCount, ...]
    convention: Convention
    dtype: str
    uncounted: tuple[str, ...] = ()

    @property
    def total(self) -> Quantities:
        """Return the sum over all layers."""
        return sum(self.layers, Quantities())

    def under(self, prefix: str) -> Quantities:
        """Return the sum over the module `prefix` and all inside it."""
        inside = (
            layer
            for layer in self.layers
            if layer.name == prefix or layer.name.startswith(f"{prefix}.")
        )
        return sum(inside, Quantities())

    def to_dict(self) -> Settings:
        """Return the table as JSON values."""
        return {
            "layers": [layer.to_dict() for layer in self.layers],
            "total": asdict(self.total) | {"operations": self.total.operations},
            "convention": asdict(self.convention),
            "dtype": self.dtype,
            "uncounted": list(self.uncounted),
        }


def get_convention(name: str | Convention) -> Convention:
    """Return a convention by its name."""
    return name if isinstance(name, Convention) else CONVENTIONS[name]
