"""Which code a job really uses, and a fingerprint of it that layout cannot change.

Snakemake sees a job's params and the set of its inputs. The fingerprints here are
params: editing `models/vit.py` changes those of the runs that build a ViT and no
others; editing a comment, a docstring or the layout changes none.
"""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent

# They carry settings, messages and files, and decide no number. What they pass on stands
# in the params itself.
NEUTRAL = frozenset(
    f"labmill.{name}"
    for name in (
        *("errors", "study", "reading", "loading", "check", "entries", "job", "plan"),
        *(
            "index",
            "registry",
            "runtime",
            "fingerprint",
            "explain",
            "workflow",
            "differences",
            "references",
            "fits",
            "columns",
        ),
        # Downloads are verified by digest, however they were fetched.
        *("data.download", "data.transfer", "data.archive"),
    )
)


def digest(value: Any) -> str:
    """Twelve hexadecimal digits over the canonical JSON of `value`."""
    return hashlib.blake2b(canonical(value).encode(), digest_size=6).hexdigest()


def dataset_key(dataset: str, arguments: Mapping[str, Any]) -> str:
    """A dataset's folder below `data/`: its name, and its arguments as a hash."""
    return f"{dataset}-{digest(arguments)}" if arguments else dataset


def canonical(value: Any) -> str:
    """JSON with sorted keys: equal values, equal text (Snakemake compares text)."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


@cache
def path_of(module: str) -> Path | None:
    """The source file of a module of this package, or None."""
    stem = PACKAGE.joinpath(*module.split(".")[1:])
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if module.split(".")[0] == "labmill" and path.is_file():
            return path
    return None


@cache
def parsed(module: str) -> ast.Module:
    """The module's syntax tree without docstrings and type-checking imports."""
    path = path_of(module)
    assert path is not None, module
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if not isinstance(body, list):
            continue
        if isinstance(
            node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
        ) and is_docstring(body[0] if body else None):
            body = body[1:]
        node.body = [item for item in body if not is_type_checking(item)]
    return tree


def is_docstring(node: ast.AST | None) -> bool:
    """Whether a statement is a bare string."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def is_type_checking(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, which never runs."""
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )


@cache
def imports(module: str) -> frozenset[str]:
    """Modules of this package that a module imports, anywhere in its text."""
    found: set[str] = set()
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if path_of(name) and name not in NEUTRAL)


@cache
def module_fingerprint(module: str) -> str:
    """Eight hexadecimal digits over a module's syntax tree."""
    text = ast.dump(parsed(module), include_attributes=False)
    return hashlib.blake2b(text.encode(), digest_size=4).hexdigest()


def code_fingerprints(modules: Iterable[str]) -> dict[str, str]:
    """Fingerprint of each module in the import closure of `modules`, by short name."""
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
