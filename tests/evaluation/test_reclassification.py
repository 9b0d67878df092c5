"""NRI and IDI by hand, against scipy's bootstrap, and the faults that their docstrings tell of."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pefuse.evaluation import integrated_discrimination, net_reclassification, operating_point

RANDOM = np.random.default_rng(5)
LABELS = np.repeat([1, 0], [30, 90])
OLD = 1 / (1 + np.exp(-(RANDOM.normal(size=120) + LABELS - 1.5)))
NEW = 1 / (1 + np.exp(-(np.log(OLD / (1 - OLD)) + 0.5 * RANDOM.normal(size=120) + 0.4 * LABELS)))


def test_net_reclassification_by_hand():
    """Deaths: 2 up, 1 down of 4 = 0.25. Survivors: 1 up, 2 down of 5 = 0.2."""
    labels = [1, 1, 1, 1, 0, 0, 0, 0, 0]
    old = [0, 0, 1, 1, 0, 1, 1, 0, 1]
    new = [1, 1, 0, 1, 1, 0, 0, 0, 1]

    found = net_reclassification(labels, old, new, resamples=200)

    assert (found.of_deaths, found.of_survivors, found.total) == pytest.approx((0.25, 0.2, 0.45))


def test_continuous_net_reclassification_by_hand():
    """Deaths: both up = 1. Survivors: one down, one up, one the same = 0."""
    found = net_reclassification([1, 1, 0, 0, 0], [0.2, 0.3, 0.2, 0.2, 0.1], [0.3, 0.31, 0.1, 0.9, 0.1])

    assert (found.of_deaths, found.of_survivors, found.total) == pytest.approx((1.0, 0.0, 1.0))


def test_at_a_threshold_it_is_the_gain_in_sensitivity_and_specificity():
    before, after = operating_point(LABELS, OLD, 0.3), operating_point(LABELS, NEW, 0.3)
    found = net_reclassification(LABELS, OLD >= 0.3, NEW >= 0.3, resamples=100)

    assert found.of_deaths == pytest.approx(after.sensitivity - before.sensitivity)
    assert found.of_survivors == pytest.approx(after.specificity - before.specificity)


def test_integrated_discrimination_by_hand():
    """Deaths: from 0.4 to 0.6 = 0.2. Survivors: from 0.3 to 0.25 = 0.05."""
    found = integrated_discrimination([1, 1, 0, 0], [0.5, 0.3, 0.2, 0.4], [0.7, 0.5, 0.2, 0.3], resamples=100)

    assert (found.of_deaths, found.of_survivors, found.total) == pytest.approx((0.2, 0.05, 0.25))


@pytest.mark.parametrize("improvement", [net_reclassification, integrated_discrimination])
def test_intervals_agree_with_scipys_bootstrap(improvement):
    moved = NEW - OLD if improvement is integrated_discrimination else np.sign(NEW - OLD)
    died = LABELS == 1

    def total(deaths: np.ndarray, survivors: np.ndarray, axis: int = -1) -> np.ndarray:
        return deaths.mean(axis=axis) - survivors.mean(axis=axis)

    expected = stats.bootstrap((moved[died], moved[~died]), total, vectorized=True, n_resamples=9999, rng=0)
    found = improvement(LABELS, OLD, NEW)

    assert found.total_interval.method == "bca"
    bounds = (found.total_interval.low, found.total_interval.high)
    width = bounds[1] - bounds[0]
    assert bounds == pytest.approx(tuple(expected.confidence_interval), abs=0.04 * width)


def test_the_same_model_twice_improves_nothing():
    found = net_reclassification(LABELS, OLD, OLD, resamples=50)

    assert (found.total, found.total_interval.low, found.total_interval.high) == (0.0, 0.0, 0.0)


def test_a_single_death_gives_no_interval():
    found = integrated_discrimination([1, 0, 0], [0.2, 0.3, 0.1], [0.4, 0.3, 0.1], resamples=50)

    assert found.of_deaths == pytest.approx(0.2)
    assert np.isnan(found.total_interval.low)


def test_risks_that_are_all_too_high_look_better_though_they_rank_alike():
    """The known fault: the same model, its odds times e, "improves" the IDI while every AUC stays the same."""
    too_high = OLD * np.e / (1 - OLD + OLD * np.e)
    found = integrated_discrimination(LABELS, OLD, too_high)

    assert found.total > 0.02
    assert found.total_interval.low > 0
    assert (np.argsort(OLD) == np.argsort(too_high)).all()


def test_logits_are_refused_as_risks():
    with pytest.raises(ValueError, match="Risks lie in"):
        integrated_discrimination([1, 0], [0.1, 0.2], [3.0, -1.0])
