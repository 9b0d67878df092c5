"""Screening of columns."""

from __future__ import annotations

import numpy as np

from pefuse.models.screening import screen_columns


def test_the_columns_that_differ_between_the_outcomes_stay_in_their_order():
    rng = np.random.default_rng(0)
    labels = np.repeat([1.0, 0.0], [20, 180])
    values = rng.normal(size=(200, 30))
    values[:, 21] += 3 * labels
    values[:, 4] -= 2 * labels

    assert screen_columns(values, labels, keep=2).tolist() == [4, 21]


def test_a_mark_that_one_death_alone_carries_does_not_win():
    """Its t would be large only because no survivor varies."""
    rng = np.random.default_rng(0)
    labels = np.repeat([1.0, 0.0], [20, 180])
    mark = np.zeros(200)
    mark[0] = 1
    values = np.stack([mark, rng.normal(size=200) + labels], axis=1)

    assert screen_columns(values, labels, keep=1).tolist() == [1]


def test_nothing_is_dropped_when_all_may_stay():
    values, labels = np.ones((4, 3)), np.array([1.0, 0, 0, 1])

    assert screen_columns(values, labels, keep=0).tolist() == [0, 1, 2]
    assert screen_columns(values, labels, keep=3).tolist() == [0, 1, 2]
