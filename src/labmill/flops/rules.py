"""What one tensor operation costs in arithmetic: a rule per ATen operation.

A rule splits an operation into parts (products, bias, activation, pooling …), so that a
convention can keep, drop or price each part. Rules use shapes, never values; positions
that padding adds or a mask hides count as computed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import torch

from labmill.flops.costs import ACTIVATIONS, ELEMENTWISE, MOVES
from labmill.flops.table import Part, PartKind


@dataclass(frozen=True)
class Cost:
    """An operation's kind and parts; `scores`: entries of its attention matrices."""

    kind: str
    parts: tuple[Part, ...] = ()
    scores: int = 0


Rule = Callable[[Sequence[Any], Any], Cost]


def products(outputs: int, terms: int, *, bias: bool) -> tuple[Part, ...]:
    """Return sums of n = `terms` products: n multiplications, n - 1 additions each."""
    dot = Part("product", outputs * terms, outputs * max(terms - 1, 0))
    return (dot, Part("bias", additions=outputs)) if bias else (dot,)


def _convolution(arguments: Sequence[Any], result: Any) -> Cost:
    _, weight, bias, *_ = (*arguments, None)
    terms = prod(weight.shape[1:])
    return Cost("convolution", products(result.numel(), terms, bias=bias is not None))


def _transposed(arguments: Sequence[Any], result: Any) -> Cost:
    inputs, weight, bias, *_ = (*arguments, None)
    count = inputs.numel() * prod(weight.shape[1:])
    parts = [Part("product", count, max(count - result.numel(), 0))]
    if bias is not None:
        parts.append(Part("bias", additions=result.numel()))
    return Cost("convolution", tuple(parts))


def _any_convolution(arguments: Sequence[Any], result: Any) -> Cost:
    return (_transposed if arguments[6] else _convolution)(arguments, result)


def _linear(arguments: Sequence[Any], result: Any) -> Cost:
    inputs, _, bias, *_ = (*arguments, None)
    parts = products(result.numel(), inputs.shape[-1], bias=bias is not None)
    return Cost("linear", parts)


def _matmul(*, bias: bool) -> Rule:
    def rule(arguments: Sequence[Any], result: Any) -> Cost:
        terms = arguments[int(bias)].shape[-1]
        return Cost("matmul", products(result.numel(), terms, bias=bias))

    return rule


def softmax_part(rows: int, length: int) -> Part:
    """Return the cost of softmax: maximum, differences, exponentials, sum, quotients."""
    size = rows * length
    return Part("normalisation", size, 2 * size - rows, size - rows, size)


