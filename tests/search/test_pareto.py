"""Fronts against the definition."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labmill.search.pareto import front, knee

# Few different values, so that ties are common.
POINTS = st.lists(
    st.tuples(st.sampled_from([0.0, 1.0, 2.0, 3.0]), st.sampled_from([0.1, 0.2, 0.3])),
    max_size=12,
)


def dominated(point, others):
    return any(c <= point[0] and a >= point[1] and (c, a) != point for c, a in others)


@given(POINTS)
def test_front_is_what_nothing_dominates(points):
    costs, accuracies = [p[0] for p in points], [p[1] for p in points]
    expected = [not dominated(point, points) for point in points]
    assert front(costs, accuracies).tolist() == expected


@given(POINTS, st.randoms())
def test_front_does_not_depend_on_the_order(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    kept = front([p[0] for p in points], [p[1] for p in points])
    shuffled = front([points[i][0] for i in order], [points[i][1] for i in order])
    assert shuffled.tolist() == kept[order].tolist()


def test_nan_is_never_on_the_front():
    assert front([1, np.nan, 0.5], [0.9, 0.99, np.nan]).tolist() == [True, False, False]


def test_knee_of_a_bent_front():
    costs, accuracies = [1, 2, 3, 10, 4], [0.5, 0.8, 0.82, 0.9, 0.7]
    heights = knee(costs, accuracies)
    assert heights.argmax() == 1
    assert heights[4] == -np.inf
    assert heights[0] == heights[3] == pytest.approx(0)
