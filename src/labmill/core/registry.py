"""The folder is the registry: names, signatures and constants, read without importing.

`labmill/models/vit.py` is the model `vit`, and so is `models/vit.py` in the working
directory. The options that a study file has for it are in the file itself (the signature
of `build`, `Literal` types, `REQUIRES`) and are read from its syntax tree, so that
checking a study needs neither torch nor numpy.
"""

import ast
import inspect
import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from labmill.core import project
from labmill.core.errors import LabmillError, letters, suggest
from labmill.core.paths import PACKAGE
from labmill.core.project import per_folder


@dataclass(frozen=True)
class Kind:
    """Something that is registered by its file.

    Attributes:
        pattern: where its files are below the package. Files of one name in many folders
            are named after their folder.
        own: the folder of the user's own files, and the group of entry points; or empty.
        taken: names that mean something else where entries are named, without a file.
    """

    pattern: str
    entry: str  # the function or constant that makes a file an entry
    own: str = ""
    # Whose files may have a class of their name as the entry.
    classes: Literal["", "own", "all"] = ""
    passed: int = 0  # how many leading arguments are labmill's, not the study's
    library: str = ""  # a package whose files are entries too, and those that are not
    without: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()


# Columns of runs.csv, after the part's name, that are no entries.
SCORES = (
    *("n", "accuracy", "balanced_accuracy", "macro_f1", "loss", "calibration_error"),
    *("exact_float32", "exact_bfloat16", "exact_float16", "openings", "class_accuracy"),
)
# Options of `augmentation` that are no entries.
CHANGES = ("crop", "flip", "cutout", "brightness", "contrast", "rotate90")

KINDS = {
    "models": Kind("models/[a-z]*.py", "build", "models", classes="own"),
    "losses": Kind("training/losses/[a-z]*.py", "loss", "losses", passed=2),
    "optimizers": Kind(
        "",
        "build",
        "optimizers",
        classes="all",
        library="torch.optim",
        # Base classes, and those that need a closure or sparse gradients.
        without=("optimizer", "lr_scheduler", "lbfgs", "sparse_adam"),
    ),
    "augmentations": Kind(
        "data/augmentations/[a-z]*.py",
        "augment",
        "augmentations",
        passed=2,
        taken=CHANGES,
    ),
    "metrics": Kind(
        "evaluation/scores/[a-z]*.py", "metric", "metrics", passed=2, taken=SCORES
    ),
    "data/datasets": Kind("data/datasets/[a-z]*.py", "decode", "datasets", passed=1),
    "report/sections": Kind("report/sections/*/__init__.py", "HEADING"),
    "report/answers": Kind("report/sections/*/answers.py", "answers"),
    "report/claims": Kind("report/sections/*/claims.py", "make_claims"),
    "report/figures": Kind("report/sections/*/figures/[a-z]*.py", "draw", "figures"),
}
# Arguments of a model that the dataset sets, not the study.
FACTS = ("num_classes", "image_size", "in_channels")


@dataclass(frozen=True)
class Argument:
    """One argument of an entry point, as its signature writes it."""

    name: str
    annotation: str
    default: Any
    required: bool


@dataclass(frozen=True)
class Source:
    """A registered file and its module's dotted name."""

    path: Path
    module: str


def sources(kind: str) -> Iterator[tuple[str, Source]]:
    """Yield every name with its file: labmill's, the user's, those of packages."""
    found = KINDS[kind]
    shared = "[" not in found.pattern
    for path in sorted(PACKAGE.glob(found.pattern)) if found.pattern else ():
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = path.parent.name if shared else path.stem
        yield name, Source(path, ".".join(parts).removesuffix(".__init__"))
    if found.library:
        top, *inside = found.library.split(".")
        spec = find_spec(top)  # of the top package: nothing is imported
        root = Path(spec.origin).parent if spec and spec.origin else PACKAGE
        for path in sorted(root.joinpath(*inside).glob("*.py")):
            if (name := path.stem.strip("_")) not in found.without:
                yield name, Source(path, f"{found.library}.{path.stem}")
    if not found.own:
        return
    for path in sorted(Path(project.folder(), found.own).glob("[a-z]*.py")):
        yield path.stem, Source(path, f"{project.OWN}.{found.own}.{path.stem}")
    for name, module in project.installed(found.own):
        if (file := project.module_file(module)) is None:
            raise LabmillError(
                f"entry point labmill.{found.own}, {name}: no module {module}"
            )
        yield name, Source(file, module)


