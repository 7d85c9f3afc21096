"""Try networks without memory or data, and own code: python -m labmill.conformance.try_build.

Reads a JSON list from stdin, one item per network: `name`, `arguments` of its `build`, and
the sections of the study that `use` it; or what `try_own` takes.
Writes a JSON list of the same length: the number of parameters, or what went wrong.
"""

import importlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from labmill.core import registry
from labmill.core.errors import LabmillError
from labmill.core.project import own_errors
from labmill.core.trees import Settings
from labmill.models.foreign import features, needed_head

FAULTS = (Exception, SystemExit, KeyboardInterrupt)
# The classes of a network where only the images can tell how many there are.
ANY = 10


class NoCompiler:
    """Take the place of torch's compiler, which takes three seconds to import.

    torch's code for the meta device only declares that it is not to be compiled.
    """

    name, __spec__ = "torch._dynamo", None

    @classmethod
    def install(cls) -> None:
        """Let torch find this where it imports its compiler."""
        if cls.name not in sys.modules:
            torch.__dict__["_dynamo"] = sys.modules[cls.name] = cls()  # type: ignore

    def disable(self, function: Callable[..., Any], *_: Any, **__: Any) -> Any:
        """Return the function: nothing is compiled."""
        return function

    def __getattr__(self, name: str) -> Any:
        """Import the compiler after all."""
        del sys.modules[self.name], torch.__dict__["_dynamo"]
        return getattr(importlib.import_module(self.name), name)


def try_build(name: str, arguments: Settings, use: Sequence[str] = ()) -> int | str:
    """Return a network's number of parameters, or why it cannot be built.

    On torch's meta device tensors have shapes and no content, so that the largest
    network costs nothing. One batch of two images goes through it, and what sections
    of the study need is tried with networks that are not labmill's.
    """
    size, channels = arguments.get("image_size"), arguments.get("in_channels")
    classes = arguments.get("num_classes")
    try:
        with own_errors(), torch.no_grad():
            network = build_on_meta(name, {"num_classes": ANY, **arguments})
            if size and channels:
                images = torch.empty(2, channels, size, size, device="meta")
                logits = network(images)
                if registry.is_foreign(name):
                    check_logits(logits, classes)
                    try_uses(network, images, use)
        return sum(weights.numel() for weights in network.parameters())
    except FAULTS as error:
        return reason(error)


def reason(error: BaseException) -> str:
    """Return what went wrong, in one line."""
    return " ".join(f"{error}".split())[:300] or type(error).__name__


def build_on_meta(name: str, arguments: Settings) -> Any:
    """Build a network without memory; for a moment with it where it computes with numbers."""
    try:
        with torch.device("meta"):
            return registry.build(name, **arguments)
    except NotImplementedError:
        return registry.build(name, **arguments).to("meta")


def check_logits(logits: object, classes: int | None) -> None:
    """Check what a user's own network returns for two images."""
    found = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
    if (
        not isinstance(logits, Tensor)
        or len(found) != 2
        or found != (2, classes or found[1])
    ):
        raise LabmillError(
            f"returns {found} for two images; expected logits, (2, "
            f"{classes or 'classes'})"
        )
    if not logits.is_floating_point():
        raise LabmillError(f"returns {logits.dtype}; expected logits of a float type")


def try_uses(network: nn.Module, images: Tensor, use: Sequence[str]) -> None:
    """Try what sections of a study need of a user's own network."""
    for section in use:
        match section:
            case "represent":
                features(network, images)
            case "pretexts" | "start":
                needed_head(network)
            case "pruning" | "influence" if not layers_of(network):
                raise LabmillError(
                    f"no layer can lose an output; define `prunable(self)`, which "
                    f"returns layers by name, or leave out `{section}`"
                )


def layers_of(network: Any) -> dict[str, nn.Module]:
    """Return the layers that can be pruned."""
    from labmill.pruning.structure import prunable_layers

    return prunable_layers(network.eval())


def main() -> None:
    """Try all items on stdin; what they print goes to stderr."""
    NoCompiler.install()
    with os.fdopen(os.dup(1), "w") as answer:
        os.dup2(2, 1)
        json.dump([try_item(one) for one in json.load(sys.stdin)], answer)


def try_item(item: Settings) -> int | str:
    """Try a network, or an entry of the user's: 0 if that works."""
    if "kind" not in item:
        return try_build(**item)
    # Late: networks alone need neither data nor optimizers.
    from labmill.conformance.try_own import try_own

    try:
        try_own(**item)
    except FAULTS as error:
        return reason(error)
    return 0


if __name__ == "__main__":
    main()
