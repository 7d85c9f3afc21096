"""Check datasets and models: names that exist, arguments that fit together."""

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any, TypedDict

from labmill.core import project, registry
from labmill.core.errors import LabmillError, shown, suggest
from labmill.core.registry import FACTS
from labmill.core.trees import Settings
from labmill.data.classes import resolve_classes
from labmill.data.image_tree import class_folders
from labmill.study.check_constants import FUNCTIONS, names_in, wrong_constants
from labmill.study.error_messages import check_type
from labmill.study.schema import Data, Model, Study
from labmill.study.yaml_source import Path_, YamlSource

DATASETS, MODELS = "data/datasets", "models"
# Options of a training that an optimizer gets if it takes them.
SHARED = ("momentum", "nesterov", "betas", "weight_decay")
# Those of them that an optimizer gets which is a `torch.optim.Optimizer`.
SHARED_BY_TORCH = ("betas", "weight_decay")
# Arguments of its constructor that are no choice of a study.
OF_TORCH = ("params", "lr", "foreach", "maximize", "capturable", "differentiable")
# No layer is wider, no list of layers longer, no image larger.
LARGEST_ARGUMENT = 10**6
LONGEST_LIST = 1000
LARGEST_IMAGE = 4096


class Facts(TypedDict):
    """What models need to know of a study's images; None where only these can tell."""

    num_classes: int | None  # of sequences the size of the vocabulary
    image_size: int | None
    in_channels: int | None
    kind: str  # `image` or `sequence`


def check_data(data: Data, source: YamlSource) -> Facts:
    """Check dataset, arguments and classes; return what models need to know of them."""
    name = data.dataset
    if name not in registry.names(DATASETS):
        known = suggest(name, registry.names(DATASETS))
        source.fail(f"found {shown(name)}; {known}", ("data", "dataset"))
    check_arguments(DATASETS, name, data.arguments, source, ("data", "arguments"))
    kind = registry.constant(DATASETS, name, "KIND", "image")
    if kind == "sequence" and data.normalisation != "none":
        source.fail(
            f"found {data.normalisation!r}; {name} has tokens, which only `none` leaves "
            "as they are",
            ("data", "normalisation"),
            ("data", "dataset"),
        )
    signature = registry.arguments(DATASETS, name)
    given = {a.name: a.default for a in signature} | data.arguments
    size = registry.constant(DATASETS, name, "IMAGE_SIZE") or given.get("image_size")
    if size is not None and not 1 <= size <= LARGEST_IMAGE:
        source.fail(
            f"found {size}; images have 1 to {LARGEST_IMAGE} pixels a side",
            ("data", "arguments", "image_size"),
        )
    channels = registry.constant(DATASETS, name, "CHANNELS") or given.get("channels")
    classes = classes_kept(data, source)
    return {
        "num_classes": registry.constant(DATASETS, name, "VOCABULARY", classes),
        "image_size": size,
        "in_channels": channels,
        "kind": kind,
    }


def classes_kept(data: Data, source: YamlSource) -> int | None:
    """Return the number of classes that the study keeps, where the dataset tells."""
    classes = registry.constant(DATASETS, data.dataset, "CLASSES")
    if data.dataset == "image_folder":
        classes = class_folders(data.arguments["path"])
    if not classes:
        return len(data.classes) if data.classes is not None else None
    key = "classes" if data.classes is not None else "roll_number"
    try:
        return len(resolve_classes(tuple(classes), data.classes, data.roll_number))
    except LabmillError as error:
        source.fail(str(error).removeprefix(f"data.{key}: "), ("data", key))


def hidden(kind: str, name: str) -> tuple[str, ...]:
    """Return the arguments of an entry that are not written with the others."""
    match kind:
        case "models":
            return FACTS
        case "losses":
            return ("label_smoothing",)
        case "augmentations":
            return ("partners",)
        case "optimizers" if is_torch(name):
            return (*SHARED_BY_TORCH, *OF_TORCH, "fused")
        case "optimizers":
            return SHARED
    return ()


def is_torch(name: str) -> bool:
    """Return True if a registered optimizer is a `torch.optim.Optimizer`."""
    return any(one.name == "lr" for one in registry.arguments("optimizers", name))


def check_arguments(
    kind: str, name: str, given: Settings, source: YamlSource, *at: Path_
) -> None:
    """Check an entry's constants, and arguments against its signature."""
    for mistake in wrong_constants(kind, name):
        source.fail(mistake, *at)
    signature = registry.arguments(kind, name)
    allowed = {a.name: a for a in signature if a.name not in hidden(kind, name)}
    for key, value in given.items():
        places = [(*place, key) for place in at]
        if key not in allowed:
            hint = suggest(key, allowed)
            source.fail(f"unknown argument of {name}; {hint}", *places)
        wrong = check_type(allowed[key].annotation, value) or next(sizes(value), None)
        if wrong:
            source.fail(wrong, *places)
    for key, argument in allowed.items():
        if argument.required and key not in given:
            places = [(*place, key) for place in at]
            source.fail(f"missing; {name} needs {key!r}", *places)


