"""Ratios of means with their interval."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pefuse.evaluation import ratio_of_means


def test_the_ratio_is_that_of_the_means_and_not_the_mean_of_ratios():
    """(1 + 6) / (1 + 2) = 7 / 3; the ratios' mean would be (1 + 3) / 2 = 2."""
    assert ratio_of_means([1, 6], [1, 2]).value == pytest.approx(7 / 3)


def test_a_ratio_that_all_cases_share_has_no_width():
    ratio = ratio_of_means([0.2, 0.4, 0.6], [0.1, 0.2, 0.3])

    assert ratio.value == pytest.approx(2)
    assert [ratio.interval.low, ratio.interval.high] == pytest.approx([2, 2])


def test_the_interval_agrees_with_scipy_s_bootstrap():
    random = np.random.default_rng(3)
    volume = random.uniform(0.01, 0.03, 60)
    heat = volume * random.lognormal(1, 0.6, 60)

    ours = ratio_of_means(heat, volume, resamples=10_000).interval
    theirs = stats.bootstrap(
        (heat, volume),
        lambda above, below, axis: above.mean(axis=axis) / below.mean(axis=axis),
        paired=True,
        n_resamples=10_000,
        method="BCa",
        rng=random,
    ).confidence_interval

    assert ours.method == "bca"
    assert [ours.low, ours.high] == pytest.approx([theirs.low, theirs.high], rel=0.02)


def test_the_same_seed_draws_the_same_cases():
    numbers = np.random.default_rng(0).uniform(size=(2, 20))

    assert ratio_of_means(*numbers) == ratio_of_means(*numbers)
    assert ratio_of_means(*numbers, seed=1) != ratio_of_means(*numbers)


@pytest.mark.parametrize(("above", "below"), [([0.3], [0.1]), ([0.3, 0.2], [0.0, 0.0])])
def test_where_nothing_can_be_told_there_is_no_interval(above, below):
    ratio = ratio_of_means(above, below)

    assert np.isnan(ratio.interval.low)
    assert np.isnan(ratio.interval.high)


def test_nothing_over_nothing_is_not_a_number():
    assert np.isnan(ratio_of_means([0.0, 0.0], [0.0, 0.0]).value)
    assert np.isnan(ratio_of_means([], []).value)


def test_a_structure_that_one_case_in_five_has_still_has_an_interval():
    """Some resamples draw no case that has it: those are left aside."""
    ratio = ratio_of_means([0, 0, 0, 0, 0.2], [0, 0, 0, 0, 0.1])

    assert ratio.value == pytest.approx(2)
    assert ratio.interval.low <= 2 <= ratio.interval.high


@pytest.mark.parametrize(
    ("above", "below", "complaint"),
    [([1, 2], [1], "one of each"), ([1, np.nan], [1, 1], "finite"), ([1, -1], [1, 1], "not negative")],
)
def test_numbers_that_make_no_ratio_are_refused(above, below, complaint):
    with pytest.raises(ValueError, match=complaint):
        ratio_of_means(above, below)
