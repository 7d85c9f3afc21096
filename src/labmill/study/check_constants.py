"""Check the constants of the user's own files, before anything imports them."""

import ast
import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from labmill.core import registry
from labmill.core.errors import suggest
from labmill.core.registry import FACTS
from labmill.study.error_messages import misfit
from labmill.study.schema import Augmentation

# All that a condition in REQUIRES may call.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (len, min, max, all, any, sum, abs, isinstance, int, list)
}
KIND = Literal["image", "sequence"]
REQUIRES = dict[str, tuple[str, str]]
# Kind of file → constant → what it may be.
CONSTANTS: dict[str, dict[str, Any]] = {
    "models": {
        "KIND": KIND,
        "CHANNELS_LAST": bool,
        "HEAVY": bool,
        "CHECK": Literal["labmill.models.layer_list:check"],
        "LIBRARY": str,
        "REQUIRES": REQUIRES,
    },
    "losses": {"MIXED_LABELS": bool},
    "optimizers": {},
    "augmentations": {"DRAWS": NonNegativeInt, "POSITION": int, "REQUIRES": REQUIRES},
    "metrics": {
        "TITLE": str,
        "UNIT": Literal["%", ""],
        "BETTER": Literal["higher", "lower"],
    },
    "data/datasets": {
        "KIND": KIND,
        "CLASSES": tuple[str, ...] | None,
        "IMAGE_SIZE": PositiveInt | None,
        "CHANNELS": PositiveInt | None,
        "VOCABULARY": PositiveInt,
        "AUGMENTATION": Augmentation,
        "ORIGIN": str,
        "LICENCE": str | None,
        "URLS": tuple[str, ...],
        "SOURCES": dict[str, dict[str, int | str]],
        "ARCHIVE": str | None,
    },
    "report/figures": {"CAPTION": str, "ALT": str},
}
# Constants that a file must have, and those that need be no literals: jobs import them.
REQUIRED = ("BETTER", "ORIGIN", "CAPTION", "ALT")
IMPORTED = ("ORIGIN", "LICENCE", "URLS", "SOURCES", "ARCHIVE", "CAPTION", "ALT")


def wrong_constants(kind: str, name: str) -> Iterator[str]:
    """Yield what is wrong with the constants of an entry that is the user's."""
    if registry.is_own(kind, name):
        where = registry.place(kind, name)
        for key, message in mistakes(kind, name):
            yield f"{where}: {key}: {message}"


def mistakes(kind: str, name: str) -> Iterator[tuple[str, str]]:
    """Yield constants that are wrong, missing or misspelt, with messages."""
    allowed, found = CONSTANTS[kind], registry.constants(kind, name)
    defined = definitions(registry.tree(kind, name))
    for key in defined.keys() - allowed.keys():
        near = difflib.get_close_matches(key, allowed.keys() - defined, 1, 0.8)
        if near and key.isupper():
            yield key, f"unknown constant; did you mean {near[0]!r}?"
    for key, annotation in allowed.items():
        if key in found:
            if wrong := misfit(annotation, found[key]):
                yield key, wrong
        elif key not in defined:
            if key in REQUIRED and key.lower() not in defined:
                yield key, "missing; this constant is required"
        elif key not in IMPORTED:
            code = defined[key]
            yield key, f"found {code}; expected a value that is written out"
    requires = found.get("REQUIRES", {})
    if misfit(REQUIRES, requires) is None:
        yield from wrong_requirements(kind, name, requires)


def definitions(tree: ast.Module) -> dict[str, str]:
    """Return the names that a file defines at its top, with their code."""
    found = {}
    for node in tree.body:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    found[ast.unparse(target)] = ast.unparse(value)
            case ast.AnnAssign(target=ast.Name(id=key), value=ast.expr() as value):
                found[key] = ast.unparse(value)
            case ast.FunctionDef(name=key):
                found[key] = f"the function {key}"
            case ast.ImportFrom(names=names):
                for alias in names:
                    found[alias.asname or alias.name] = ast.unparse(node)
    return found


def wrong_requirements(
    kind: str, name: str, requires: Mapping[str, tuple[str, str]]
) -> Iterator[tuple[str, str]]:
    """Yield conditions of REQUIRES that cannot be computed from the arguments."""
    arguments = {one.name for one in registry.arguments(kind, name)} | {*FACTS}
    for argument, (condition, _) in requires.items():
        at = f"REQUIRES[{argument!r}]"
        if argument not in arguments:
            yield at, f"no argument of that name; {suggest(argument, arguments)}"
        try:
            names = names_in(condition)
        except SyntaxError as error:
            yield at, f"found {condition!r}: {error.msg}"
            continue
        for word in sorted(names - arguments - FUNCTIONS.keys()):
            yield at, f"found {word!r}; {suggest(word, [*arguments, *FUNCTIONS])}"


def names_in(condition: str) -> set[str]:
    """Return the names that a condition reads; what follows a dot counts as one."""
    nodes = [*ast.walk(ast.parse(condition, mode="eval"))]
    names = [node for node in nodes if isinstance(node, ast.Name)]
    read, bound = (
        {node.id for node in names if isinstance(node.ctx, context)}
        for context in (ast.Load, ast.Store)
    )
    return read - bound | {f".{n.attr}" for n in nodes if isinstance(n, ast.Attribute)}
