"""What stages after training need of a network that has no methods for it.

The user's own networks may be any modules that turn images into logits. Their last
linear layer is the head, what it reads are the features, and a pruned one is built from
the arguments of the call and the shapes that are left.
"""

from typing import Any

import torch
from torch import Tensor, nn

from labmill.core.errors import LabmillError

# The argument of a model's file that holds the shapes of a pruned network's tensors.
SHAPES = "pruned_shapes"
Shapes = dict[str, list[int]]


def head_name(model: nn.Module) -> str | None:
    """Return the name of the layer that makes the logits; None where none is found."""
    if isinstance(getattr(model, "head", None), nn.Module):
        return "head"
    classes = getattr(model, "built_with", {}).get("num_classes")
    found = None
    for name, module in model.named_modules():
        match module:
            case nn.Linear(out_features=width) | nn.Conv2d(out_channels=width):
                found = name if width == classes else found
    return found


def needed_head(model: Any) -> str:
    """Return the name of the head."""
    if (name := head_name(model)) is None:
        raise LabmillError(
            f"{type(model).__name__} has no linear layer with one output per class; "
            "call its last layer `self.head`"
        )
    return name


def features(model: Any, images: Tensor) -> Tensor:
    """Return what the head reads of a batch."""
    if hasattr(model, "forward_features"):
        found: Tensor = model.forward_features(images)
        return found
    read: list[Tensor] = []
    head = model.get_submodule(needed_head(model))
    hook = head.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    try:
        model(images)
    finally:
        hook.remove()
    return read[-1]


def note_shapes(model: Any) -> None:
    """Note the shapes of a new network, to tell later what was pruned.

    Lazy layers get theirs from one blank image.
    """
    if any(isinstance(p, nn.UninitializedParameter) for p in model.parameters()):
        with torch.no_grad():
            model.eval()(example(model))
        model.train()
    model.built_shapes = shapes(model)


def shapes(model: nn.Module) -> Shapes:
    """Return the shapes of all tensors of a network by name."""
    return {name: list(tensor.shape) for name, tensor in model.state_dict().items()}


def arguments_of(model: Any) -> dict[str, Any]:
    """Return arguments with which the present network can be built."""
    if hasattr(model, "arguments"):
        return dict(model.arguments())
    now, before = shapes(model), getattr(model, "built_shapes", {})
    changed = {name: now[name] for name in before if now[name] != before[name]}
    return getattr(model, "built_with", {}) | ({SHAPES: changed} if changed else {})


def cut_to(model: nn.Module, wanted: Shapes) -> None:
    """Give tensors other shapes, with new initial values, as pruning leaves them."""
    for name, module in model.named_modules():
        prefix = f"{name}." if name else ""
        own = [*module.named_parameters(recurse=False)]
        own += [(key, value) for key, value in module.named_buffers(recurse=False)]
        changed = False
        for key, tensor in own:
            if (shape := wanted.get(prefix + key)) is None:
                continue
            part = tensor.detach()[tuple(slice(size) for size in shape)].clone()
            kept = nn.Parameter(part, tensor.requires_grad)
            setattr(module, key, kept if isinstance(tensor, nn.Parameter) else part)
            changed = True
        if changed:
            resize(module, name)
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()


def resize(module: Any, name: str) -> None:
    """Let a layer's sizes follow its weights."""
    match module:
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.Conv2d():
            outputs, inputs = module.weight.shape[:2]
            if inputs == 1 and module.groups > 1:
                module.groups = outputs
            module.out_channels = outputs
            module.in_channels = inputs * module.groups
        case nn.modules.batchnorm._NormBase():
            module.num_features = module.weight.shape[0]
        case nn.LayerNorm():
            module.normalized_shape = tuple(module.weight.shape)
        case nn.GroupNorm():
            module.num_channels = len(module.weight)
        case _ if not [*module.children()]:
            raise LabmillError(f"{name}: a {type(module).__name__} cannot be pruned")


RESIZABLE = (nn.Linear, nn.Conv2d, nn.modules.batchnorm._NormBase, nn.LayerNorm)


def example(model: Any) -> Tensor:
    """Return one blank image of the size that the network was built for."""
    facts = model.arguments() if hasattr(model, "arguments") else model.built_with
    like = next(model.parameters())
    shape = (1, facts["in_channels"], facts["image_size"], facts["image_size"])
    return torch.zeros(shape, dtype=like.dtype, device=like.device)
