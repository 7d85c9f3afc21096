"""`variants: {matrix: …}`: every combination of some settings is a variant.

Each factor becomes a question too, unless `compare` has one of its name.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from labmill.core.errors import shown
from labmill.core.trees import merge, nest
from labmill.study.yaml_source import Path_, YamlSource, dotted

MATRIX = "matrix"
AT: Path_ = ("variants", MATRIX)
MOST = 200


def expand_matrix(source: YamlSource, scale: str) -> dict[str, Any]:
    """Return the study's mapping with the variants and questions of its matrix.

    An overlay may have a matrix: its lists replace those of the study.

    Raises:
        LabmillError: a key is no setting, or part of another, or a value no plain one.
    """
    data = source.data
    variants = data.get("variants")
    matrix = variants.get(MATRIX) if isinstance(variants, dict) else None
    if not is_matrix(matrix):
        return data
    assert isinstance(variants, dict) and isinstance(matrix, dict)
    overlay = data.get(scale)
    if isinstance(overlay, dict) and isinstance(overlay.get("variants"), dict):
        changed = overlay["variants"].get(MATRIX, {})
        if not isinstance(changed, dict):
            source.fail(
                f"found {shown(changed)}; expected lists of values by setting",
                (scale, *AT),
            )
        matrix = merge(matrix, changed)
        rest = {k: v for k, v in overlay["variants"].items() if k != MATRIX}
        data = data | {scale: overlay | {"variants": rest}}
    check(matrix, source)
    names = {key: name for key, name in zip(matrix, factors(matrix), strict=True)}
    made = {
        variant_name(names, point): variant(names, point) for point in points(matrix)
    }
    for key in matrix:
        if (line := source.lines.get(dotted((*AT, key)))) is None:
            continue
        for name in made:
            source.lines.setdefault(f"variants.{name}.{key}", line)
    declared = {key: value for key, value in variants.items() if key != MATRIX}
    asked = data.get("compare")
    if asked is None or isinstance(asked, dict):
        data = data | {"compare": questions(names, matrix) | (asked or {})}
    return data | {"variants": merge(made, declared)}


def is_matrix(value: Any) -> bool:
    """Return True for a mapping from dotted settings: a variant has other keys."""
    return isinstance(value, dict) and any("." in str(key) for key in value)


def check(matrix: Mapping[str, Any], source: YamlSource) -> None:
    """Check that a matrix varies settings, over lists of values."""
    size = 1
    for key, values in matrix.items():
        for mistake in wrong_keys(key, matrix):
            source.fail(mistake, (*AT, key))
        if not isinstance(values, list) or not values:
            source.fail(f"found {shown(values)}; expected a list of values", (*AT, key))
        if any(isinstance(value, dict | list) for value in values):
            source.fail(
                "a value is a list or mapping; write such variants one by one",
                (*AT, key),
            )
        size *= len(values)
    if size > MOST:
        source.fail(f"{size:,} combinations; at most {MOST} are allowed", AT)


def wrong_keys(key: str, matrix: Iterable[str]) -> Iterator[str]:
    """Yield why a key of a matrix, of variants or of a search, is no setting alone."""
    if key.split(".")[0] not in ("model", "training") or "." not in key:
        yield (
            f"found {shown(key)}; a setting is written model.<argument> or "
            "training.<option>"
        )
    for other in matrix:
        if other.startswith(f"{key}."):
            yield f"{other} is a part of it, and one would replace the other; vary one"


def factors(matrix: Mapping[str, Any]) -> list[str]:
    """Return a short name of each setting: its last word, where that is unique."""
    last = [key.rpartition(".")[2] for key in matrix]
    return [
        name if last.count(name) == 1 else key.replace(".", "_")
        for key, name in zip(matrix, last, strict=True)
    ]


def points(matrix: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every combination: setting → value."""
    for values in itertools.product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def variant_name(names: Mapping[str, str], point: Mapping[str, Any]) -> str:
    """Return a name made of the values, with the setting before a number."""
    words = [
        str(value) if isinstance(value, str) else f"{names[key]} {value}"
        for key, value in point.items()
    ]
    text = " ".join(words).lower()
    text = re.sub(r"(?<=\d)[.-](?=\d)|-(?=\d)", "p", text)
    return re.sub(r"[^a-z0-9]+", "_", text).strip("_")


def variant(names: Mapping[str, str], point: Mapping[str, Any]) -> dict[str, Any]:
    """Return a variant as a study would declare it."""
    words = [
        str(value) if isinstance(value, str) else f"{in_words(names[key])} {value}"
        for key, value in point.items()
    ]
    label = ", ".join(words)
    found = {names[key]: value for key, value in point.items()}
    return nest(point) | {"label": label, "factors": found}


def in_words(name: str) -> str:
    """Return a setting's name for a label."""
    return name.replace("_", " ")


def questions(
    names: Mapping[str, str], matrix: Mapping[str, list[Any]]
) -> dict[str, Any]:
    """Return a question for each factor: its values, with the others held equal."""
    found = {}
    for factor, values in matrix.items():
        if len(values) < 2:
            continue
        others = {key: value for key, value in matrix.items() if key != factor}
        levels = {
            str(value): [
                variant_name(
                    names, {key: (point | {factor: value})[key] for key in matrix}
                )
                for point in points(others)
            ]
            for value in values
        }
        question = f"What does the {in_words(names[factor])} change?"
        found[names[factor]] = {"question": question, "levels": levels}
    return found
