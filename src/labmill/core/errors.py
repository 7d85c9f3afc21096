"""Mistakes that a user can correct, each as one message."""

import difflib
import unicodedata
from collections.abc import Iterable

# Usual words of other libraries, and what they are called here.
SPELLINGS = {
    "lr": "learning_rate",
    "rate": "learning_rate",
    "bs": "batch_size",
    "batch": "batch_size",
    "wd": "weight_decay",
    "init": "initialisation",
    "clip": "gradient_clip",
    "scheduler": "schedule",
    "patch_size": "patch",
    "embed_dim": "dim",
    "num_heads": "heads",
    "acc": "test_accuracy",
    "accuracy": "test_accuracy",
    "loss": "test_loss",
    "cifar": "cifar10",
}
# A message shows that many characters of a value, and that many allowed names.
LONGEST = 80
MOST_NAMES = 40
# Control characters, formats such as text direction, halves of surrogates.
HIDDEN = ("Cc", "Cf", "Cs")


class LabmillError(Exception):
    """A mistake the user can correct: where it is, what was found, what is allowed."""


def shown(value: object) -> str:
    """Return a value for a message; cut where it is long.

    >>> shown("x" * 100)[-5:]
    "xxx…'"
    """
    text = repr(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]}…{text[-1]}"


def suggest(found: object, allowed: Iterable[object]) -> str:
    """Return the allowed values as a sentence, the nearest to `found` first.

    >>> suggest("adm", ["sgd", "adam"])
    "did you mean 'adam'? allowed: adam, sgd"
    """
    names = sorted(str(value) for value in allowed)
    near = nearest(str(found), names)
    hint = f"did you mean {near!r}? " if near else ""
    listed = ", ".join(map(cut, names[:MOST_NAMES]))
    more = len(names) - MOST_NAMES
    return f"{hint}allowed: {listed or 'nothing'}{f' and {more} more' * (more > 0)}"


def nearest(found: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that `found` most likely means, or None.

    >>> nearest("Fashion-MNIST", ["mnist", "fashion_mnist"])
    'fashion_mnist'
    """
    names = list(allowed)
    close = difflib.get_close_matches(found[:LONGEST], names, n=1, cutoff=0.5)
    return same_word(found, names) or (close[0] if close else None)


def same_word(found: str, allowed: Iterable[str]) -> str | None:
    """Return the allowed name that `found` spells in another way, or None."""
    names = list(allowed)
    usual = SPELLINGS.get(found.lower())
    same = (name for name in names if letters(name) == letters(found))
    return next(same, usual if usual in names else None)


def letters(name: str) -> str:
    """Return a name without what spellings differ in: case, hyphens, underscores."""
    return "".join(character for character in name.lower() if character.isalnum())


def cut(name: str) -> str:
    """Return a name, shortened where it is long."""
    return name if len(name) <= LONGEST else f"{name[:LONGEST]}…"


def printable(text: object) -> str:
    r"""Return text in which control and formatting characters are written out.

    What a terminal takes for a command (`ESC [ 2 J`) is shown as `\x1b[2J`.
    """
    return "".join(
        char
        if char == "\n" or unicodedata.category(char) not in HIDDEN
        else char.encode("unicode_escape").decode()
        for char in str(text)
    )
