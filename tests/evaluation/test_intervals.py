"""Intervals of proportions by hand and at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from pefuse.evaluation import Interval, clopper_pearson_interval, wilson_interval


@pytest.mark.parametrize(("count", "total"), [(0, 10), (1, 10), (9, 10), (10, 10), (58, 62)])
def test_wilson_equals_scipy(count, total):
    expected = binomtest(count, total).proportion_ci(method="wilson")
    interval = wilson_interval(count, total)

    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_wilson_of_nothing_is_nan():
    assert np.isnan(wilson_interval(0, 0).low)


@pytest.mark.parametrize(("count", "total"), [(0, 10), (3, 10), (10, 10)])
def test_clopper_pearson_equals_scipy(count, total):
    expected = binomtest(count, total).proportion_ci(method="exact")
    interval = clopper_pearson_interval(count, total)

    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_a_wider_level_gives_a_wider_interval():
    assert wilson_interval(5, 10, level=0.99).low < wilson_interval(5, 10, level=0.9).low


def test_more_than_all_is_refused():
    with pytest.raises(ValueError, match="not a proportion"):
        wilson_interval(11, 10)


def test_an_interval_holds_its_bounds():
    assert 0.2 in Interval(0.2, 0.4)
    assert 0.41 not in Interval(0.2, 0.4)
