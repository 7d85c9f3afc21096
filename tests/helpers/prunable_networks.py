"""Every registered model, small; a new file in the folder is pruned here too."""

import pytest
import torch
from torch import nn

from labmill.core import registry
from labmill.pruning.structure import Structure

# Cheaper than the defaults, and the arguments that change what depends on what.
CASES = {
    "cnn": [
        {},
        {"design": "custom_four", "batch_norm": True},
        {
            "layers": [
                "conv 6 bn",
                "separable 5",
                "adaptive 2",
                "flatten",
                "linear 7 bn",
            ]
        },
        {"layers": ["conv 6 k5 s2", "avgpool", "conv 4 gelu", "flatten"]},
    ],
    "dynamic_cnn": [
        {"widths": [6, 8], "hidden": 9, "mixing": mixing}
        for mixing in ("published", "softmax", "equal", "single")
    ],
    "lenet": [{}, {"separable": True}],
    "resnet": [
        {"widths": [6, 8, 10], "blocks": [2, 2, 1]},
        {"widths": [6, 8], "blocks": [1, 1], "stem": "imagenet"},
    ],
    "speednet": [{"widths": [8, 8, 12, 12]}, {"stem": 0, "widths": [6, 8]}],
    "transformer": [{"dim": 16, "heads": 2, "ffn": 12, "decoder_layers": 2}],
    "two_conv": [{"filters1": 4, "filters2": 5, "dense": 9}],
    "vgg": [
        {"layers": ["conv 6", "conv 7", "pool", "conv 8", "adaptive 2", "flatten"]}
    ],
    "vit": [
        {"depth": 2, "dim": 16, "heads": 2},
        {"depth": 1, "decoder_depth": 1, "dim": 16, "heads": 2, "queries": "classes"},
    ],
}
MODELS = pytest.mark.parametrize(
    ("name", "arguments"),
    [
        pytest.param(name, case, id=f"{name}-{number}")
        for name in registry.names("models")
        if not registry.library(name)
        for number, case in enumerate(CASES.get(name, [{}]))
    ],
)


def build(name, arguments):
    """The model in float64, all parameters and running statistics at random."""
    torch.manual_seed(0)
    facts = {"num_classes": 10, "image_size": 32, "in_channels": 3}
    model = registry.build(name, **{**facts, **arguments}).double().eval()
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.running_mean.normal_(std=0.3)
                module.running_var.uniform_(0.5, 2)
                module.weight.normal_(mean=1, std=0.3)
                module.bias.normal_(mean=0.5, std=0.3)
    return model


def inputs(name, batch=2):
    generator = torch.Generator().manual_seed(1)
    if registry.constant("models", name, "KIND") == "sequence":
        return tuple(torch.randint(0, 10, (2, batch, 32), generator=generator))
    return (torch.randn(batch, 3, 32, 32, generator=generator, dtype=torch.float64),)


def structure_of(name, model):
    images = registry.constant("models", name, "KIND") != "sequence"
    return Structure(model, () if images else inputs(name, 1))


def some_units(group, seed=0):
    """About a third of a group's units, at random."""
    generator = torch.Generator().manual_seed(seed)
    count = max(1, len(group) // 3)
    return sorted(torch.randperm(len(group), generator=generator)[:count].tolist())
