"""Standardised differences: by hand, against tableone and scipy, by simulation, and where nothing can be told."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from pefuse.evaluation import (
    category_difference,
    difference_by_chance,
    rank_difference,
    standardised_difference,
)

# What tableone 0.9.6 gives with smd=True, its second group minus its first.
FIRST = [9.1, -0.1, 5.8, 3.9, 4.1, 4.6, 1.0, 4.5, 3.3, 11.6, 5.5, 4.3]
SECOND = [5.2, 4.0, 2.8, 4.8, 7.4, 5.3, 8.9, 5.4, 6.1]


def test_difference_of_means_in_standard_deviations():
    """Means 2 and 5, variances 1 and 4 (ddof 1): (2 - 5) / sqrt(2.5)."""
    assert standardised_difference([1, 2, 3], [3, 5, 7]) == pytest.approx(-3 / math.sqrt(2.5))


def test_numbers_as_tableone_has_them():
    assert standardised_difference(SECOND, FIRST) == pytest.approx(0.291067, abs=1e-6)


def test_missing_values_are_left_out():
    assert standardised_difference([1, np.nan, 2, 3], [3, 5, np.nan, 7]) == standardised_difference(
        [1, 2, 3], [3, 5, 7]
    )


def test_shares_as_austin_has_them():
    """0.5 of 10 against 0.2 of 5: 0.3 / sqrt((0.25 + 0.16) / 2)."""
    first, second = ["yes"] * 5 + ["no"] * 5, ["yes"] + ["no"] * 4

    assert category_difference(first, second) == pytest.approx(0.3 / math.sqrt((0.25 + 0.16) / 2))


def test_two_and_three_categories_as_tableone_has_them():
    assert category_difference(["0"] * 8 + ["1"] * 4, ["0"] * 3 + ["1"] * 6) == pytest.approx(0.707107, abs=1e-6)
    assert category_difference(list("AAAABBBCCCCC"), list("ABBBBBCCA")) == pytest.approx(0.661658, abs=1e-6)


def test_many_categories_are_a_mahalanobis_distance():
    """Against scipy's, with the inverse of the mean of two multinomial covariances, the third share left out."""
    random = np.random.default_rng(0)
    first, second = (
        random.choice(list("abcd"), 60).tolist(),
        random.choice(list("abcd"), 40, p=[0.1, 0.2, 0.3, 0.4]),
    )
    p, q = (np.array([np.mean(np.array(group) == name) for name in "abd"]) for group in (first, second))
    covariance = sum(np.diag(share) - np.outer(share, share) for share in (p, q)) / 2

    assert category_difference(first, second.tolist()) == pytest.approx(
        mahalanobis(p, q, np.linalg.inv(covariance))
    )


def test_names_and_order_of_categories_do_not_matter():
    first, second = list("AAABBC"), list("ABCCCC")
    renamed = str.maketrans("ABC", "zxy")

    assert category_difference(first, second) == pytest.approx(category_difference(second, first))
    assert category_difference(first, second) == pytest.approx(
        category_difference(
            [name.translate(renamed) for name in first[::-1]], [n.translate(renamed) for n in second]
        )
    )


def test_missing_categories_are_left_out_and_an_unused_one_does_not_hinder():
    assert category_difference(["a", "", "b", "b"], ["a", "a", "b", ""]) == category_difference(
        ["a", "b", "b"], ["a", "a", "b"]
    )


def test_one_outlier_does_not_hide_a_difference_of_ranks():
    """Ranks 1, 2, 3, 8 against 4, 5, 6, 7: means 3.5 and 5.5, variances 29/3 and 5/3; by values it is above 0."""
    low, high = [1.0, 2.0, 3.0, 1000.0], [4.0, 5.0, 6.0, 7.0]

    assert rank_difference(low, high) == pytest.approx(-2 / math.sqrt((29 / 3 + 5 / 3) / 2))
    assert standardised_difference(low, high) > 0


def test_ranks_do_not_change_with_a_logarithm():
    random = np.random.default_rng(1)
    first, second = random.lognormal(0, 2, 30), random.lognormal(0.5, 2, 20)

    assert rank_difference(first, second) == rank_difference(np.log(first), np.log(second))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([], [1, 2], math.nan),
        ([1], [1, 2, 3], math.nan),
        ([np.nan, np.nan, 2], [1, 2, 3], math.nan),
        ([0.1] * 3, [0.1] * 7, 0.0),  # numpy's variance of these is not 0
        ([0.1] * 3, [0.2] * 7, math.nan),
    ],
    ids=["empty", "one value", "all but one missing", "the same constant", "two constants"],
)
def test_what_cannot_be_told_of_numbers(first, second, expected):
    assert standardised_difference(first, second) == pytest.approx(expected, nan_ok=True)
    assert rank_difference(first, second) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([], ["a"], math.nan),
        (["", ""], ["a"], math.nan),
        (["a", "a"], ["b", "b"], math.nan),
        (["a", "a", "a"], ["b", "c", "c"], math.nan),
        (["a"], ["a", "a"], 0.0),
        (["a", "b", "c"], ["c", "b", "a"], 0.0),
    ],
    ids=["empty", "all missing", "apart", "apart in one direction", "one category", "the same shares"],
)
def test_what_cannot_be_told_of_categories(first, second, expected):
    assert category_difference(first, second) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_an_infinite_value_is_refused():
    with pytest.raises(ValueError, match="Finite numbers"):
        standardised_difference([1.0, np.inf], [1.0, 2.0])


@pytest.mark.parametrize("kind", ["numbers", "ranks", "three categories"])
def test_chance_alone_stays_below_the_bound_in_19_of_20_samples(kind):
    """2000 samples of one population, 100 against 60: 95 % within three standard errors (0.5 %) of it."""
    random = np.random.default_rng(2)
    inside = 0
    bound = difference_by_chance(100, 60, categories=3 if kind == "three categories" else 2)
    for _ in range(2000):
        if kind == "three categories":
            drawn = random.choice(["a", "b", "c"], 160, p=[0.5, 0.3, 0.2]).tolist()
            found = category_difference(drawn[:100], drawn[100:])
        else:
            values = random.lognormal(size=160) if kind == "ranks" else random.normal(size=160)
            measure = rank_difference if kind == "ranks" else standardised_difference
            found = abs(measure(values[:100], values[100:]))
        inside += found <= bound
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)


def test_the_bound_by_hand_and_at_its_edges():
    """1.96 sqrt(1/10 + 1/62); with three categories sqrt(5.991 (1/10 + 1/62))."""
    assert difference_by_chance(10, 62) == pytest.approx(1.959964 * math.sqrt(1 / 10 + 1 / 62))
    assert difference_by_chance(10, 62, categories=3) == pytest.approx(math.sqrt(5.991465 * (1 / 10 + 1 / 62)))
    assert math.isnan(difference_by_chance(0, 62))
    assert math.isnan(difference_by_chance(10, 62, categories=1))
