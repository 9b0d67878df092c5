"""Sample sizes against statsmodels, against simulated test sets of that size, and where there is no answer."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.power import normal_power

from pefuse.evaluation import delong_test, required_size


def two_scores(random: np.random.Generator, *, deaths: int, survivors: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and two correlated scores `(2, N)`, the first the better one."""
    labels = np.repeat([1, 0], [deaths, survivors])
    common = random.normal(size=labels.size)
    pull = np.array([[1.5], [0.9]])
    return labels, common + pull * labels + 0.8 * random.normal(size=(2, labels.size))


def test_by_hand():
    """Differences of placements: deaths 1/2 and 0 (variance 1/8), survivors 1/2 and 0 (variance 1/8).

    The difference is 1/4 and half die, so a study's variance is 1/8 / 0.5 + 1/8 / 0.5 = 0.5, and
    0.5 x (1.959964 + 0.841621)^2 / (1/4)^2 = 62.8 studies with 31.5 deaths.
    """
    found = required_size([1, 1, 0, 0], [3, 4, 1, 2], [1.5, 4, 1, 2])

    assert found.difference == pytest.approx(0.25)
    assert (found.studies, found.deaths) == (63, 32)


def test_power_equals_statsmodels():
    labels, scores = two_scores(np.random.default_rng(0), deaths=20, survivors=80)
    test = delong_test(labels, *scores)
    error = test.difference / test.z

    found = required_size(labels, *scores)

    expected = normal_power(test.difference / (error * 10), 100, 0.05)  # error x sqrt(100) is a study's
    assert found.power_now == pytest.approx(expected)
    assert 0.3 < expected < 0.99


def test_the_required_size_has_the_wanted_power():
    labels, scores = two_scores(np.random.default_rng(0), deaths=20, survivors=80)
    error = delong_test(labels, *scores).difference / delong_test(labels, *scores).z

    found = required_size(labels, *scores, power=0.9, alpha=0.01)

    assert found.studies is not None
    for studies, enough in ((found.studies, True), (found.studies - 1, False)):
        assert (normal_power(found.difference / (error * 10), studies, 0.01) >= 0.9) is np.bool_(enough)


def test_simulated_test_sets_of_that_size_show_the_difference_in_80_of_100():
    """The parts of the variance come from 30,000 cases, the test sets are drawn anew."""
    random = np.random.default_rng(3)
    found = required_size(*_flat(two_scores(random, deaths=6000, survivors=24000)))
    assert found.deaths is not None
    assert found.studies is not None
    shown = [
        delong_test(
            *_flat(two_scores(random, deaths=found.deaths, survivors=found.studies - found.deaths))
        ).p_value
        < 0.05
        for _ in range(600)
    ]

    assert np.mean(shown) == pytest.approx(0.80, abs=0.05)


def test_a_smaller_difference_needs_a_larger_set():
    """Half the difference, four times the studies."""
    labels, scores = two_scores(np.random.default_rng(0), deaths=20, survivors=80)
    seen = required_size(labels, *scores)
    half = required_size(labels, *scores, difference=seen.difference / 2)

    assert seen.studies is not None
    assert half.studies is not None
    assert half.studies / seen.studies == pytest.approx(4, rel=0.03)


def test_the_direction_does_not_matter():
    labels, (first, second) = two_scores(np.random.default_rng(0), deaths=20, survivors=80)

    assert required_size(labels, first, second).studies == required_size(labels, second, first).studies


@pytest.mark.parametrize(
    ("labels", "a", "b"),
    [
        ([1, 1, 0, 0], [4, 1, 3, 2], [1, 4, 2, 3]),  # another ranking, the same AUC
        ([1, 1, 0, 0], [1, 4, 2, 3], [2, 8, 4, 6]),  # the same ranking
        ([1, 1, 0, 0], [3, 4, 1, 2], [1, 2, 3, 4]),  # perfect against perfectly wrong: no spread
        ([1, 0, 0, 0], [4, 1, 2, 3], [2, 1, 3, 4]),  # one death
    ],
)
def test_where_no_size_can_be_told_there_is_none(labels, a, b):
    found = required_size(labels, a, b)

    assert (found.studies, found.deaths, found.power_now) == (None, None, None)
    assert math.isfinite(found.difference)


def test_no_set_of_fewer_than_ten_deaths_and_ten_survivors_is_promised():
    """All deaths but one above all survivors, against the same turned round: of the deaths 9 have a difference
    of 1 and one of -1, variance 0.4, so 0.4 / 0.25 x 2.8016^2 / 0.8^2 = 19.6 studies.

    One study in four dies, so ten deaths come with 40 studies.
    """
    labels = np.repeat([1, 0], [10, 30])
    good = np.concatenate([[0.0], np.full(9, 2.0), np.ones(30)])
    found = required_size(labels, good, 2 - good)

    assert (found.studies, found.deaths, found.at_most) == (40, 10, True)
    assert found.power_now is not None
    assert found.power_now > 0.8
    assert not required_size(labels, good, 2 - good, difference=0.1).at_most


def test_a_power_below_alpha_is_refused():
    with pytest.raises(ValueError, match="between alpha and 1"):
        required_size([1, 0], [1, 2], [2, 1], power=0.01)


def _flat(drawn: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    labels, scores = drawn
    return labels, scores[0], scores[1]
