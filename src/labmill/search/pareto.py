"""Pareto fronts of accuracy against cost: exact, in two dimensions.

A point is (cost, accuracy): less cost and more accuracy are better. One point dominates
another when it is at least as good in both and better in one; equal points do not
dominate each other, so all of them are on a front or none is.
"""

from collections.abc import Sequence

import numpy as np


def front(costs: Sequence[float], accuracies: Sequence[float]) -> np.ndarray:
    """Which points nothing dominates: bool (n,). NaN in either is never on the front.

    Sorts by cost, then walks once: n log n.
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


def membership(costs: np.ndarray, accuracies: np.ndarray) -> np.ndarray:
    """How often each point is on the front, one seed of all points at a time: (n,).

    costs, accuracies: (n, seeds). With points whose seeds are paired, the share is over
    the seeds; it is the probability that a single repetition puts a point on the front.
    """
    costs, accuracies = np.atleast_2d(costs), np.atleast_2d(accuracies)
    fronts = [front(c, a) for c, a in zip(costs.T, accuracies.T, strict=True)]
    return np.mean(fronts, axis=0)


def knee(costs: Sequence[float], accuracies: Sequence[float]) -> np.ndarray:
    """Height of each front point above the line between the front's ends, (n,).

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
    """To 0..1; zeros where all are equal."""
    span = np.ptp(values)
    return (values - values.min()) / span if span else np.zeros(len(values))
