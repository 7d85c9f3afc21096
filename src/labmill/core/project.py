"""The user's own code: files in the working directory, and installed packages.

`models/mixer.py` in the working directory is the module `own.models.mixer`; its neighbours are
imported by `from .blocks import …` or `from own.models.blocks import …`. A package names
its modules as entry points `labmill.models`, `labmill.datasets` and so on. Both are read
as source text like the package's own files, and imported only by the jobs that use them.
"""

import ast
import importlib
import os
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar, cast

from labmill.core.errors import LabmillError
from labmill.core.paths import PACKAGE

OWN = "own"
# Folders of own code in the working directory.
FOLDERS = (
    *("models", "datasets", "figures", "metrics"),
    *("losses", "augmentations", "optimizers"),
)
GROUP = "labmill."
Given = ParamSpec("Given")
Found = TypeVar("Found", covariant=True)


class UntrustedCodeError(LabmillError):
    """Own code of somebody else's archive, which may not run."""


class Setting:
    """The folder whose code counts as the user's, and whether it may run."""

    folder: str | None = None
    trusted = True


def folder() -> str:
    """Return the folder of the user's own code: the working directory."""
    return Setting.folder or os.getcwd()  # noqa: PTH109 (six times as fast)


@contextmanager
def using(path: Path, *, trusted: bool = True) -> Iterator[None]:
    """Read own code from `path` inside a `with` block.

    Args:
        path: a folder with `models/`, `datasets/` and so on.
        trusted: whether it may be imported; its text is read in any case.
    """
    before = Setting.folder, Setting.trusted
    Setting.folder = str(path.resolve())
    Setting.trusted = trusted and Setting.trusted
    try:
        yield
    finally:
        Setting.folder, Setting.trusted = before


class Cached(Protocol[Given, Found]):
    """A cached function."""

    def __call__(self, *args: Given.args, **kwargs: Given.kwargs) -> Found: ...
    def cache_clear(self) -> None: ...


def per_folder(function: Callable[Given, Found]) -> Cached[Given, Found]:
    """Cache a function that reads own code, for each folder of own code.

    What it returns of a module of labmill is the same for all folders.
    """

    @cache
    def kept(_: str, *args: Any) -> Found:
        return function(*args)  # type: ignore[call-arg]

    @wraps(function)
    def call(*args: Any) -> Found:
        shared = isinstance(args[0], str) and args[0].startswith("labmill.")
        return kept("" if shared else folder(), *args)

    call.cache_clear = kept.cache_clear  # type: ignore[attr-defined]
    return cast("Cached[Given, Found]", call)


@cache
def installed(group: str) -> tuple[tuple[str, str], ...]:
    """Return name and module of every entry point `labmill.<group>`."""
    found = entry_points(group=GROUP + group)
    return tuple(sorted((point.name, point.module) for point in found))


@cache
def packages() -> frozenset[str]:
    """Return the top packages that have entry points of labmill."""
    found = entry_points()
    groups = [group for group in found.groups if group.startswith(GROUP)]
    modules = [point.module for group in groups for point in found.select(group=group)]
    return frozenset(module.partition(".")[0] for module in modules)


@per_folder
def module_file(module: str) -> Path | None:
    """Return the source file of a module of labmill or of the user's, without importing."""
    top, *inside = module.split(".")
    if top == "labmill":
        roots = [PACKAGE]
    elif top == OWN:
        roots = [Path(folder())]
    elif top in packages() and (spec := find_spec(top)) is not None:
        if not inside:
            return Path(spec.origin) if spec.origin else None
        roots = [Path(path) for path in spec.submodule_search_locations or ()]
    else:
        return None
    for root in roots:
        stem = root.joinpath(*inside)
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file() and (inside or top != OWN):
                return path
    return None


def is_own(module: str) -> bool:
    """Return True for a module that is no part of labmill or torch."""
    return module.partition(".")[0] not in ("labmill", "torch")


def load(module: str) -> types.ModuleType:
    """Import a module of labmill or of the user's.

    Raises:
        UntrustedCodeError: it is of somebody else's archive.
        LabmillError: it cannot be imported.
    """
    if not is_own(module):
        return importlib.import_module(module)
    if not Setting.trusted:
        raise UntrustedCodeError(
            f"{place(module)}: is code of the archive's author; --trust-code runs it, "
            "in a sandbox if bubblewrap is installed"
        )
    if module.partition(".")[0] == OWN:
        bind()
    with own_errors():
        return importlib.import_module(module)


def bind() -> None:
    """Make the folder of own code the package `own`."""
    bound = sys.modules.get(OWN)
    if bound is not None and [*bound.__path__] == [folder()]:
        return
    for name in [name for name in sys.modules if name.partition(".")[0] == OWN]:
        del sys.modules[name]
    package = types.ModuleType(OWN, "The user's own code.")
    package.__path__ = [folder()]
    sys.modules[OWN] = package


def place(module: str) -> str:
    """Return a module's file as a user writes it: `models/mixer.py`."""
    path = module_file(module)
    return shown_path(path) if path else module


def shown_path(path: Path) -> str:
    """Return a path as a user writes it: below the folder of own code, or of labmill."""
    for root in (folder(), PACKAGE.parent):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return str(path)


def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a source file."""
    try:
        # Bytes: a byte order mark or a declared encoding is Python's business.
        return ast.parse(path.read_bytes())
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        where = f"{shown_path(path)}{line}"
        raise LabmillError(f"{where}: {error.msg}") from None
    except ValueError as error:
        raise LabmillError(f"{shown_path(path)}: {error}") from None


def own_fault(error: BaseException) -> str | None:
    """Return what own code raised, with its file and line; None if it is not involved.

    The line is the last one of own code: what it called may be torch's.
    """
    if isinstance(error, SyntaxError) and error.filename:
        path = Path(error.filename)
        if path.is_relative_to(folder()) and not path.is_relative_to(PACKAGE):
            return f"{shown_path(path)}, line {error.lineno}: {error.msg}"
    own = own_files()
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename in own or in_own_folder(frame.filename)
    ]
    if not frames:
        return None
    last = frames[-1]
    said = " ".join(str(error).split())[:500]
    text = f"{type(error).__name__}: {said}" if said else type(error).__name__
    where = f"{shown_path(Path(last.filename))}, line {last.lineno}"
    return f"{where}, in {last.name}: {text}"


def in_own_folder(filename: str) -> bool:
    """Return True if a file is in a folder of own code: its import may have failed."""
    path = Path(filename)
    return path.is_relative_to(folder()) and (
        path.relative_to(folder()).parts[0] in FOLDERS
    )


def own_files() -> set[str | None]:
    """Return the files of all imported modules that are the user's."""
    tops = {OWN, *packages()} - {"labmill"}
    return {
        getattr(module, "__file__", None)
        for name, module in [*sys.modules.items()]
        if name.partition(".")[0] in tops
    }


@contextmanager
def own_errors() -> Iterator[None]:
    """Turn what own code raises into one message with file and line."""
    try:
        yield
    except LabmillError:
        raise
    except (Exception, SystemExit) as error:
        if fault := own_fault(error):
            raise LabmillError(fault) from error
        raise
