"""Check the names of optimizers, losses and augmentations, and their arguments."""

from labmill.core import registry
from labmill.core.errors import shown, suggest
from labmill.study.check_models import (
    check_arguments,
    check_requirements,
    is_torch,
)
from labmill.study.schema import Augmentation, Training
from labmill.study.yaml_source import Path_, YamlSource

# Optimizers with fused kernels, in labmill.training.optimizers.
FUSED = ("sgd", "adam", "adamw", "muon")
AUGMENTATIONS = "augmentations"
# Option → the kind of files that it names.
NAMED = {"optimizer": "optimizers", "loss": "losses"}


def check_training(training: Training, source: YamlSource, *at: Path_) -> None:
    """Check that optimizer, loss and augmentations exist and take their arguments.

    Args:
        training: resolved settings.
        source: the study file, for messages.
        at: key paths that they may come from, most specific first.
    """
    for key, kind in NAMED.items():
        name, given = getattr(training, key), getattr(training, f"{key}_arguments")
        places = [(*place, f"{key}_arguments") for place in at]
        if key == "optimizer" and name in FUSED:
            if given:
                source.fail(
                    f"{name} has none; its options are keys of training", *places
                )
            continue
        if name not in registry.names(kind):
            known = {*registry.names(kind), *(FUSED if key == "optimizer" else ())}
            message = f"found {shown(name)}; {suggest(name, sorted(known))}"
            source.fail(message, *((*place, key) for place in at))
        check_arguments(kind, name, given, source, *places)
        if key == "optimizer" and training.compile == "step" and is_torch(name):
            source.fail(
                f"found 'step'; {name} is torch's, which is not compiled: off, auto",
                *((*place, "compile") for place in at),
            )
    smooths = registry.takes("losses", training.loss, "label_smoothing")
    if training.label_smoothing and not smooths:
        source.fail(
            f"found {training.label_smoothing}; {training.loss} has no label smoothing",
            *((*place, "label_smoothing") for place in at),
        )
    if training.lookahead and training.ema:
        source.fail(
            "found ema and lookahead, which both average the weights; choose one",
            *((*place, "lookahead") for place in at),
        )
    if not isinstance(training.augmentation, str):
        check_augmentation(training.augmentation, training.loss, source, *at)


def check_augmentation(
    augmentation: Augmentation, loss: str, source: YamlSource, *at: Path_
) -> None:
    """Check registered augmentations, and that the loss takes mixed labels."""
    known = registry.names(AUGMENTATIONS)
    for name, found in augmentation.further.items():
        places = [(*place, "augmentation", name) for place in at]
        if name not in known:
            hint = suggest(name, [*Augmentation.model_fields, *known])
            source.fail(f"unknown augmentation; {hint}", *places)
        if found == {} or not isinstance(found, dict | bool | None):
            source.fail(
                f"found {shown(found)}; expected its arguments, true or false", *places
            )
        if name not in augmentation.registered:
            continue
        given = augmentation.registered[name]
        check_arguments(AUGMENTATIONS, name, given, source, *places)
        check_requirements(AUGMENTATIONS, name, given, source, *places)
        if mixes(name) and not registry.constant("losses", loss, "MIXED_LABELS"):
            able = [
                name
                for name in registry.names("losses")
                if registry.constant("losses", name, "MIXED_LABELS")
            ]
            source.fail(
                f"{name} mixes labels, which the loss {loss} does not take; losses that "
                f"do: {', '.join(able)}",
                *places,
            )


def mixes(name: str) -> bool:
    """Return True if an augmentation mixes images, and so their labels."""
    return registry.takes(AUGMENTATIONS, name, "partners")