@per_folder
def registered(kind: str) -> types.MappingProxyType[str, Source]:
    """Return labmill's files of a kind, entries or not, and the user's entries."""
    found: dict[str, Source] = {}
    for name, source in sources(kind):
        if project.is_own(source.module) and not is_entry(kind, name, source):
            continue
        by = "labmill" if name in KINDS[kind].taken else ""
        if name in found and is_entry(kind, name, found[name]):
            by = project.place(found[name].module)
        if by:
            raise LabmillError(
                f"{project.shown_path(source.path)}: the name {name!r} is taken by {by}; "
                "rename the file"
            )
        found[name] = source
    return types.MappingProxyType(found)


def files(kind: str) -> dict[str, Path]:
    """Return the file of every name that a kind's folders have, entries or not."""
    return {name: source.path for name, source in registered(kind).items()}


@per_folder
def parsed(path: Path) -> ast.Module:
    """Return the syntax tree of a file, which is shared."""
    return project.parse(path)


@per_folder
def tree(kind: str, name: str) -> ast.Module:
    """Return the syntax tree of one entry's file."""
    return parsed(registered(kind)[name].path)


@per_folder
def names(kind: str) -> tuple[str, ...]:
    """Return all registered names of a kind (see KINDS), sorted."""
    found = registered(kind).items()
    return tuple(sorted(name for name, one in found if is_entry(kind, name, one)))


def entry_point(kind: str, name: str) -> ast.stmt | None:
    """Return the function, class or constant that makes the file an entry, or None."""
    return entry_in(tree(kind, name), kind, name, registered(kind)[name])


def is_entry(kind: str, name: str, source: Source) -> bool:
    """Return True if a file is an entry; also if it is no Python, to say so where used."""
    try:
        return entry_in(parsed(source.path), kind, name, source) is not None
    except LabmillError:
        return True


def entry_in(
    syntax: ast.Module, kind: str, name: str, source: Source
) -> ast.stmt | None:
    """Return what makes a file with this syntax tree an entry, or None."""
    wanted, named_like_file = KINDS[kind], None
    for node in syntax.body:
        match node:
            case ast.FunctionDef(name=found) if found == wanted.entry:
                return node
            case ast.Assign(targets=[ast.Name(id=found)]) if found == wanted.entry:
                return node
            case ast.ClassDef(name=found) if letters(found) == letters(name):
                named_like_file = node
    whose = ("own", "all") if project.is_own(source.module) else ("all",)
    return named_like_file if wanted.classes in whose else None


@cache
def sections() -> types.MappingProxyType[str, str]:
    """Return the sections of a report and their headings, in the report's order."""
    kind = "report/sections"
    order = sorted(names(kind), key=lambda name: constant(kind, name, "POSITION"))
    return types.MappingProxyType(
        {name: constant(kind, name, "HEADING") for name in order}
    )


def folder(section: str) -> Path:
    """Return the folder of a section of the report."""
    return files("report/sections")[section].parent


def place(kind: str, name: str) -> str:
    """Return the file of an entry as messages name it."""
    return project.place(module(kind, name))


def known(kind: str, name: str) -> str:
    """Return `name` if it is registered; else raise a LabmillError that lists what is."""
    if name not in names(kind):
        raise LabmillError(f"found {name!r}; {absence(kind, name)}")
    return name


def absence(kind: str, name: str) -> str:
    """Return what the user's file of that name lacks; without one, what is allowed."""
    own = KINDS[kind].own
    # Not `is_file`, which raises for names longer than a file's may be.
    if own and name in [x.stem for x in Path(project.folder(), own).glob("*.py")]:
        made_by = f"a function or constant {KINDS[kind].entry}"
        like_file = f" or a class {name.title().replace('_', '')}"
        return f"{own}/{name}.py lacks {made_by}{like_file * bool(KINDS[kind].classes)}"
    return suggest(name, names(kind))


