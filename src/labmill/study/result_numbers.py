"""Numbers in the author's words: `{{ result("vit", "test_accuracy") }}`."""

import ast
import re
from collections.abc import Callable, Iterator

from labmill.core.errors import LabmillError, shown
from labmill.core.trees import JsonObject
from labmill.study.yaml_source import Path_

BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)
CALL = re.compile(r"\s*result\s*\((.*)\)\s*", re.DOTALL)
EXAMPLE = '{{ result("vit", "test_accuracy") }}'


def marked_texts(study: JsonObject) -> dict[Path_, str]:
    """Return the author's texts in Markdown, by key path; empty ones left out."""
    texts: dict[Path_, str] = {("question",): study["question"]}
    for name, text in study["report"]["text"].items():
        texts["report", "text", name] = text
    return {at: text for at, text in texts.items() if text.strip()}


def results_in(text: str) -> Iterator[tuple[str, str]]:
    """Yield variant and metric of every number in a text.

    Raises:
        ValueError: a call is not of that form. Other braces are text.
    """
    for inside in BRACES.findall(text):
        if found := arguments(inside):
            yield found


def fill_results(text: str, number: Callable[[str, str], str], where: str) -> str:
    """Return a text with its numbers.

    Args:
        text: Markdown.
        number: returns the number of a variant and a metric.
        where: names the text in messages.
    """

    def filled(braces: re.Match[str]) -> str:
        found = arguments(braces[1])
        return number(*found) if found else braces[0]

    try:
        return BRACES.sub(filled, text)
    except ValueError as error:
        raise LabmillError(f"{where}: {error}") from None


def arguments(inside: str) -> tuple[str, str] | None:
    """Return variant and metric of the call between braces; None where there is none."""
    if "(" not in inside and not re.match(r"\s*result\b", inside):
        return None
    try:
        called = CALL.fullmatch(inside)
        variant, metric = ast.literal_eval(f"({called[1]},)" if called else "()")
        if not (isinstance(variant, str) and isinstance(metric, str)):
            raise ValueError
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        raise ValueError(
            f"found {shown(inside.strip())[1:-1]}; a number is written {EXAMPLE}"
        ) from None
    return variant, metric
