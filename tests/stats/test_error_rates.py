"""Error rates by simulation, and that the simulated rule is the one in use."""

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from labmill.stats.contrasts import compare
from labmill.stats.layout import Layout

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from error_layouts import EQUAL, power_layouts
from error_methods import METHODS, labmill, tukey
from error_rates import family_errors, powers
from error_rows import stress

REPEATS = 1000
RULES = {name: METHODS[name] for name in ("labmill", "Tukey")}


@pytest.mark.parametrize("seeds", ["auto", "independent", "shared"])
def test_the_simulated_rule_is_the_one_in_use(seeds) -> None:
    generator = np.random.default_rng(0)
    for k, n in ((2, 3), (4, 3), (7, 5), (9, 4)):
        sds = np.exp(generator.normal(0, 1.2, (20, k, 1)))
        values = generator.standard_normal((20, k, n)) * sds
        values += generator.normal(0, 3, (20, k, 1)) + generator.normal(
            0, 1, (20, 1, n)
        )
        outcome = labmill(values, seeds=seeds)
        for rows, shown, own in zip(values, outcome.shown, outcome.own, strict=True):
            family = compare(Layout.of_rows(rows, seeds))
            assert [r.shown for r in family.results] == shown.tolist()
            assert [r.p for r in family.results] == pytest.approx(own.tolist())


def test_the_simulated_tukey_is_scipys() -> None:
    values = np.random.default_rng(1).normal(size=(5, 4, 3)) * 3
    values[:, 0] += 8
    residuals = values - values.mean(2, keepdims=True) - values.mean(1, keepdims=True)
    residuals += values.mean((1, 2), keepdims=True)
    for rows, rest, shown in zip(values, residuals, tukey(values).shown, strict=True):
        error = ((rest**2).sum() / 6 / 3) ** 0.5
        gaps = [
            abs(rows[i].mean() - rows[j].mean())
            for i in range(4)
            for j in range(i + 1, 4)
        ]
        p = stats.studentized_range.sf(np.array(gaps) / error, 4, 6)
        assert shown.tolist() == (p <= 0.05).tolist()


@pytest.mark.parametrize(("n", "most"), [(3, 7.5), (5, 7.5), (8, 6.0)])
def test_family_error_and_coverage(n, most) -> None:
    """Slack: 4 Monte Carlo standard errors of 1,000 repetitions."""
    for layout in EQUAL[::2]:
        if stress(layout) or len(layout.sds) > 11:
            continue
        rates = family_errors(layout, n, REPEATS, {"labmill": labmill})
        slack = 400 * (0.07 * 0.93 / REPEATS) ** 0.5
        assert rates.percent["labmill"] <= most + slack, layout.name
        assert rates.coverage["labmill"] >= 93 - slack, layout.name


@pytest.mark.parametrize(("n", "ratio", "lead"), [(3, 0.75, 55), (5, 0.95, 98)])
def test_power(n, ratio, lead) -> None:
    layouts = power_layouts(n)
    equal = powers(layouts[2], n, 4000, RULES).percent
    assert equal["labmill"] >= ratio * equal["Tukey"] - 4
    assert powers(layouts[7], n, REPEATS, RULES).percent["labmill"] >= lead - 4
