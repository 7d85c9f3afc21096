"""The folder is the registry: names, signatures and constants, read without importing.

`labmill/models/vit.py` is the model `vit`. What a study file may say about it stands in
the file itself — the signature of `build`, `Literal` types, `REQUIRES` — and is read
from its syntax tree, so that checking a study needs neither torch nor numpy.
"""

import ast
import importlib
import types
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from labmill.errors import LabmillError, suggest

PACKAGE = Path(__file__).parent

# What makes a module of the folder an entry of the registry.
ENTRY_POINT = {"models": "build", "data": "decode", "report/figures": "draw"}


@dataclass(frozen=True)
class Argument:
    """One keyword argument of an entry point, as its signature writes it."""

    name: str
    annotation: str
    default: Any
    required: bool


@cache
def tree(kind: str, name: str) -> ast.Module:
    """The syntax tree of one entry's file."""
    return ast.parse((PACKAGE / kind / f"{name}.py").read_text(encoding="utf-8"))


@cache
def names(kind: str) -> tuple[str, ...]:
    """All registered names of a kind (`models`, `data`, `report/figures`), sorted."""
    return tuple(
        sorted(
            path.stem
            for path in (PACKAGE / kind).glob("[a-z]*.py")
            if entry_point(kind, path.stem) is not None
        )
    )


def entry_point(kind: str, name: str) -> ast.FunctionDef | None:
    """The function that makes the file an entry, or None."""
    for node in tree(kind, name).body:
        if isinstance(node, ast.FunctionDef) and node.name == ENTRY_POINT[kind]:
            return node
    return None


def known(kind: str, name: str) -> str:
    """`name` if it is registered; else a LabmillError that lists what is."""
    if name not in names(kind):
        raise LabmillError(f"found {name!r}; {suggest(name, names(kind))}")
    return name


@cache
def arguments(kind: str, name: str) -> tuple[Argument, ...]:
    """The keyword arguments of an entry, in order."""
    function = entry_point(kind, known(kind, name))
    assert function is not None
    spec = function.args
    found = []
    for node, default in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        annotation = ast.unparse(node.annotation) if node.annotation else "Any"
        value = None if default is None else literal(kind, name, default)
        found.append(Argument(node.arg, annotation, value, default is None))
    return tuple(found)


def literal(kind: str, name: str, node: ast.expr) -> Any:
    """A literal value, or the module constant that the node names."""
    if isinstance(node, ast.Name):
        return constant(kind, name, node.id)
    return ast.literal_eval(node)


@cache
def constants(kind: str, name: str) -> types.MappingProxyType[str, Any]:
    """The file's literal module constants, by name."""
    found: dict[str, Any] = {}
    for node in tree(kind, known(kind, name)).body:
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                pass
            case _:
                continue
        try:
            found[target] = ast.literal_eval(value)
        except ValueError:
            continue
    return types.MappingProxyType(found)


def constant(kind: str, name: str, key: str, default: Any = None) -> Any:
    """One module constant, or `default` where the file has none."""
    return constants(kind, name).get(key, default)


def defines(kind: str, name: str, method: str) -> bool:
    """Whether a class of the file has that method."""
    return any(
        isinstance(item, ast.FunctionDef) and item.name == method
        for node in tree(kind, known(kind, name)).body
        if isinstance(node, ast.ClassDef)
        for item in node.body
    )


def load(kind: str, name: str) -> types.ModuleType:
    """Import the entry's module."""
    package = kind.replace("/", ".")
    return importlib.import_module(f"labmill.{package}.{known(kind, name)}")


def build(name: str, **arguments: Any) -> Any:
    """Build a model by name; see the file's `build`."""
    return load("models", name).build(**arguments)
