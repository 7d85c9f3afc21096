"""Convolution and dense layers as matrix products, without torch's own layers.

Two formulations of the same numbers, both trainable:

- `unfold`: each image's patches as columns, the kernels as rows, one product per image,
  as in the published report;
- `shifted`: no patches. Each position of the kernel is one product on a shifted
  view of the images, summed in place; backwards the same. With channels before the
  batch, a batch is one long row per channel, and results have the order that the next
  layer reads.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def unfold_convolution(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Return W · unfold(x) + b, (B, O, H', W'), of images (B, C, H, W)."""
    columns = F.unfold(
        x, layer.kernel_size, layer.dilation, padding(layer), layer.stride
    )
    columns = columns.unflatten(1, (layer.groups, -1))  # (B, G, C/G · k · k, H' · W')
    kernels = layer.weight.flatten(1).unflatten(0, (layer.groups, -1))
    y = (kernels @ columns).flatten(1, 2)
    if layer.bias is not None:
        y = y + layer.bias[:, None]
    return y.unflatten(2, output_size(layer, x))


def shifted_convolution(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Convolve without patches, one group at a time; see `Shifted`.

    A stride is taken afterwards, from the result at every position.
    """
    pad_y, pad_x = padding(layer)
    if pad_y or pad_x:
        x = F.pad(x, (pad_x, pad_x, pad_y, pad_y))
    groups = layer.groups
    biases = [None] * groups if layer.bias is None else layer.bias.chunk(groups)
    parts = [
        Shifted.apply(z, weight, bias, layer.dilation)
        for z, weight, bias in zip(
            x.transpose(0, 1).chunk(groups),
            layer.weight.chunk(groups),
            biases,
            strict=True,
        )
    ]
    y = parts[0] if groups == 1 else torch.cat(parts)
    down, right = layer.stride
    return y.transpose(0, 1)[:, :, ::down, ::right]


class Shifted(torch.autograd.Function):
    """Convolution of (C, B, H, W) with (O, C, k, k) and bias (O,), stride 1.

    The images of a channel are one long row of pixels. A kernel's position (i, j)
    reads that row from pixel i · W + j on, so that y = Σᵢⱼ Wᵢⱼ · z[:, i · W + j:]:
    k² products on views of z. Where a window runs over an image's edge the sum means
    nothing, and is cut off.
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        dilation: tuple[int, int],
    ) -> Tensor:
        channels, _, height, width = z.shape
        rows = z.reshape(channels, -1)
        reach = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
        ctx.starts = [
            (i, j, dilation[0] * i * width + dilation[1] * j)
            for i in range(weight.shape[2])
            for j in range(weight.shape[3])
        ]
        ctx.length = rows.shape[1] - reach[0] * width - reach[1]
        ctx.size, ctx.shape = (height - reach[0], width - reach[1]), z.shape
        ctx.has_bias = bias is not None
        ctx.save_for_backward(rows, weight)
        y = rows.new_zeros(len(weight), rows.shape[1])
        if bias is not None:
            y += bias[:, None]
        for i, j, start in ctx.starts:
            seen = rows[:, start : start + ctx.length]
            y[:, : ctx.length].addmm_(weight[:, :, i, j], seen)
        return y.view(-1, *z.shape[1:])[:, :, : ctx.size[0], : ctx.size[1]]

    @staticmethod
    def backward(
        ctx: Any, grad: Tensor
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        rows, weight = ctx.saved_tensors
        inside = grad.new_zeros(len(grad), *ctx.shape[1:])
        inside[:, :, : ctx.size[0], : ctx.size[1]] = grad
        g = inside.view(len(grad), -1)[:, : ctx.length]
        of_z, of_weight, of_bias, _ = ctx.needs_input_grad
        grad_z = torch.zeros_like(rows) if of_z else None
        grad_weight = torch.empty_like(weight) if of_weight else None
        for i, j, start in ctx.starts:
            seen = slice(start, start + ctx.length)
            if grad_weight is not None:
                grad_weight[:, :, i, j] = g @ rows[:, seen].T
            if grad_z is not None:
                grad_z[:, seen].addmm_(weight[:, :, i, j].T, g)
        grad_bias = grad.sum((1, 2, 3)) if ctx.has_bias and of_bias else None
        return (
            None if grad_z is None else grad_z.view(ctx.shape),
            grad_weight,
            grad_bias,
            None,
        )


def output_size(layer: nn.Conv2d, x: Tensor) -> tuple[int, int]:
    """Return height and width of the convolution's output."""
    height, width = (
        (x.shape[2 + i] + 2 * padding(layer)[i] - layer.dilation[i] * (k - 1) - 1)
        // layer.stride[i]
        + 1
        for i, k in enumerate(layer.kernel_size)
    )
    return height, width


def padding(layer: nn.Conv2d) -> tuple[int, int]:
    """Return the zeros added in height and width; labmill uses numbers only."""
    height, width = (int(zeros) for zeros in layer.padding)
    return height, width


class UnfoldConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return unfold_convolution(self, x)


class ShiftedConv2d(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        return shifted_convolution(self, x)


class MatrixLinear(nn.Linear):
    """A linear layer that computes x Wᵀ + b, (…, n) to (…, m)."""

    def forward(self, x: Tensor) -> Tensor:
        if self.bias is None:
            return x @ self.weight.T
        if x.dim() == 2:
            return torch.addmm(self.bias, x, self.weight.T)
        return x @ self.weight.T + self.bias


FORMULATIONS: dict[str, dict[type[nn.Module], type[nn.Module]]] = {
    "library": {},
    "unfold": {nn.Conv2d: UnfoldConv2d, nn.Linear: MatrixLinear},
    "shifted": {nn.Conv2d: ShiftedConv2d, nn.Linear: MatrixLinear},
}


def rewritten(model: nn.Module, formulation: str) -> nn.Module:
    """Return a copy whose convolutions and dense layers are matrix products.

    It has the same parameters under the same names.
    """
    model = copy.deepcopy(model)
    for module in model.modules():
        own = FORMULATIONS[formulation].get(type(module))
        if own is not None:
            module.__class__ = own
    return model
