"""Which layers of a network can be pruned, found by trying: for users' own networks."""

import copy
from typing import Any

import torch
from torch import nn

from labmill.models.foreign import RESIZABLE, example, head_name


def derived_layers(model: Any) -> dict[str, nn.Module]:
    """Return layers whose outputs can be removed, those of equal widths once.

    A layer counts if one output less leaves a network that still computes logits. What
    was found is noted on the network.
    """
    found = getattr(model, "layers_found", None)
    if found is None:
        found = model.layers_found = layers_that_can_be_cut(model)
    return {name: model.get_submodule(name) for name in found}


def layers_that_can_be_cut(model: nn.Module) -> list[str]:
    """Return the names of these layers."""
    trial = copy.deepcopy(model).eval()
    head, taken, found = head_name(model), set[nn.Module](), []
    names = {module: name for name, module in trial.named_modules()}
    graph = graph_of(trial)
    for name, layer in trial.named_modules():
        if type(layer) not in (nn.Conv2d, nn.Linear) or name == head or layer in taken:
            continue
        cut = outputs_cut_with(graph, layer)
        if not cut or any(names.get(module) == head for module in cut):
            continue
        taken |= cut
        if layer.weight.shape[0] > 1:
            found.append(name)
    return those_that_work(model, found)


def those_that_work(model: nn.Module, layers: list[str]) -> list[str]:
    """Return the layers without one output of which the network computes logits.

    Tried together, and in halves where that fails: a trial copies the whole network.
    """
    if not layers or still_works(model, layers):
        return layers
    middle = len(layers) // 2
    if not middle:
        return []
    halves = layers[:middle], layers[middle:]
    return [name for half in halves for name in those_that_work(model, half)]


def graph_of(model: nn.Module) -> Any:
    """Return torch-pruning's dependency graph of a network."""
    from torch_pruning import DependencyGraph

    with torch.enable_grad():
        for parameter in model.parameters():
            parameter.requires_grad_(True)
        return DependencyGraph().build_dependency(
            model, (example(model),), verbose=False
        )


def outputs_cut_with(graph: Any, layer: nn.Module) -> set[nn.Module]:
    """Return the layers that lose an output where `layer` does; none if one cannot."""
    prune = graph.get_pruner_of_module(layer).prune_out_channels
    found: set[nn.Module] = set()
    for item in graph.get_pruning_group(layer, prune, [0]):
        module = item.dep.target.module
        if not isinstance(module, nn.Module):
            return set()  # a parameter outside of layers, such as positions
        if not any(True for _ in module.parameters(recurse=False)):
            continue
        if not isinstance(module, RESIZABLE):
            return set()
        if graph.is_out_channel_pruning_fn(item.dep.handler):
            found.add(module)
    return found


def still_works(model: nn.Module, layers: list[str]) -> bool:
    """Return True if a network without one output of each layer computes logits."""
    trial = copy.deepcopy(model).eval()
    graph = graph_of(trial)
    try:
        for name in layers:
            layer = trial.get_submodule(name)
            prune = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, prune, [0]).prune(record_history=False)
        with torch.no_grad():
            return bool(trial(example(model)).shape == model(example(model)).shape)
    except (RuntimeError, ValueError, IndexError, AssertionError):
        return False