def _softmax(arguments: Sequence[Any], result: Any) -> Cost:
    length = result.shape[arguments[1]]
    return Cost("softmax", (softmax_part(result.numel() // length, length),))


def _log_softmax(arguments: Sequence[Any], result: Any) -> Cost:
    size, rows = result.numel(), result.numel() // result.shape[arguments[1]]
    part = Part("normalisation", 0, 3 * size - rows, size - rows, size + rows)
    return Cost("softmax", (part,))


def _attention(arguments: Sequence[Any], result: Any) -> Cost:
    query, key, _, mask, _, causal, *_ = (*arguments, None, 0.0, False)[:6]
    width, keys = query.shape[-1], key.shape[-2]
    rows = prod(query.shape[:-1])
    scores = rows * keys
    masked = scores if mask is not None or causal else 0
    parts = (
        *products(scores, width, bias=False),
        Part("elementwise", multiplications=scores, additions=masked),
        softmax_part(rows, keys),
        *products(result.numel(), keys, bias=False),
    )
    return Cost("attention", parts, scores)


def _pool(axes: int, *, average: bool, adaptive: bool = False) -> Rule:
    def rule(arguments: Sequence[Any], result: Any) -> Cost:
        inputs, sizes, size = arguments[0], arguments[1], _first(result).numel()
        if adaptive:
            values = _adaptive_values(inputs.shape, _first(result).shape, axes)
        else:
            window = sizes * axes if len(sizes) == 1 else sizes
            values = size * prod(window)
        if average:
            return Cost("pooling", (Part("pooling", size, values - size),))
        return Cost("pooling", (Part("pooling", comparisons=values - size),))

    return rule


def _adaptive_values(inputs: Sequence[int], outputs: Sequence[int], axes: int) -> int:
    """Return how many values all windows of an adaptive pooling read; they may overlap."""
    values = prod(outputs[:-axes])
    for length, out in zip(inputs[-axes:], outputs[-axes:], strict=True):
        values *= sum(
            -(-(i + 1) * length // out) - i * length // out for i in range(out)
        )
    return values


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def standardise(rows: int, length: int, *, affine: int) -> Part:
    """Return the cost of layer normalisation; `affine`: scaled values per row."""
    return Part(
        "normalisation",
        multiplications=rows * (2 * length + 2 + affine),
        additions=rows * (3 * length - 1 + affine),
        special=rows,
    )


def _normalised(size: int, rows: int, weight: Any) -> Cost:
    length = size // rows
    part = standardise(rows, length, affine=0 if weight is None else length)
    return Cost("normalisation", (part,))


def _layer_norm(arguments: Sequence[Any], result: Any) -> Cost:
    _, shape, weight, *_ = (*arguments, None)
    return _normalised(result.numel(), result.numel() // prod(shape), weight)


def _group_norm(arguments: Sequence[Any], result: Any) -> Cost:
    inputs, groups, weight, *_ = (*arguments, None)
    return _normalised(result.numel(), inputs.shape[0] * groups, weight)


def _instance_norm(arguments: Sequence[Any], result: Any) -> Cost:
    inputs, weight, *_ = arguments
    return _group_norm((inputs, inputs.shape[1], weight), result)


def _batch_norm(_: Sequence[Any], result: Any) -> Cost:
    # With fixed statistics, scale and shift are constants of the channel.
    size = result.numel()
    return Cost("normalisation", (Part("normalisation", size, size),))


def _reduction(arguments: Sequence[Any], result: Any) -> Cost:
    additions = arguments[0].numel() - result.numel()
    return Cost("reduction", (Part("elementwise", additions=additions),))


def _mean(arguments: Sequence[Any], result: Any) -> Cost:
    size = result.numel()
    part = Part("elementwise", size, arguments[0].numel() - size)
    return Cost("reduction", (part,))


def _variance(arguments: Sequence[Any], result: Any) -> Cost:
    values, size = arguments[0].numel(), _first(result).numel()
    part = Part("elementwise", values + 2 * size, 3 * values - 2 * size)
    return Cost("reduction", (part,))


def _extremum(arguments: Sequence[Any], result: Any) -> Cost:
    result = _first(result)
    of_two = len(arguments) > 1 and isinstance(arguments[1], torch.Tensor)
    comparisons = result.numel() if of_two else arguments[0].numel() - result.numel()
    return Cost("reduction", (Part("elementwise", comparisons=comparisons),))


def _pointwise(kind: str, part: PartKind, per_element: tuple[int, ...]) -> Rule:
    def rule(_: Sequence[Any], result: Any) -> Cost:
        size = result.numel()
        products, sums, comparisons, special = (size * n for n in per_element)
        return Cost(kind, (Part(part, products, sums, comparisons, special, size),))

    return rule


def _power(arguments: Sequence[Any], result: Any) -> Cost:
    exponent = arguments[1] if len(arguments) > 1 else None
    name = (
        "square" if not isinstance(exponent, torch.Tensor) and exponent == 2 else "pow"
    )
    costs = ELEMENTWISE[name]
    return _pointwise("elementwise", "elementwise", costs)(arguments, result)


RULES: dict[str, Rule] = {
    **{
        name: _pointwise("elementwise", "elementwise", counts)
        for name, counts in ELEMENTWISE.items()
    },
    **{
        name: _pointwise("activation", "activation", counts)
        for name, counts in ACTIVATIONS.items()
    },
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **{f"conv_transpose{axes}d": _transposed for axes in (1, 2, 3)},
    **{
        f"{prefix}{axes}d{suffix}": _pool(axes, average=average, adaptive=adaptive)
        for axes in (1, 2, 3)
        for prefix, suffix, average, adaptive in (
            ("max_pool", "", False, False),
            ("max_pool", "_with_indices", False, False),
            ("avg_pool", "", True, False),
            ("adaptive_avg_pool", "", True, True),
            ("adaptive_max_pool", "", False, True),
        )
    },
    **dict.fromkeys(("mm", "bmm", "mv", "dot"), _matmul(bias=False)),
    **dict.fromkeys(("addmm", "baddbmm", "addmv"), _matmul(bias=True)),
    **dict.fromkeys(("amax", "amin", "max", "min", "argmax", "argmin"), _extremum),
    **dict.fromkeys(("softmax", "_softmax", "_safe_softmax"), _softmax),
    **dict.fromkeys(("log_softmax", "_log_softmax"), _log_softmax),
    **dict.fromkeys(("var", "var_mean", "std", "std_mean"), _variance),
    **dict.fromkeys(MOVES.split(), lambda _, __: Cost("data")),
    "convolution": _any_convolution,
    "_convolution_mode": _convolution,
    "linear": _linear,
    "scaled_dot_product_attention": _attention,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "batch_norm": _batch_norm,
    "embedding": lambda _, __: Cost("embedding"),
    "sum": _reduction,
    "cumsum": _pointwise("elementwise", "elementwise", (0, 1, 0, 0)),
    "mean": _mean,
    "pow": _power,
}


def rule_for(operation: torch._ops.OpOverload) -> Rule | None:
    """Return the rule of an ATen operation, in place (`relu_`) or not; None if none."""
    name = operation.overloadpacket.__name__
    return RULES.get(name) or RULES.get(name.removesuffix("_"))
