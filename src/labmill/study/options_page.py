"""Write docs/options.md from the schema: `labmill options FILE`."""

import ast
import json
import re
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from labmill.core import registry
from labmill.study.check_models import DATASETS, MODELS, hidden
from labmill.study.check_training import FUSED
from labmill.study.schema import Section, Study

HEADER = """# All options of a study file

Generated from `src/labmill/study/schema/` and the signatures in `src/labmill/models/` and
`src/labmill/data/datasets/` by `make options`; a test keeps it true.
"""

OPTIMIZERS = """# Optimizers

`sgd`, `adam`, `adamw` and `muon` have their options among the keys of `training`. Those of
`torch.optim` get `betas` and `weight_decay` from there, and have these
`optimizer_arguments`. They take three seconds longer to import in every job, and their
steps are not compiled.

| optimizer | options and their defaults |
| --- | --- |"""


def options() -> str:
    """Return the reference page as Markdown."""
    sections: list[type[BaseModel]] = []
    collect(Study, sections)
    parts = [HEADER, *(table(section) for section in sections)]
    parts.append(report_sections())
    parts.append("# Models\n\nWritten flat: `model: {name: vit, patch: 4}`.\n")
    parts += [arguments(MODELS, name) for name in registry.names(MODELS)]
    words = ast.get_docstring(registry.tree(MODELS, "layer_list")) or ""
    parts.append(f"## Lines under `layers`\n\n```text\n{words}\n```\n")
    parts.append(optimizers())
    for kind, heading in (
        ("losses", "# Losses\n"),
        ("augmentations", "# Augmentations\n\nKeys of `training.augmentation`."),
        ("metrics", "# Metrics\n\nFor `metrics:`, computed from stored predictions."),
    ):
        parts.append(f"{heading.rstrip()}\n")
        parts += [arguments(kind, name) for name in registry.names(kind)]
    parts.append("# Datasets\n")
    parts += [arguments(DATASETS, name) for name in registry.names(DATASETS)]
    return "\n".join(parts)


def optimizers() -> str:
    """Return the optimizers of torch, with what can be set."""
    lines = [OPTIMIZERS]
    for name in sorted({*registry.names("optimizers")} - {*FUSED}):
        taken = registry.arguments("optimizers", name)
        shown = [
            f"`{one.name}`: {one.default}"
            for one in taken
            if one.name not in hidden("optimizers", name)
        ]
        lines.append(f"| `{name}` | {', '.join(shown)} |")
    return "\n".join([*lines, ""])


def report_sections() -> str:
    """Return the names for `report.sections` and `report.text`, with their headings."""
    lines = [
        "## Sections of a report",
        "",
        "For `report.sections` and `report.text`, in their usual order. Another name under "
        "`report.text` is a section of your own, before `limits`.",
        "",
        "| name | heading |",
        "| --- | --- |",
        *(f"| `{name}` | {heading} |" for name, heading in registry.sections().items()),
    ]
    return "\n".join([*lines, ""])


def collect(section: type[BaseModel], found: list[type[BaseModel]]) -> None:
    """Collect all sections below one, each once, in the reader's order."""
    if section in found:
        return
    found.append(section)
    for field in section.model_fields.values():
        for inner in sections_in(field.annotation):
            collect(inner, found)


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the section classes inside a type."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [inner for part in get_args(annotation) for inner in sections_in(part)]


def table(section: type[BaseModel]) -> str:
    """Return one section's heading, docstring and table of fields."""
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
    """Return a type in YAML's words."""
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
    """Return one registered entry: its docstring and its arguments."""
    paragraphs = (ast.get_docstring(registry.tree(kind, name)) or "").split("\n\n")
    shown = paragraphs[:1] if kind == MODELS else paragraphs
    lines = [f"## `{name}`", ""]
    for paragraph in shown:
        lines += [" ".join(paragraph.split()), ""]
    meanings = argument_meanings(kind, name)
    own = [
        argument
        for argument in registry.arguments(kind, name)
        if argument.name not in hidden(kind, name)
    ]
    if own:
        lines += [
            "| argument | type | default | meaning |",
            "| --- | --- | --- | --- |",
        ]
    for argument in own:
        default = "**required**" if argument.required else f"`{argument.default!r}`"
        kind_text = re.sub(r"\s+", " ", argument.annotation)
        meaning = meanings.get(argument.name, "")
        lines.append(
            f"| `{argument.name}` | `{cell(kind_text)}` | {cell(default)} "
            f"| {cell(meaning[:1].upper() + meaning[1:])} |"
        )
    return "\n".join([*lines, ""])


def argument_meanings(kind: str, name: str) -> dict[str, str]:
    """Return the arguments' descriptions, from the `Args:` of the entry's function."""
    function = registry.entry_point(kind, name)
    assert isinstance(function, ast.FunctionDef | ast.ClassDef)
    block = (ast.get_docstring(function) or "").partition("\nArgs:\n")[2]
    block = re.split(r"\n(?=\S)", block)[0]
    items = re.split(r"^ {4}(\w+): ", block, flags=re.MULTILINE)[1:]
    return {
        key: " ".join(text.split())
        for key, text in zip(items[::2], items[1::2], strict=True)
    }


def cell(text: str) -> str:
    """Return text that does not break a Markdown table."""
    return text.replace("|", "\\|")
