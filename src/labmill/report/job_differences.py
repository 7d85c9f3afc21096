"""Do the numbers of one table come from the same code, libraries and device?"""

from collections.abc import Iterable
from typing import Any

from labmill.report.runs import Run

# Jobs that are compared with each other: a network is trained by one, pruned by another.
KINDS = {"model": "training", "metrics": "evaluation", "measure": "measurement"}

# The libraries whose version can change a number.
NUMERIC = {"torch", "torchvision", "numpy", "scipy"}


def mixed(rows: Iterable[Run]) -> list[str]:
    """One sentence per way in which the jobs behind the rows fall apart; else [].

    Compared among the jobs of one kind: the fingerprint of each module that two jobs
    share (variants use different models, which is no mixture), versions of libraries,
    processor and device.
    """
    found: dict[tuple[str, str, str], dict[str, list[str]]] = {}
    for row in rows:
        for kind, made in row.provenance.items():
            who = (
                f"{row.cells['variant']} seed {row.cells['seed']} {row.cells['stage']}"
            )
            for aspect, name, value in facts(made):
                values = found.setdefault((kind, aspect, name), {})
                values.setdefault(value, []).append(who)
    # What parts the jobs in the same way is told together.
    shares: dict[tuple[str, tuple[tuple[str, ...], ...]], list[str]] = {}
    for (kind, aspect, name), values in found.items():
        if len(values) > 1 and kind in KINDS:
            counts = sorted(values.items(), key=lambda one: (-len(one[1]), one[0]))
            what = f"code of {name}" if aspect == "code" else name
            told = f"{what} ({', '.join(value for value, _ in counts)})"
            parts = tuple(tuple(who) for _, who in counts)
            shares.setdefault((kind, parts), []).append(told)
    return [sentence(kind, what, parts) for (kind, parts), what in shares.items()]


def facts(made: dict[str, Any]) -> Iterable[tuple[str, str, str]]:
    """(aspect, name, value) of one job's provenance."""
    versions = made.get("versions", {})
    for name, value in made.get("code", {}).items():
        if name not in versions:
            yield "code", name, value
    for name in sorted(NUMERIC & versions.keys()):
        yield "library", name, versions[name]
    yield "device", "device", str(made.get("device"))
    yield "device", "processor", str(made.get("machine", {}).get("processor"))


def sentence(kind: str, what: list[str], parts: tuple[tuple[str, ...], ...]) -> str:
    """Return what differs, and between which jobs; the rarer ones are named."""
    groups = [
        f"{len(who)} jobs"
        + (f" ({', '.join(who[:3])}{', …' if len(who) > 3 else ''})" if n else "")
        for n, who in enumerate(parts)
    ]
    return f"Mixed {KINDS[kind]} jobs: {', '.join(what)} between {', '.join(groups)}."
