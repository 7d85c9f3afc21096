"""What a study's settings mean: names that exist, arguments that fit together."""

import importlib
from typing import Any, NoReturn

from labmill import registry
from labmill.data.classes import resolve
from labmill.errors import LabmillError, suggest
from labmill.loading import check_type
from labmill.reading import Path_, Source
from labmill.study import Data, Model, Study

# All that a condition in a model's REQUIRES may call.
FUNCTIONS = {f.__name__: f for f in (len, min, max, all, any, sum, abs, isinstance)}
FUNCTIONS |= {"int": int, "list": list}


def fail(source: Source, message: str, *places: Path_) -> NoReturn:
    """Raise with file, line and key of the first place that stands in the file."""
    raise LabmillError(f"{source.where(*places)}: {message}")


def check_data(data: Data, source: Source) -> dict[str, Any]:
    """Check dataset, arguments and classes; return what models need to know of them.

    Returns:
        `num_classes` (of sequences the vocabulary), `image_size`, `in_channels`, None
        where only the images can tell; and `kind`, `image` or `sequence`.
    """
    if data.dataset not in registry.names("data"):
        known = suggest(data.dataset, registry.names("data"))
        fail(source, f"found {data.dataset!r}; {known}", ("data", "dataset"))
    at = ("data", "arguments")
    check_arguments("data", data.dataset, data.arguments, source, at)
    classes = registry.constant("data", data.dataset, "CLASSES")
    kept = len(classes) if classes else None
    kind = registry.constant("data", data.dataset, "KIND", "image")
    if kind == "sequence" and data.normalisation != "none":
        fail(
            source,
            f"found {data.normalisation!r}; {data.dataset} has tokens, which only "
            "`none` leaves as they are",
            ("data", "normalisation"),
            ("data", "dataset"),
        )
    if classes and (data.classes is not None or data.roll_number is not None):
        key = "classes" if data.classes is not None else "roll_number"
        try:
            kept = len(resolve(tuple(classes), data.classes, data.roll_number))
        except LabmillError as error:
            message = str(error).removeprefix(f"data.{key}: ")
            fail(source, message, ("data", key))
    elif data.classes is not None:
        kept = len(data.classes)
    defaults = {a.name: a.default for a in registry.arguments("data", data.dataset)}
    given = {**defaults, **data.arguments}
    size = registry.constant("data", data.dataset, "IMAGE_SIZE")
    channels = registry.constant("data", data.dataset, "CHANNELS")
    return {
        "num_classes": registry.constant("data", data.dataset, "VOCABULARY", kept),
        "image_size": size or given.get("image_size"),
        "in_channels": channels or given.get("channels"),
        "kind": kind,
    }


def check_arguments(
    kind: str, name: str, given: dict[str, Any], source: Source, *at: Path_
) -> None:
    """Check names and types of arguments against the entry's signature."""
    allowed = {a.name: a for a in registry.arguments(kind, name)}
    for key, value in given.items():
        places = [(*place, key) for place in at]
        if (
            key not in allowed
            or key
            in ("num_classes", "image_size", "in_channels")[
                : 3 if kind == "models" else 0
            ]
        ):
            own = [k for k in allowed if k not in ("num_classes", "in_channels")]
            if kind == "models":
                own = [k for k in own if k != "image_size"]
            fail(source, f"unknown argument of {name}; {suggest(key, own)}", *places)
        wrong = check_type(allowed[key].annotation, value)
        if wrong:
            fail(source, wrong, *places)
    if kind == "data":
        for argument in allowed.values():
            if argument.required and argument.name not in given:
                fail(
                    source,
                    f"missing; {name} needs {argument.name!r}",
                    *[(*place, argument.name) for place in at],
                )


def check_model(
    model: Model, facts: dict[str, Any], source: Source, *at: Path_
) -> None:
    """Check a resolved model: its name, arguments and the file's REQUIRES.

    Args:
        model: name and arguments.
        facts: `num_classes`, `image_size`, `in_channels` of the study's images.
        source: the study file, for messages.
        at: key paths that the model may have come from, most specific first.
    """
    if model.name not in registry.names("models"):
        known = suggest(model.name, registry.names("models"))
        fail(source, f"found {model.name!r}; {known}", *[(*p, "name") for p in at])
    check_arguments("models", model.name, model.arguments, source, *at)
    reads = registry.constant("models", model.name, "KIND", "image")
    if reads != facts["kind"]:
        fitting = [
            name
            for name in registry.names("models")
            if registry.constant("models", name, "KIND", "image") == facts["kind"]
        ]
        fail(
            source,
            f"{model.name} reads {reads}s and the dataset has {facts['kind']}s; models "
            f"that fit: {', '.join(fitting)}",
            *[(*place, "name") for place in at],
        )
    signature = registry.arguments("models", model.name)
    values = {a.name: a.default for a in signature} | model.arguments
    values |= {key: value for key, value in facts.items() if key in values}
    requires = registry.constant("models", model.name, "REQUIRES", {})
    for key, (condition, sentence) in requires.items():
        try:
            fits = eval(condition, {"__builtins__": FUNCTIONS}, values)
        except TypeError:
            continue  # a fact that only the images can tell
        except (ZeroDivisionError, ValueError):
            fits = False
        if not fits:
            shown = ", ".join(
                f"{name}={values[name]!r}"
                for name in values
                if name in condition_names(condition)
            )
            places = [(*place, key) for place in at]
            fail(source, f"found {values.get(key)!r}; {sentence} ({shown})", *places)
    check = registry.constant("models", model.name, "CHECK")
    if check:
        module, _, function = check.partition(":")
        try:
            getattr(importlib.import_module(module), function)(values)
        except LabmillError as error:
            fail(source, str(error), *at)


def check_examine(study: Study, models: dict[str, Model], source: Source) -> None:
    """Check that the variants to be examined have attention to look at."""
    for index, name in enumerate(study.examine.variants if study.examine else ()):
        needed = ("attention_maps", "hidden_states")
        fitting = [
            model
            for model in registry.names("models")
            if all(registry.defines("models", model, method) for method in needed)
        ]
        if name in models and models[name].name not in fitting:
            fail(
                source,
                f"{name} is a {models[name].name}, which has no layers of attention "
                f"over patches to look at; models that have: {', '.join(fitting)}",
                ("examine", "variants", index),
            )


def check_represent(study: Study, models: dict[str, Model], source: Source) -> None:
    """Check that the networks whose features are looked at read images."""
    for index, name in enumerate(study.represent.variants if study.represent else ()):
        model = models[name].name if name in models else None
        if model and registry.constant("models", model, "KIND", "image") != "image":
            fail(
                source,
                f"{name} is a {model}, which reads no images; features are looked at of "
                "networks that do",
                ("represent", "variants", index),
            )


def condition_names(condition: str) -> set[str]:
    """Names that a condition reads."""
    import ast

    return {n.id for n in ast.walk(ast.parse(condition)) if isinstance(n, ast.Name)}
