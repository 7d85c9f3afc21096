"""Fingerprints of the code that a job uses; layout and comments do not change them.

Snakemake sees a job's params and the set of its inputs. The fingerprints here are
params: editing `models/vit.py` changes those of the runs that build a ViT and no
others; editing a comment, a docstring or the layout changes none.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from typing import Any

from labmill.core.project import is_own, module_file, parse, per_folder
from labmill.core.trees import JsonObject

# Packages that carry settings, messages and files, and decide no number: what they pass
# on is in the params. Downloads are verified by digest, however they were fetched.
NEUTRAL = ("core", "download", "study", "plan", "workflow", "cluster")
# Except for this one: the titles and formats of a report's numbers.
SHOWN = "labmill.study.metrics"


def is_neutral(module: str) -> bool:
    """Return True if a module decides no number and no word of a report."""
    parts = module.split(".")
    inside = len(parts) > 1 and not is_own(module)
    return inside and parts[1] in NEUTRAL and module != SHOWN


def digest(value: Any) -> str:
    """Return twelve hexadecimal digits over the canonical JSON of `value`."""
    return text_digest(canonical(value))


def text_digest(text: str) -> str:
    """Return twelve hexadecimal digits over a text."""
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def dataset_key(dataset: str, arguments: JsonObject) -> str:
    """Return a dataset's folder below `data/`: its name, and its arguments as a hash."""
    return f"{dataset}-{digest(arguments)}" if arguments else dataset


def canonical(value: Any) -> str:
    """Return JSON with sorted keys: equal values, equal text (Snakemake compares text)."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


@per_folder
def parsed(module: str) -> ast.Module:
    """Return the module's syntax tree without docstrings and type-checking imports."""
    path = module_file(module)
    assert path is not None, module
    tree = parse(path)
    for node in statements(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        if (
            isinstance(node, documented)
            and ast.get_docstring(node, clean=False) is not None
        ):
            body = body[1:]
        kept = [item for item in body if not is_type_checking(item)]
        setattr(node, "body", kept)  # noqa: B010
    return tree


def statements(node: ast.AST) -> Iterator[ast.AST]:
    """Yield a module and its statements, with handlers and cases, but no expression.

    Expressions are most of a tree, and contain no statement.
    """
    yield node
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        part = getattr(node, name, None)
        if isinstance(part, list):
            for item in part:
                yield from statements(item)


def is_type_checking(node: ast.AST) -> bool:
    """Return True if a statement is `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


@per_folder
def imports(module: str) -> frozenset[str]:
    """Return the modules of labmill and own code that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in statements(parsed(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = absolute(module, node)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return frozenset(n for n in found if module_file(n) and not is_neutral(n))


def absolute(module: str, node: ast.ImportFrom) -> str:
    """Return the dotted name of what an import is from."""
    if not node.level:
        return node.module or ""
    path = module_file(module)
    up = node.level - (path is not None and path.name == "__init__.py")
    above = module.split(".")[: -up or None]
    return ".".join([*above, *([node.module] if node.module else [])])


def full_name(module: str) -> str:
    """Return the dotted name of a module that may be named without `labmill.`."""
    inside = f"labmill.{module}"
    return inside if module_file(inside) else module


@per_folder
def module_fingerprint(module: str) -> str:
    """Return eight hexadecimal digits over a module's syntax tree."""
    text = ast.dump(parsed(module), include_attributes=False)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def code_fingerprints(modules: Iterable[str]) -> dict[str, str]:
    """Return the fingerprint of each module that `modules` import, by short name.

    Those of labmill are named without it: `models.vit`, but `own.models.mixer`.
    """
    pending, closure = list(modules), set()
    while pending:
        module = pending.pop()
        if module not in closure:
            closure.add(module)
            pending.extend(imports(module))
    return {
        module.removeprefix("labmill."): module_fingerprint(module)
        for module in sorted(closure)
    }
