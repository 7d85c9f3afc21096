"""Which classes a study keeps. Pure Python: checked before anything runs."""

from collections.abc import Sequence

from labmill.core.errors import LabmillError, suggest


def resolve_classes(
    names: Sequence[str],
    classes: Sequence[str | int] | None = None,
    roll_number: str | int | None = None,
) -> list[int]:
    """Return indices into `names` of the classes kept, in the order of new labels.

    `classes` are names or indices. An odd last digit of `roll_number` keeps the even
    classes, an even one the odd classes.
    """
    if classes is not None and roll_number is not None:
        raise LabmillError(
            "found both classes and roll_number; each chooses the classes, "
            "keep one of them"
        )
    if roll_number is not None:
        kept = classes_of_roll_number(len(names), str(roll_number))
    elif classes is not None:
        kept = [class_index(names, item) for item in classes]
    else:
        kept = list(range(len(names)))
    for position, index in enumerate(kept):
        if index in kept[:position]:
            raise LabmillError(f"class {names[index]!r} is listed twice")
    if len(kept) < 2:
        raise LabmillError(
            f"found {len(kept)} class(es); a study needs at least 2 "
            f"of: {', '.join(names)}"
        )
    return kept


def classes_of_roll_number(count: int, roll_number: str) -> list[int]:
    """Return the even indices below `count` for an odd last digit, else the odd ones."""
    digits = [letter for letter in roll_number if letter in "0123456789"]
    if not digits:
        raise LabmillError(
            f"roll number {roll_number!r} has no digit; its last digit decides: "
            "odd keeps the even classes, even the odd classes"
        )
    odd = int(digits[-1]) % 2 == 1
    return list(range(0 if odd else 1, count, 2))


def class_index(names: Sequence[str], item: str | int) -> int:
    """Return the index of a class given by name or by index."""
    if isinstance(item, str):
        if item not in names:
            raise LabmillError(f"found the class {item!r}; {suggest(item, names)}")
        return list(names).index(item)
    if isinstance(item, bool) or not 0 <= item < len(names):
        raise LabmillError(
            f"found the class {item!r}; an index is 0 to {len(names) - 1}, "
            f"a name one of: {', '.join(names)}"
        )
    return item
