"""YAML files without surprises: no duplicate keys, and the line of every key.

Study files, config.yaml, site files and assignments are all read here.
"""

import json
import math
import re
from copy import deepcopy
from pathlib import Path
from typing import Any, NoReturn

import yaml

from labmill.core.errors import LabmillError, shown
from labmill.core.trees import Settings

Path_ = tuple[str | int, ...]

# Larger files are refused before they are parsed, and aliases are counted as often as
# they are used: a few lines of nested aliases are gigabytes.
MOST_BYTES = 300_000
MOST_VALUES = 20_000
DEEPEST = 50
# Control characters, halves of surrogate pairs, and what Unicode keeps free.
NO_TEXT = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]"
)


class Loader(yaml.SafeLoader):
    """YAML with the numbers of YAML 1.2: `1e-4` is one, `1:30` and `010` are text.

    Dates stay text too.
    """

    values = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, unless there are too many."""
        self.values += 1
        if self.values > MOST_VALUES:
            raise TooManyValuesError
        return super().compose_node(parent, index)


class TooManyValuesError(Exception):
    """A file has more values than any study needs."""


NUMBERS = {
    "int": r"[-+]?(?:0|[1-9][0-9_]*)",
    "float": r"""[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
        |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)""",
}
TAG = "tag:yaml.org,2002:"
Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag.removeprefix(TAG) not in (*NUMBERS, "timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
for kind, pattern in NUMBERS.items():
    Loader.add_implicit_resolver(
        TAG + kind, re.compile(f"^(?:{pattern})$", re.X), list("-+0123456789.")
    )


# What an explicit tag raises for a value that it cannot have, such as `!!int ""`.
IMPOSSIBLE = (KeyError, IndexError, AttributeError, TypeError, ValueError)
# Path and text → data and lines: a plan reads its study at each scale.
PARSED: dict[tuple[str, str], tuple[Settings, dict[str, int]]] = {}


class YamlSource:
    """A parsed YAML file that knows the line of every key.

    Attributes:
        path: the file.
        data: its content, a mapping of plain values.
        lines: dotted key path → line number, from 1.
        overlay: the key whose mapping was merged over the others, such as `laptop`.
    """

    def __init__(self, path: str | Path, *, empty: bool = False) -> None:
        """Read and parse a file.

        `empty`: accept a file without any content as an empty mapping.
        """
        self.path = Path(path)
        self.lines: dict[str, int] = {}
        self.overlay: str | None = None
        self._values = 0
        self._constructor = Loader("")
        text = self._text()
        self.data: Settings
        key = (str(self.path), text)
        if key in PARSED:
            data, lines = PARSED[key]
            self.data, self.lines = deepcopy(data), dict(lines)
            return
        try:
            self.data = self._parse(text, empty)
            PARSED[key] = deepcopy(self.data), dict(self.lines)
        except RecursionError:
            self._unreadable(": nested too deeply, or an alias within itself")
        except TooManyValuesError:
            raise LabmillError(
                f"{self.path}: found more than {MOST_VALUES:,} values (an alias counts "
                "each time it is used); no file needs so many"
            ) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            self._unreadable(f": {error.problem}", line)
        except yaml.YAMLError as error:
            self._unreadable(f": {' '.join(str(error).split())}")

    def _unreadable(self, reason: str, line: str = "") -> NoReturn:
        raise LabmillError(f"{self.path}{line}: unreadable YAML{reason}") from None

    def _parse(self, text: str, empty: bool) -> Settings:
        node = yaml.compose(text, Loader)
        if node is None and empty:
            return {}
        if not isinstance(node, yaml.MappingNode):
            raise LabmillError(
                f"{self.path}: found {'nothing' if node is None else 'no mapping'}; "
                "expected a mapping of keys, such as `title:` and `variants:`"
            )
        self._walk(node, ())
        data: Settings = self._constructor.construct_document(node)
        return data

    def _text(self) -> str:
        if self.path.is_dir():
            raise LabmillError(f"{self.path}: found a folder; expected a YAML file")
        try:
            size = self.path.stat().st_size
            if size > MOST_BYTES or not self.path.is_file():
                raise LabmillError(
                    f"{self.path}: found {size:,} bytes; expected a file of at most "
                    f"{MOST_BYTES:,}"
                )
            text = self.path.read_text(encoding="utf-8")
            if "\0" in text:  # Latin letters in UTF-16
                raise UnicodeError
            return text
        except UnicodeError:
            raise LabmillError(
                f"{self.path}: found another encoding than UTF-8; save it as UTF-8"
            ) from None
        except FileNotFoundError:
            raise LabmillError(f"{self.path}: no such file") from None
        except (OSError, ValueError) as error:
            raise LabmillError(f"{self.path}: cannot be read: {error}") from None

    def _walk(self, node: yaml.Node, path: Path_) -> None:
        self._values += 1
        if self._values > MOST_VALUES:
            raise TooManyValuesError
        if len(path) > DEEPEST:
            raise RecursionError
        self.lines.setdefault(dotted(path), node.start_mark.line + 1)
        if not self._is_plain(node):
            value = node.value if isinstance(node, yaml.ScalarNode) else ""
            self.fail(
                f"found {node.tag.replace(TAG, '!!')} {shown(value)[1:-1]}; allowed: "
                "text, finite numbers, true, false, null, lists and mappings",
                path,
            )
        if isinstance(node, yaml.ScalarNode):
            self._check_text(node.value, path)
        elif isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._walk(item, (*path, index))
        elif isinstance(node, yaml.MappingNode):
            self._walk_mapping(node, path)

    def _walk_mapping(self, node: yaml.MappingNode, path: Path_) -> None:
        seen: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise LabmillError(
                    f"{self.path}:{key.start_mark.line + 1}: found a key that is a "
                    "list or mapping; keys are plain words"
                )
            # YAML would read `no:` and `8:` as other types; keys here are text.
            if key.tag != f"{TAG}merge":
                key.tag = f"{TAG}str"
            name, line = key.value, key.start_mark.line + 1
            self.lines.setdefault(dotted((*path, name)), line)
            self._check_text(name, (*path, name))
            if name in seen:
                raise LabmillError(
                    f"{self.path}:{line}: {dotted((*path, name))}: found twice, first "
                    f"in line {seen[name]}; each name is allowed once"
                )
            seen[name] = line
            self.lines[dotted((*path, name))] = line
            self._walk(value, (*path, name))

    def _is_plain(self, node: yaml.Node) -> bool:
        """Return True if a node, without what is inside, is what JSON has too."""
        if not isinstance(node, yaml.ScalarNode):
            return node.tag.removeprefix(TAG) in ("seq", "map")
        try:
            value = self._constructor.construct_object(node)
        except (yaml.YAMLError, *IMPOSSIBLE):
            return False
        if isinstance(value, float):
            return math.isfinite(value)
        return value is None or isinstance(value, str | int)

    def _check_text(self, text: str, path: Path_) -> None:
        """Refuse characters that neither a page nor a PDF can show."""
        if found := NO_TEXT.search(text):
            self.fail(
                f"found the character U+{ord(found[0]):04X}, which is no text (a control "
                "character, or half of a pair)",
                path,
            )

    def fail(self, message: str, *places: Path_) -> NoReturn:
        """Raise with file, line and key of the first place that is in the file."""
        raise LabmillError(f"{self.where(*places)}: {message}")

    def where(self, *candidates: Path_) -> str:
        """Return `file:line: key.path` of the first candidate that is in the file.

        Keys of the overlay come first. A path that is not in the file is shown with the
        line of its nearest parent, and of several the one whose parent is nearest.
        """
        places = [
            place
            for path in candidates
            for place in ([(self.overlay, *path), path] if self.overlay else [path])
        ]
        for path in places:
            if dotted(path) in self.lines:
                return self._at(path, path)
        parents = {path: self._parent(path) for path in reversed(candidates)}
        path = max(parents, key=lambda path: len(parents[path]))
        return self._at(parents[path], path)

    def _parent(self, path: Path_) -> Path_:
        while path and dotted(path) not in self.lines:
            path = path[:-1]
        return path

    def _at(self, line: Path_, path: Path_) -> str:
        number = f":{self.lines[dotted(line)]}" if dotted(line) in self.lines else ""
        key = dotted(path).encode(errors="backslashreplace").decode()
        name = key if len(key) <= 120 else f"{key[:120]}…"
        return f"{self.path}{number}: {name or 'the file'}"


def dotted(path: Path_) -> str:
    """Return `("seeds", 0)` as `seeds[0]`, `("data", "test")` as `data.test`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def yaml_value(text: str, message: str) -> Any:
    """Return the value of YAML text from the command line, read as in a file.

    Raises:
        LabmillError: with the message, where it is none that JSON can hold.
    """
    try:
        value = Loader(text).get_single_data()
        json.dumps(value, allow_nan=False)
    except (yaml.YAMLError, TooManyValuesError, RecursionError, *IMPOSSIBLE):
        raise LabmillError(message) from None
    return value
