"""Pareto fronts of accuracy against cost: exact, in two dimensions.

A point is (cost, accuracy): less cost and more accuracy are better. One point dominates
another when it is at least as good in both and better in one; equal points do not
dominate each other, so all are on a front or none is.
"""

from collections.abc import Sequence

import numpy as np

Values = Sequence[float] | np.ndarray


def front(costs: Values, accuracies: Values) -> np.ndarray:
    """Return which points are not dominated: bool (n,). NaN is never on the front.

    Sorts by cost, then goes once through all: n log n.
    """
    cost, accuracy = np.asarray(costs, float), np.asarray(accuracies, float)
    kept = np.zeros(len(cost), bool)
    best, best_cost = -np.inf, np.inf
    for i in np.lexsort((-accuracy, cost)):
        if np.isnan(cost[i]) or np.isnan(accuracy[i]):
            continue
        if accuracy[i] > best:
            best, best_cost = accuracy[i], cost[i]
            kept[i] = True
        elif accuracy[i] == best and cost[i] == best_cost:
            kept[i] = True
    return kept


def knee(costs: Sequence[float], accuracies: Sequence[float]) -> np.ndarray:
    """Return the height of each front point above the line between the ends, (n,).

    Both axes are scaled to 0..1 over the front (Satopää et al., 2011, "Kneedle");
    points that are not on the front have -inf. The knee is the highest.
    """
    cost, accuracy = np.asarray(costs, float), np.asarray(accuracies, float)
    on = front(cost, accuracy)
    height = np.full(len(cost), -np.inf)
    if on.any():
        height[on] = scaled(accuracy[on]) - scaled(cost[on])
    return height


def scaled(values: np.ndarray) -> np.ndarray:
    """Scale values to 0..1; zeros if all are equal."""
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.zeros(len(values))
