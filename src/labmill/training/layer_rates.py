"""Learning rates by depth, and networks of which only the head is trained."""

from collections.abc import Iterator

from torch import nn

from labmill.models.foreign import head_name, needed_head

LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def blocks(
    module: nn.Module, name: str = "", *, listed: bool = False
) -> Iterator[tuple[str, nn.Module]]:
    """Yield the layers of a network in their order, with their names.

    An item of a list (`nn.Sequential`, …) is one layer, and so is a module without parts.
    """
    children = list(module.named_children())
    if not children or (listed and not isinstance(module, LISTS)):
        yield name, module
        return
    for key, child in children:
        inside = f"{name}.{key}" if name else key
        yield from blocks(child, inside, listed=isinstance(module, LISTS))


def shares(model: nn.Module, decay: float) -> dict[str, float]:
    """Return the share of the learning rate that each parameter has.

    That of the head is 1, that of each layer before it `decay` times that of the next
    one. A layer without a matrix or kernel (a norm) belongs to the one before.
    """
    names = [name for name, _ in model.named_parameters()]
    head, depth, depths = head_name(model), 0, dict[str, int]()
    for name, module in blocks(model):
        inside = dict(module.named_parameters(name))
        if f"{name}.".startswith(f"{head}."):
            continue
        if any(parameter.ndim > 1 for parameter in inside.values()):
            depth += 1
        depths |= dict.fromkeys(inside, depth)
    top = depth if head is None else depth + 1
    # Parameters outside of layers, such as positions, are the first layer's.
    depths |= {
        n: top if n.startswith(f"{head}.") else 1 for n in names if n not in depths
    }
    return {name: decay ** (top - max(depths[name], 1)) for name in names}


def freeze_body(model: nn.Module) -> None:
    """Let only the head be trained."""
    head = needed_head(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(f"{head}."))