def sizes(value: Any) -> Iterator[str]:
    """Yield what is too large, or empty, in an argument."""
    most = LARGEST_ARGUMENT
    match value:
        case "":
            yield "found nothing; expected text"
        case str() if any(
            int(digits[:12]) > most for digits in re.findall(r"\d+", value)
        ):
            yield f"found {shown(value)}; numbers are at most {most:,}"
        case int() | float() if abs(value) > most:
            yield f"found {shown(value)}; numbers are at most {most:,}"
        case list() if len(value) > LONGEST_LIST:
            yield f"found {len(value):,} entries; at most {LONGEST_LIST:,} are allowed"
        case list():
            for item in value:
                yield from sizes(item)


def check_model(model: Model, facts: Facts, source: YamlSource, *at: Path_) -> None:
    """Check a resolved model: its name, arguments and the file's REQUIRES.

    `at`: key paths that the model may have come from, most specific first.
    """
    named = [(*place, "name") for place in at]
    if model.name not in registry.names(MODELS):
        known = registry.absence(MODELS, model.name)
        source.fail(f"found {shown(model.name)}; {known}", *named)
    check_arguments(MODELS, model.name, model.arguments, source, *at)
    library = registry.library(model.name)
    if library and find_spec(library) is None:
        source.fail(f"{library} is not installed; `pip install {library}`", *named)
    reads = registry.constant(MODELS, model.name, "KIND", "image")
    if reads != facts["kind"]:
        fitting = [
            name
            for name in registry.names(MODELS)
            if registry.constant(MODELS, name, "KIND", "image") == facts["kind"]
        ]
        source.fail(
            f"{model.name} reads {reads}s and the dataset has {facts['kind']}s; models "
            f"that fit: {', '.join(fitting)}",
            *named,
        )
    given = {k: v for k, v in facts.items() if registry.takes(MODELS, model.name, k)}
    values = check_requirements(
        MODELS, model.name, model.arguments | given, source, *at, named=named
    )
    check = registry.constant(MODELS, model.name, "CHECK")
    if check:
        module, _, function = check.partition(":")
        try:
            getattr(project.load(module), function)(values)
        except LabmillError as error:
            source.fail(str(error), *at)


def check_requirements(
    kind: str,
    name: str,
    given: Settings,
    source: YamlSource,
    *at: Path_,
    named: Iterable[Path_] = (),
) -> Settings:
    """Check an entry's REQUIRES; return all arguments, defaults included.

    `named`: key paths of the entry's name.
    """
    values = {a.name: a.default for a in registry.arguments(kind, name)} | given
    for key, (condition, sentence) in registry.constant(
        kind, name, "REQUIRES", {}
    ).items():
        if is_met(condition, values):
            continue
        used = [word for word in values if word in names_in(condition)]
        shown_values = ", ".join(f"{word}={shown(values[word])}" for word in used)
        if key in FACTS:
            # No key of the study has this value: model and dataset do not fit.
            text = f"{name} does not fit the dataset: {key} {sentence}"
            source.fail(f"{text} ({shown_values})", *named)
        places = [(*place, key) for place in at]
        source.fail(f"found {shown(values[key])}; {sentence} ({shown_values})", *places)
    return values


def is_met(condition: str, values: Settings) -> bool:
    """Evaluate a condition of REQUIRES; True where only the images can tell."""
    try:
        return bool(eval(condition, {"__builtins__": FUNCTIONS}, values))
    except TypeError:
        return any(values.get(name) is None for name in names_in(condition))
    except (ArithmeticError, ValueError):
        return False


def check_analyses(
    study: Study, models: Mapping[str, Model], source: YamlSource
) -> None:
    """Check that networks to be examined have attention, and others read images."""
    needed = ("attention_maps", "hidden_states")
    with_attention = [
        model
        for model in registry.names(MODELS)
        if all(registry.defines(MODELS, model, method) for method in needed)
    ]
    for index, name in enumerate(study.examine.variants if study.examine else ()):
        if name in models and models[name].name not in with_attention:
            source.fail(
                f"{name} is a {models[name].name}, which has no attention over patches; "
                f"models that have: {', '.join(with_attention)}",
                ("examine", "variants", index),
            )
    for index, name in enumerate(study.represent.variants if study.represent else ()):
        model = models[name].name if name in models else None
        if model and registry.constant(MODELS, model, "KIND", "image") != "image":
            source.fail(
                f"{name} is a {model}, which reads no images; `represent` needs images",
                ("represent", "variants", index),
            )
