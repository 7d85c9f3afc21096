"""What `error_rates.py` computes and `error_page.py` prints."""

from dataclasses import dataclass

from error_layouts import Layout

# Layouts outside the model: not counted in the headline's largest family error.
STRESS = ("exponential, 5", "dead runs")


@dataclass(frozen=True)
class Rates:
    """Simulated percentages of one layout and number of seeds.

    Attributes:
        layout: what was simulated.
        n: number of seeds.
        repeats: number of repetitions.
        percent: method → family error, or power of the layout's pair.
        coverage: method → coverage of the worst pair's own 95 % interval.
    """

    layout: Layout
    n: int
    repeats: int
    percent: dict[str, float]
    coverage: dict[str, float]


def stress(layout: Layout) -> bool:
    """Return whether a layout is outside the model on purpose."""
    return layout.name.startswith(STRESS)


@dataclass(frozen=True)
class Alternative:
    """One variant of the rule: its worst family error and its power, by seeds."""

    name: str
    worst: dict[int, float]
    worst_layout: dict[int, str]
    power: dict[int, list[float]]
