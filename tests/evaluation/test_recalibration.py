"""Recalibration against scikit-learn, undoing what was done, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.frozen import FrozenEstimator

from pefuse.evaluation import (
    PlattScaling,
    WeightShift,
    brier_score,
    calibration_line,
    fit_isotonic,
    fit_platt,
    observed_to_expected,
)


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def distorted(cases: int = 3000, *, slope: float = 2.0, shift: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes, and risks whose logit is `slope` times too long and `shift` too high."""
    generator = np.random.default_rng(0)
    logit = generator.normal(-2, 1.2, size=cases)
    return (generator.random(cases) < logistic(logit)).astype(int), logistic(slope * logit + shift)


class GivenLogit(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose decision is the one column that it is given."""

    def fit(self, X: np.ndarray, y: np.ndarray) -> GivenLogit:
        self.classes_ = np.array([0, 1])
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return X[:, 0]

    def predict(self, X: np.ndarray) -> np.ndarray:
        return (X[:, 0] > 0).astype(int)


def of_scikit_learn(labels: np.ndarray, risk: np.ndarray, method: str) -> np.ndarray:
    logit = np.log(risk / (1 - risk))[:, None]
    frozen = FrozenEstimator(GivenLogit().fit(logit, labels))
    calibrated = CalibratedClassifierCV(frozen, method=method).fit(logit, labels)
    return calibrated.predict_proba(logit)[:, 1]


@pytest.mark.parametrize(("fit", "method"), [(fit_platt, "sigmoid"), (fit_isotonic, "isotonic")])
def test_equal_to_scikit_learn(fit, method):
    labels, risk = distorted(400)

    ours = fit(labels, risk).apply(risk)

    np.testing.assert_allclose(ours, of_scikit_learn(labels, risk, method), atol=2e-4)


def test_platt_undoes_a_distortion_on_other_cases():
    """Fitted on the first half: slope 1/2 and shift -3/4 take the risks of the second half to the truth."""
    labels, risk = distorted(8000)
    platt = fit_platt(labels[:4000], risk[:4000])
    after = calibration_line(labels[4000:], platt.apply(risk[4000:]))

    assert (platt.slope, platt.intercept) == pytest.approx((0.5, -0.75), abs=0.1)
    assert after.slope == pytest.approx(1, abs=0.1)
    assert after.intercept == pytest.approx(0, abs=0.15)


def test_a_class_weight_is_undone_exactly():
    """Odds of 0.2 are 1/4; with deaths counted 6 times 6/4, a risk of 0.6; the shift takes it back."""
    assert WeightShift(6.0).apply([0.6]) == pytest.approx([0.2])
    assert WeightShift(1 / 6).apply(WeightShift(6.0).apply([0.1, 0.9])) == pytest.approx([0.1, 0.9])


def test_a_weighted_logistic_regression_is_true_again_after_the_shift():
    from sklearn.linear_model import LogisticRegression

    generator = np.random.default_rng(3)
    signal = generator.normal(size=(20_000, 1))
    labels = (generator.random(20_000) < logistic(1.2 * signal[:, 0] - 2)).astype(int)
    weighted = LogisticRegression(C=1e6, class_weight={0: 1.0, 1: 7.0}).fit(signal, labels)
    risk = weighted.predict_proba(signal)[:, 1]

    assert observed_to_expected(labels, risk).ratio < 0.5
    assert observed_to_expected(labels, WeightShift(7.0).apply(risk)).ratio == pytest.approx(1, abs=0.03)


def test_isotonic_improves_what_it_was_fitted_on_and_never_reverses_patients():
    labels, risk = distorted(500)
    isotonic = fit_isotonic(labels, risk)
    again = isotonic.apply(risk)

    assert brier_score(labels, again) < brier_score(labels, risk)
    assert (np.diff(again[np.argsort(risk)]) >= 0).all()
    assert isotonic.apply([0.0, 1.0]).tolist() == [isotonic.new[0], isotonic.new[-1]]


def test_platt_is_finite_where_risks_separate_the_outcomes():
    """Ten deaths at most 11/12, ten survivors at least 1/12."""
    labels, risk = np.repeat([0, 1], 10), np.repeat([0.1, 0.9], 10)

    assert fit_platt(labels, risk).apply([0.1, 0.9]) == pytest.approx([1 / 12, 11 / 12], abs=1e-6)


def test_a_constant_risk_is_shifted_to_the_mean_target():
    """One death of three: targets 2/3, 1/4, 1/4, their mean 7/18."""
    assert fit_platt([1, 0, 0], [0.2, 0.2, 0.2]).apply([0.2]) == pytest.approx([7 / 18])
    assert fit_isotonic([1, 0, 0], [0.2, 0.2, 0.2]).apply([0.2, 0.9]) == pytest.approx([1 / 3, 1 / 3])


def test_risks_of_0_and_1_stay_within_bounds():
    again = PlattScaling(intercept=0.3, slope=0.8).apply([0.0, 1.0])

    assert 0 < again[0] < 1e-4
    assert 1 - 1e-4 < again[1] < 1


@pytest.mark.parametrize("fit", [fit_platt, fit_isotonic])
def test_bad_input_is_refused(fit):
    with pytest.raises(ValueError, match="0 of 2 cases"):
        fit([0, 0], [0.1, 0.2])
    with pytest.raises(ValueError, match="not finite"):
        fit([0, 1], [0.1, np.nan])
    with pytest.raises(ValueError, match="run from"):
        fit([0, 1], [0.1, 0.9]).apply([1.2])


@pytest.mark.parametrize("weight", [0.0, -1.0, np.inf, np.nan])
def test_what_is_no_weight_is_refused(weight):
    with pytest.raises(ValueError, match="A class weight"):
        WeightShift(weight)
