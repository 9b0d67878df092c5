"""The silhouette by hand, against scikit-learn, under chance, and at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples, silhouette_score

from pefuse.evaluation import outcome_silhouette


def test_silhouette_by_hand():
    """On a line, died at 0 and 2, survived at 5 and 9.

    0: a = 2, b = (5 + 9)/2 = 7, s = 5/7. 2: a = 2, b = (3 + 7)/2 = 5, s = 3/5.
    5: a = 4, b = (5 + 3)/2 = 4, s = 0. 9: a = 4, b = (9 + 7)/2 = 8, s = 1/2.
    """
    found = outcome_silhouette([1, 1, 0, 0], [[0], [2], [5], [9]])

    assert found.died == pytest.approx((5 / 7 + 3 / 5) / 2)
    assert found.survived == pytest.approx((0 + 1 / 2) / 2)
    assert found.value == pytest.approx((5 / 7 + 3 / 5 + 0 + 1 / 2) / 4)
    assert found.over_cases == pytest.approx(found.value)  # as many of either


def test_each_outcome_counts_for_half():
    """Three survivors at 0, 1 and 2, one death at 10, who has 0 for being alone.

    0: a = 1.5, b = 10; 1: a = 1, b = 9; 2: a = 1.5, b = 8. Their mean is m; then m/2, and over cases 3m/4.
    """
    found = outcome_silhouette([0, 0, 0, 1], [[0], [1], [2], [10]])
    mean = ((10 - 1.5) / 10 + (9 - 1) / 9 + (8 - 1.5) / 8) / 3

    assert found.survived == pytest.approx(mean)
    assert found.value == pytest.approx(mean / 2)
    assert found.over_cases == pytest.approx(3 * mean / 4)


@pytest.mark.parametrize("deaths", [1, 2, 10, 35, 71])
@pytest.mark.parametrize("apart", [0.0, 1.0, 5.0])
def test_it_is_scikit_learns(deaths, apart):
    random = np.random.default_rng(deaths)
    labels = np.arange(72) < deaths
    vectors = random.normal(size=(72, 8)) + apart * labels[:, None]
    found = outcome_silhouette(labels, vectors, shuffles=50)
    each = silhouette_samples(vectors, labels)

    assert found.over_cases == pytest.approx(silhouette_score(vectors, labels), abs=1e-9)
    assert found.died == pytest.approx(each[labels].mean(), abs=1e-9)
    assert found.survived == pytest.approx(each[~labels].mean(), abs=1e-9)


def test_the_reference_is_what_shuffled_outcomes_give():
    """200 shufflings one by one through scikit-learn: the same bounds but for the draw."""

    def balanced(shuffled):
        each = silhouette_samples(vectors, shuffled)
        return (each[shuffled].mean() + each[~shuffled].mean()) / 2

    random = np.random.default_rng(1)
    labels = np.arange(60) < 12
    vectors = random.normal(size=(60, 4))
    found = outcome_silhouette(labels, vectors, shuffles=2000)
    chance = [balanced(random.permutation(labels)) for _ in range(200)]

    assert found.chance_low == pytest.approx(np.quantile(chance, 0.025), abs=0.01)
    assert found.chance_high == pytest.approx(np.quantile(chance, 0.975), abs=0.01)


def test_without_a_difference_one_in_twenty_is_called_one():
    """Of 400 sets of noise 5 % have p <= 0.05: 20, give or take 2 x 4.4."""
    random = np.random.default_rng(2)
    labels = np.arange(30) < 8
    found = [outcome_silhouette(labels, random.normal(size=(30, 3)), shuffles=99, seed=k) for k in range(400)]

    assert 11 <= sum(one.p_value <= 0.05 for one in found) <= 29


def test_outcomes_far_apart_are_told_from_chance():
    labels = np.arange(20) < 6
    found = outcome_silhouette(labels, np.random.default_rng(3).normal(size=(20, 2)) + 10.0 * labels[:, None])

    assert found.value > 0.8 > found.chance_high
    assert found.p_value == pytest.approx(1 / 1001)


def test_vectors_that_are_all_the_same_say_nothing():
    """No distances at all: 0 whatever the outcomes, so every shuffling gives as much."""
    found = outcome_silhouette([1, 1, 0, 0, 0], np.ones((5, 3)))

    assert (found.value, found.chance_low, found.chance_high, found.p_value) == (0, 0, 0, 1)


def test_a_case_alone_with_its_outcome_has_none():
    """It counts as 0. The others, at 10 and 11, have a = 1 and b = 10 and 11."""
    found = outcome_silhouette([1, 0, 0], [[0.0], [10.0], [11.0]])

    assert found.died == 0
    assert found.survived == pytest.approx((9 / 10 + 10 / 11) / 2)
    assert found.value == pytest.approx((9 / 10 + 10 / 11) / 4)


def test_the_scale_does_not_matter_and_the_same_seed_gives_the_same():
    labels, vectors = [1, 0, 1, 0, 0, 0], np.random.default_rng(4).normal(size=(6, 2))
    found = outcome_silhouette(labels, vectors, seed=5)

    assert outcome_silhouette(labels, vectors, seed=5) == found
    assert outcome_silhouette(labels, 1e6 * vectors, seed=5).value == pytest.approx(found.value)


@pytest.mark.parametrize(
    ("labels", "vectors", "told"),
    [
        ([1, 1, 1], np.ones((3, 2)), "Both classes"),
        ([1, 0], np.ones((2, 2)), "at least 3 cases"),
        ([1, 0, 0], np.ones((2, 2)), "shape"),
        ([1, 0, 0], np.ones(3), "shape"),
        ([1, 0, 0], np.ones((3, 0)), "shape"),
        ([1, 0, 0], [[0.0], [np.nan], [1.0]], "finite"),
        ([1, 0, np.nan], np.ones((3, 2)), "0 or 1"),
    ],
)
def test_what_cannot_be_used_is_refused(labels, vectors, told):
    with pytest.raises(ValueError, match=told):
        outcome_silhouette(labels, vectors)
