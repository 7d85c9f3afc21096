"""Write docs/options.md from the schema: `python -m labmill.options FILE`."""

import json
import re
import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from labmill import registry
from labmill.sections import SECTIONS
from labmill.study import Section, Study

HEADER = """# All options of a study file

Generated from `src/labmill/study.py` and the signatures in `src/labmill/models/` and
`src/labmill/data/` by `make options`; a test keeps it true.
"""


def options() -> str:
    """The reference page, as Markdown."""
    sections: list[type[BaseModel]] = []
    collect(Study, sections)
    parts = [HEADER, *(table(section) for section in sections)]
    parts.append(report_sections())
    parts.append("# Models\n\nWritten flat: `model: {name: vit, patch: 4}`.\n")
    parts += [arguments("models", name) for name in registry.names("models")]
    parts.append("# Datasets\n")
    parts += [arguments("data", name) for name in registry.names("data")]
    return "\n".join(parts)


def report_sections() -> str:
    """The names that `report.sections` and `report.text` know, with their headings."""
    lines = [
        "## Sections of a report",
        "",
        "For `report.sections` and `report.text`, in their usual order. Another name under "
        "`report.text` is a section of your own, before `limits`.",
        "",
        "| name | heading |",
        "| --- | --- |",
        *(f"| `{name}` | {heading} |" for name, heading in SECTIONS.items()),
    ]
    return "\n".join([*lines, ""])


def collect(section: type[BaseModel], found: list[type[BaseModel]]) -> None:
    """All sections below one, each once, in the order in which a reader meets them."""
    if section in found:
        return
    found.append(section)
    for field in section.model_fields.values():
        for inner in sections_in(field.annotation):
            collect(inner, found)


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """The section classes inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in sections_in(part)]


def table(section: type[BaseModel]) -> str:
    """One section's heading, docstring and table of fields."""
    lines = [
        f"## {section.__name__}",
        "",
        " ".join((section.__doc__ or "").split()),
        "",
        "| key | type | default | meaning |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in section.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if default is PydanticUndefined:
            shown = "**required**"
        elif isinstance(default, BaseModel):
            shown = f"see [{type(default).__name__}](#{type(default).__name__.lower()})"
        else:
            shown = f"`{json.dumps(default)}`"
        lines.append(
            f"| `{name}` | {cell(type_text(field.annotation))} | {shown} "
            f"| {cell(field.description or '')} |"
        )
    return "\n".join([*lines, ""])


def type_text(annotation: Any) -> str:
    """A type in YAML's words."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(inside[0])
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inside)
    if origin in (Union, UnionType):
        return " or ".join(type_text(part) for part in inside if part is not NoneType)
    if origin is tuple:
        return f"list of {type_text(inside[0])}"
    if origin is dict:
        return f"mapping to {type_text(inside[1])}"
    words = {int: "whole number", float: "number", str: "text", bool: "true/false"}
    if annotation in words:
        return words[annotation]
    if annotation is Any:
        return "anything"
    name = annotation.__name__
    return f"[{name}](#{name.lower()})"


def arguments(kind: str, name: str) -> str:
    """One registered entry: its docstring's first line and its arguments."""
    import ast

    doc = ast.get_docstring(registry.tree(kind, name)) or ""
    first = " ".join(doc.split("\n\n")[0].split())
    lines = [f"## `{name}`", "", first, ""]
    own = [
        a
        for a in registry.arguments(kind, name)
        if a.name not in ("num_classes", "in_channels")
        and not (kind == "models" and a.name == "image_size")
    ]
    if own:
        lines += ["| argument | type | default |", "| --- | --- | --- |"]
    for argument in own:
        default = "**required**" if argument.required else f"`{argument.default!r}`"
        kind_text = re.sub(r"\s+", " ", argument.annotation)
        lines.append(f"| `{argument.name}` | `{cell(kind_text)}` | {cell(default)} |")
    return "\n".join([*lines, ""])


def cell(text: str) -> str:
    """Text that does not break a Markdown table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(options(), encoding="utf-8")
