"""Questions whose levels are asked at several label counts, as claim and figure see them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labmill.study.metrics import metrics_of


@dataclass(frozen=True)
class Sweep:
    """One question of `compare`, its variants in the order of their label counts.

    Attributes:
        name: the question's key.
        labels: label counts, rising; None is all labels of the training part.
        levels: level → its variant at each label count; the first is the reference.
    """

    name: str
    labels: tuple[int | None, ...]
    levels: dict[str, tuple[str, ...]]


def sweeps(study: Mapping[str, Any]) -> list[Sweep]:
    """Return the questions in which only the label count differs from place to place.

    study: the resolved study. The n-th variants of all levels have one label count, and
    no two places the same.
    """
    found = []
    for name, question in study["compare"].items():
        levels = question["levels"]
        places = list(zip(*levels.values(), strict=True))
        counts = [{labels_of(study, variant) for variant in row} for row in places]
        labels = [next(iter(one)) for one in counts if len(one) == 1]
        if (
            "test_accuracy" not in metrics_of(question["metric"])
            or len(labels) < max(2, len(places))
            or len(set(labels)) < len(labels)
        ):
            continue
        order = sorted(range(len(labels)), key=lambda i: labels[i] or float("inf"))
        found.append(
            Sweep(
                name,
                tuple(labels[i] for i in order),
                {level: tuple(v[i] for i in order) for level, v in levels.items()},
            )
        )
    return found


def labels_of(study: Mapping[str, Any], variant: str) -> int | None:
    """Return a variant's label budget."""
    shared = study["defaults"]["training"]["labels"]
    return study["variants"][variant]["training"].get("labels", shared)
