"""`python benchmarks/error_rates.py`: simulate the comparisons' error rates.

Writes docs/statistics.md. `--quick` simulates few repetitions and prints the headline
numbers only.
"""

import argparse
import platform
import time
from collections.abc import Callable

import numpy as np
from error_layouts import EQUAL, Layout, power_layouts
from error_methods import ALPHA, ALTERNATIVES, METHODS, Outcome, pairs
from error_page import PAGE, page
from error_rows import Alternative, Rates, stress
from error_studies import Verdicts, image_coverage, single_values, verdict_rates
from numpy.typing import NDArray

SEEDS = (3, 5, 8, 10)
ALTERNATIVE_SEEDS = (3, 5)
# Layouts for the comparison of alternatives: those where some rule does badly.
HARD = (1, 2, 3, 5, 6, 13, 18, 22, 23, 25, 29, 32, 33, 35)
Rule = Callable[[NDArray[np.float64]], Outcome]


def family_errors(
    layout: Layout, n: int, repeats: int, rules: dict[str, Rule]
) -> Rates:
    """Simulate equal means: any pair shown is a false alarm."""
    values = _draw(layout, n, repeats)
    percent, coverage = {}, {}
    for name, rule in rules.items():
        outcome = rule(values)
        percent[name] = 100 * float(outcome.shown.any(axis=1).mean())
        if outcome.own is not None:
            inside = (outcome.own > ALPHA).mean(axis=0)
            coverage[name] = 100 * float(inside.min())
    return Rates(layout, n, repeats, percent, coverage)


def powers(layout: Layout, n: int, repeats: int, rules: dict[str, Rule]) -> Rates:
    """Simulate a true difference: how often is the layout's pair shown?"""
    values = _draw(layout, n, repeats)
    i, j = pairs(len(layout.sds))
    column = int(np.flatnonzero((i == layout.pair[0]) & (j == layout.pair[1]))[0])
    percent = {
        name: 100 * float(rule(values).shown[:, column].mean())
        for name, rule in rules.items()
    }
    return Rates(layout, n, repeats, percent, {})


def _draw(layout: Layout, n: int, repeats: int) -> NDArray[np.float64]:
    generator = np.random.default_rng([n, *layout.name.encode()])
    return layout.draw(generator, repeats, n)


def alternatives(repeats: int) -> list[Alternative]:
    """Simulate what was tried: worst layouts and power of each variant of the rule."""
    found = []
    for name, rule in ALTERNATIVES.items():
        worst, where, power = {}, {}, {}
        for n in ALTERNATIVE_SEEDS:
            rates = {
                layout.name: family_errors(layout, n, repeats, {name: rule}).percent
                for layout in (EQUAL[i] for i in HARD)
            }
            where[n] = max(rates, key=lambda key: rates[key][name])
            worst[n] = rates[where[n]][name]
            power[n] = [
                powers(layout, n, repeats, {name: rule}).percent[name]
                for layout in _alternative_layouts(n)
            ]
        found.append(Alternative(name, worst, where, power))
    return found


def _alternative_layouts(n: int) -> list[Layout]:
    """Return layouts of power: equal, seed effect, lead, outliers."""
    layouts = power_layouts(n)
    return [layouts[i] for i in (2, 5, 6, 7, 10, 11)]


def main() -> None:
    """Run the simulation and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repetitions, no page")
    parser.add_argument("--repeats", type=int, default=5000)
    quick = parser.parse_args().quick
    repeats = 500 if quick else parser.parse_args().repeats
    start = time.perf_counter()
    equal = [
        family_errors(layout, n, repeats, METHODS) for n in SEEDS for layout in EQUAL
    ]
    power = [
        powers(layout, n, repeats, METHODS)
        for n in SEEDS
        for layout in power_layouts(n)
    ]
    for n in SEEDS:
        rates = [r for r in equal if r.n == n and not stress(r.layout)]
        worst = max(rates, key=lambda r: r.percent["labmill"])
        covered = min(r.coverage["labmill"] for r in rates)
        print(
            f"{n} seeds: family error at most {worst.percent['labmill']:.1f} % "
            f"({worst.layout.name}); coverage at least {covered:.1f} %"
        )
        for r in power:
            if r.n == n:
                numbers = ", ".join(f"{k} {v:.0f}" for k, v in r.percent.items())
                print(f"   power, {r.layout.name}: {numbers}")
    if quick:
        return
    tried = alternatives(max(500, repeats // 2))
    verdicts: list[Verdicts] = verdict_rates(400)
    images, singles = image_coverage(300), single_values(100_000)
    seconds = time.perf_counter() - start
    text = page(equal, power, tried, verdicts, images, singles, seconds=seconds)
    PAGE.write_text(text, encoding="utf-8")
    print(f"{PAGE.name}: {seconds:.0f} seconds, {platform.python_version()}")


if __name__ == "__main__":
    main()
