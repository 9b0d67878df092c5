"""Calibration by hand, against scikit-learn and a plain Newton fit, and where it cannot be told."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics import brier_score_loss

from pefuse.evaluation import (
    brier_score,
    calibration_bins,
    calibration_line,
    expected_calibration_error,
    observed_to_expected,
    scaled_brier_score,
    wilson_interval,
)


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def drawn(*, cases: int = 4000, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes whose true logit is `shift + slope * logit(risk)`."""
    generator = np.random.default_rng(0)
    logit = generator.normal(-2, 1.2, size=cases)
    return (generator.random(cases) < logistic(shift + slope * logit)).astype(int), logistic(logit)


def test_brier_by_hand_and_against_scikit_learn():
    """(0.2² + 0.4²) / 2 = 0.1."""
    labels, risk = drawn()

    assert brier_score([1, 0], [0.8, 0.4]) == pytest.approx(0.1)
    assert brier_score(labels, risk) == pytest.approx(brier_score_loss(labels, risk))


def test_calibration_error_by_hand():
    """Two groups of two: mean risks .15 and .7, deaths 0 and 1/2: (.15 + .2) / 2."""
    assert expected_calibration_error([0, 0, 1, 0], [0.1, 0.2, 0.6, 0.8], bins=2) == pytest.approx(0.175)


def test_groups_hold_all_cases_once_and_keep_ties_together():
    labels, risk = [0, 0, 0, 1, 1, 0], [0.1, 0.1, 0.1, 0.1, 0.5, 0.9]

    groups = calibration_bins(labels, risk, bins=3)

    assert groups.cases.sum() == 6
    assert groups.deaths.sum() == 2
    assert groups.cases[0] == 4
    assert groups.mean_risk[0] == pytest.approx(0.1)


def test_small_data_get_few_groups():
    generator = np.random.default_rng(0)
    labels, risk = np.repeat([1, 0], [10, 62]), generator.random(72)

    assert calibration_bins(labels, risk).cases.size == 5
    assert calibration_bins(np.tile(labels, 10), generator.random(720)).cases.size == 10


def test_line_of_true_risks_is_1_and_0():
    line = calibration_line(*drawn(cases=40_000))

    assert line.slope == pytest.approx(1, abs=0.05)
    assert line.intercept == pytest.approx(0, abs=0.05)


def test_line_finds_the_distortion_put_in():
    """Outcomes follow half the logit: risks are too extreme, so the slope is 0.5."""
    assert calibration_line(*drawn(cases=40_000, slope=0.5)).slope == pytest.approx(0.5, abs=0.05)
    assert calibration_line(*drawn(cases=40_000, shift=1.0)).intercept == pytest.approx(1, abs=0.05)


def test_line_equals_a_direct_maximisation():
    labels, risk = drawn(cases=300, slope=0.7, shift=0.4)
    logit = np.log(risk / (1 - risk))

    def loss(parameters: np.ndarray) -> float:
        eta = parameters[0] + parameters[1] * logit
        return float(np.logaddexp(0, eta).sum() - (labels * eta).sum())

    line = calibration_line(labels, risk)

    assert line.slope == pytest.approx(minimize(loss, [0.0, 1.0], tol=1e-10).x[1], abs=1e-4)
    in_the_large = minimize(lambda shift: loss(np.array([shift[0], 1.0])), [0.0], tol=1e-10).x[0]
    assert line.intercept == pytest.approx(in_the_large, abs=1e-4)


def test_slope_of_overlapping_risks_is_told_though_some_risks_are_0():
    """The lowest death has 0.36, the highest survivor 0.65; most survivors have a risk of 0."""
    risk = np.concatenate(
        [np.zeros(40), [0.23, 0.29, 0.35, 0.4, 0.47, 0.65], [0.36, 0.67, 0.71, 0.77, 0.83, 0.88]]
    )
    line = calibration_line(np.repeat([0, 1], [46, 6]), risk)

    assert line.slope == pytest.approx(2.183, abs=0.001)  # statsmodels' Logit


@pytest.mark.parametrize("risk", [[0.1, 0.2, 0.8, 0.9], [0.1, 0.5, 0.5, 0.9], [0.3, 0.3, 0.3, 0.3]])
def test_slope_of_separated_or_constant_risks_is_not_told(risk):
    line = calibration_line([0, 0, 1, 1], risk)

    assert np.isnan(line.slope)
    assert np.isfinite(line.intercept)


def test_risks_of_exactly_0_and_1_are_allowed():
    line = calibration_line([0, 1, 0, 1, 1, 0], [0.0, 1.0, 1.0, 0.0, 0.6, 0.4])

    assert np.isfinite([line.slope, line.intercept]).all()


def test_line_has_walds_intervals_of_the_inverse_information():
    """At the answer the information is the sum of p (1 - p) x x'; its inverse holds the variances."""
    labels, risk = drawn(cases=300, slope=0.7, shift=0.4)
    logit = np.log(risk / (1 - risk))
    line = calibration_line(labels, risk)

    design = np.column_stack([np.ones(300), logit])
    start = minimize(lambda b: np.logaddexp(0, design @ b).sum() - labels @ design @ b, [0.0, 1.0], tol=1e-12).x
    share = logistic(design @ start)
    slope_error = np.sqrt(np.linalg.inv((design * (share * (1 - share))[:, None]).T @ design)[1, 1])
    shifted = logistic(logit + line.intercept)
    intercept_error = 1 / np.sqrt((shifted * (1 - shifted)).sum())

    z = 1.959964
    assert line.slope_interval.high == pytest.approx(line.slope + z * slope_error, abs=1e-4)
    assert line.intercept_interval.low == pytest.approx(line.intercept - z * intercept_error, abs=1e-4)
    assert np.isnan(calibration_line([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]).slope_interval.low)


def test_scaled_brier_by_hand():
    """Mortality 1/2 for everyone costs 0.25; these risks cost 0.1, so 1 - 0.1 / 0.25 = 0.6."""
    assert scaled_brier_score([1, 0], [0.8, 0.4]) == pytest.approx(0.6)
    assert scaled_brier_score([1, 0, 0, 0], [0.25] * 4) == pytest.approx(0)
    assert np.isnan(scaled_brier_score([0, 0], [0.1, 0.2]))


def test_observed_to_expected_by_hand():
    """3 deaths for 0.5 x 4 = 2 expected: 1.5; Wilson's interval of 3 / 4, doubled as the mean risk is a half."""
    found = observed_to_expected([1, 1, 1, 0], [0.5, 0.5, 0.5, 0.5])
    share = wilson_interval(3, 4)

    assert (found.deaths, found.expected, found.ratio) == (3, 2.0, 1.5)
    assert (found.interval.low, found.interval.high) == pytest.approx((2 * share.low, 2 * share.high))


def test_observed_to_expected_at_its_edges():
    """Without a death the ratio is 0 with an upper bound; without a risk it cannot be told."""
    none = observed_to_expected([0] * 20, [0.1] * 20)

    assert (none.ratio, none.interval.low) == (0.0, 0.0)
    assert none.interval.high > 1
    assert np.isnan(observed_to_expected([0, 0], [0.0, 0.0]).ratio)
    assert observed_to_expected([1], [0.5]).ratio == 2.0


def test_logits_are_refused():
    with pytest.raises(ValueError, match=r"run from -1 to 2"):
        brier_score([0, 1], [-1.0, 2.0])


def test_line_needs_both_classes():
    with pytest.raises(ValueError, match="0 of 3 cases"):
        calibration_line([0, 0, 0], [0.1, 0.2, 0.3])