@per_folder
def arguments(kind: str, name: str) -> tuple[Argument, ...]:
    """Return the arguments of an entry that have a name, in order.

    Those of a class are its constructor's, or the fields of a dataclass. One whose default is no literal cannot be written in a study and is left out.
    """
    entry = entry_point(kind, known(kind, name))
    method = isinstance(entry, ast.ClassDef)
    inside = entry.body if isinstance(entry, ast.ClassDef) else [entry]
    wanted = "__init__" if method else KINDS[kind].entry
    pairs: list[tuple[str, ast.expr | None, ast.expr | None]] = []
    for node in inside:
        match node:
            case ast.FunctionDef(name=found) if found == wanted:
                pairs = signature(node)[1 if method else KINDS[kind].passed :]
            case ast.AnnAssign(target=ast.Name(id=field)):
                pairs.append((field, node.annotation, node.value))
    made = []
    for argument, annotation, default in pairs:
        try:
            value = None if default is None else literal(kind, name, default)
        except ValueError:
            continue
        words = ast.unparse(annotation) if annotation else "Any"
        made.append(Argument(argument, words, value, default is None))
    return tuple(made)


def takes(kind: str, name: str, argument: str) -> bool:
    """Return True if an entry has an argument of that name."""
    return any(one.name == argument for one in arguments(kind, name))


def signature(
    function: ast.FunctionDef,
) -> list[tuple[str, ast.expr | None, ast.expr | None]]:
    """Return name, annotation and default of each argument of a function."""
    spec = function.args
    places = [*spec.posonlyargs, *spec.args]
    missing: list[ast.expr | None] = [None] * (len(places) - len(spec.defaults))
    defaults = [*missing, *spec.defaults, *spec.kw_defaults]
    return [
        (one.arg, one.annotation, default)
        for one, default in zip([*places, *spec.kwonlyargs], defaults, strict=True)
    ]


def literal(kind: str, name: str, node: ast.expr) -> Any:
    """Return a literal value, or the module constant that the node names.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(node, ast.Name):
        if node.id not in constants(kind, name):
            raise ValueError(node.id)
        return constant(kind, name, node.id)
    return ast.literal_eval(node)


@per_folder
def constants(kind: str, name: str) -> types.MappingProxyType[str, Any]:
    """Return the file's literal module constants, by name."""
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
    """Return one module constant, or `default` where the file has none."""
    return constants(kind, name).get(key, default)


def defines(kind: str, name: str, method: str) -> bool:
    """Return True if a class of the file has that method."""
    return any(
        isinstance(item, ast.FunctionDef) and item.name == method
        for node in tree(kind, known(kind, name)).body
        if isinstance(node, ast.ClassDef)
        for item in node.body
    )


def load(kind: str, name: str) -> types.ModuleType:
    """Import the entry's module."""
    return project.load(module(kind, name))


def module(kind: str, name: str) -> str:
    """Return the dotted name of the entry's module."""
    return registered(kind)[known(kind, name)].module


def code_of(kind: str, name: str) -> str:
    """Return an entry's module as a job names its code: without `labmill.`."""
    return module(kind, name).removeprefix("labmill.")


def is_own(kind: str, name: str) -> bool:
    """Return True if an entry is the user's, not labmill's."""
    return project.is_own(module(kind, name))


def library(name: str) -> str | None:
    """Return the library that a model's networks are of; None for labmill's and own."""
    found: str | None = constant("models", name, "LIBRARY")
    return found


def is_foreign(name: str) -> bool:
    """Return True if a model is the user's or another library's: it may lack methods."""
    return is_own("models", name) or library(name) is not None


def load_entry(kind: str, name: str) -> Any:
    """Import an entry's module; return the function or class that is the entry."""
    entry = entry_point(kind, known(kind, name))
    assert isinstance(entry, ast.FunctionDef | ast.ClassDef)
    return getattr(load(kind, name), entry.name)


def build(name: str, **arguments: Any) -> Any:
    """Build a model by name; note the call's arguments on it, defaults included.

    Facts of the dataset that the entry does not take are noted and not passed.
    """
    function = load_entry("models", name)
    taken = inspect.signature(function)
    given = {
        key: value
        for key, value in arguments.items()
        if key not in FACTS or key in taken.parameters
    }
    call = taken.bind(**given)
    call.apply_defaults()
    with project.own_errors():
        model = function(**given)
    made = {key: value for key, value in call.arguments.items() if is_plain(value)}
    model.built_with = made | {k: v for k, v in arguments.items() if k not in made}
    return model


def is_plain(value: Any) -> bool:
    """Return True if a value can be written to model.json."""
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
