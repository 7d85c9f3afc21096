"""What a user can do wrong, said in one message."""

import difflib
from collections.abc import Iterable


class LabmillError(Exception):
    """A mistake the user can mend: where it is, what was found, what is allowed."""


def suggest(found: object, allowed: Iterable[object]) -> str:
    """The allowed values as a sentence, the nearest one to `found` first.

    >>> suggest("adm", ["sgd", "adam"])
    "did you mean 'adam'? allowed: adam, sgd"
    """
    names = sorted(str(value) for value in allowed)
    nearest = difflib.get_close_matches(str(found), names, n=1, cutoff=0.5)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return f"{hint}allowed: {', '.join(names) or 'nothing'}"
