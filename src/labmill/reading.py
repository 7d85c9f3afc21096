"""A study file as text: YAML without duplicate keys, with the line of every key."""

import re
from pathlib import Path
from typing import Any

import yaml

from labmill.errors import LabmillError

Path_ = tuple[str | int, ...]


class Loader(yaml.SafeLoader):
    """YAML where `1e-4` is a number, as in YAML 1.2, and dates stay text."""


Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern)
        for tag, pattern in resolvers
        if tag not in ("tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"""^(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?(?:[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)
        |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$""",
        re.X,
    ),
    list("-+0123456789."),
)


class Source:
    """A parsed YAML file that knows the line of every key.

    Attributes:
        path: the file.
        data: its content, a mapping.
        lines: key path → line number, from 1.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.lines: dict[Path_, int] = {}
        node = self._compose()
        if not isinstance(node, yaml.MappingNode):
            raise LabmillError(
                f"{self.path}: found {'nothing' if node is None else 'no mapping'}; "
                "a study file is a mapping of keys such as `title:` and `variants:`"
            )
        self._walk(node, ())
        self.data: dict[str, Any] = Loader("").construct_document(node)

    def _compose(self) -> yaml.Node | None:
        if self.path.is_dir():
            raise LabmillError(f"{self.path}: found a folder; expected a YAML file")
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise LabmillError(f"{self.path}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise LabmillError(f"{self.path}: cannot be read: {error}") from None
        try:
            return yaml.compose(text, Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
            raise LabmillError(
                f"{self.path}{line}: unreadable YAML: {error.problem}"
            ) from None
        except yaml.YAMLError as error:
            raise LabmillError(f"{self.path}: unreadable YAML: {error}") from None

    def _walk(self, node: yaml.Node, path: Path_) -> None:
        self.lines.setdefault(path, node.start_mark.line + 1)
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
            self._walk(value, (*path, name))
            self.lines[(*path, name)] = line

    def where(self, *candidates: Path_) -> str:
        """`file:line: key.path` of the first candidate that stands in the file.

        A path that is not in the file is shown with the line of its nearest parent.
        """
        for path in candidates:
            if path in self.lines:
                return f"{self.path}:{self.lines[path]}: {dotted(path)}"
        path = candidates[-1]
        parent = path
        while parent not in self.lines:
            parent = parent[:-1]
        return f"{self.path}:{self.lines[parent]}: {dotted(path) or 'the file'}"


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
