"""A study file as text: YAML without duplicate keys, with the line of every key."""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from labmill.errors import LabmillError

Path_ = tuple[str | int, ...]


class Loader(yaml.SafeLoader):
    """YAML with the numbers of YAML 1.2: `1e-4` is one, `1:30` and `010` are text.

    Dates stay text too.
    """


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


class Source:
    """A parsed YAML file that knows the line of every key.

    Attributes:
        path: the file.
        data: its content, a mapping of plain values.
        lines: dotted key path → line number, from 1.
        overlay: the key whose mapping was laid over the others, such as `laptop`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.lines: dict[str, int] = {}
        self.overlay: str | None = None
        text = self._text()
        try:
            node = yaml.compose(text, Loader)
            if not isinstance(node, yaml.MappingNode):
                raise LabmillError(
                    f"{self.path}: found {'nothing' if node is None else 'no mapping'}; "
                    "a study file is a mapping of keys such as `title:` and `variants:`"
                )
            self._walk(node, ())
            self.data: dict[str, Any] = Loader("").construct_document(node)
        except RecursionError:
            raise LabmillError(
                f"{self.path}: unreadable YAML: nested too deeply, or an alias within "
                "itself"
            ) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise LabmillError(
                f"{self.path}{line}: unreadable YAML: {error.problem}"
            ) from None
        except yaml.YAMLError as error:
            said = " ".join(str(error).split())
            raise LabmillError(f"{self.path}: unreadable YAML: {said}") from None

    def _text(self) -> str:
        if self.path.is_dir():
            raise LabmillError(f"{self.path}: found a folder; expected a YAML file")
        try:
            return self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise LabmillError(f"{self.path}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise LabmillError(f"{self.path}: cannot be read: {error}") from None

    def _walk(self, node: yaml.Node, path: Path_) -> None:
        self.lines.setdefault(dotted(path), node.start_mark.line + 1)
        if not plain(node):
            raise LabmillError(
                f"{self.where(path)}: found {node.tag.replace(TAG, '!!')} "
                f"{node.value if isinstance(node, yaml.ScalarNode) else ''}; allowed: "
                "text, finite numbers, true, false, null, lists and mappings"
            )
        if isinstance(node, yaml.SequenceNode):
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
            if key.tag != "tag:yaml.org,2002:merge":
                key.tag = "tag:yaml.org,2002:str"
            name, line = key.value, key.start_mark.line + 1
            if name in seen:
                raise LabmillError(
                    f"{self.path}:{line}: {dotted((*path, name))}: found twice, first "
                    f"in line {seen[name]}; each name is allowed once"
                )
            seen[name] = line
            self.lines[dotted((*path, name))] = line
            self._walk(value, (*path, name))

    def where(self, *candidates: Path_) -> str:
        """`file:line: key.path` of the first candidate that stands in the file.

        What an overlay says counts first. A path that is not in the file is shown with
        the line of its nearest parent, and of several the one whose parent is nearest.
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
        while dotted(path) not in self.lines:
            path = path[:-1]
        return path

    def _at(self, line: Path_, path: Path_) -> str:
        return f"{self.path}:{self.lines[dotted(line)]}: {dotted(path) or 'the file'}"


def plain(node: yaml.Node) -> bool:
    """Whether a node by itself is what JSON has too."""
    kind = node.tag.removeprefix(TAG)
    if not isinstance(node, yaml.ScalarNode):
        return kind in ("seq", "map")
    try:
        value = Loader("").construct_object(node)
    except (yaml.YAMLError, ValueError):
        return False
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def dotted(path: Path_) -> str:
    """`("seeds", 0)` as `seeds[0]`, `("data", "test")` as `data.test`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def merged(base: Any, overlay: Any) -> Any:
    """`overlay` laid over `base`: mappings merge, everything else is replaced."""
    if isinstance(base, dict) and isinstance(overlay, dict):
        result = dict(base)
        for key, value in overlay.items():
            result[key] = merged(base[key], value) if key in base else value
        return result
    return overlay
