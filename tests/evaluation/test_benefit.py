"""Net benefit by hand and against dcurves, its bootstrap against drawing patients one by one, and edges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.evaluation import decision_curve, net_benefit, net_benefit_of_all

REFERENCE = Path(__file__).parent / "reference" / "dcurves.csv"


def by_formula() -> tuple[np.ndarray, np.ndarray]:
    """120 cases, 42 deaths, all risks distinct: the same everywhere, without a generator."""
    case = np.arange(120)
    risk = ((37 * case) % 121 + 1) / 123
    return (((53 * case) % 100) / 100 < risk**2).astype(int), risk


def test_net_benefit_by_hand():
    """From 0.2 on: 2 of 4 are called, one of them died: 1/4 - 1/4 x 0.2/0.8 = 0.1875. All: 2/4 - 2/4 / 4."""
    labels, risk = [1, 0, 1, 0], [0.9, 0.5, 0.1, 0.1]

    assert net_benefit(labels, risk, [0.2]) == pytest.approx([0.1875])
    assert net_benefit_of_all(labels, [0.2]) == pytest.approx([0.375])


def test_equal_to_dcurves():
    """dcurves 1.1.7, kept as a file since it brings lifelines and needs a Python below 3.14:
    `dca(data=DataFrame({"died": ..., "risk": ...}), outcome="died", modelnames=["risk"], thresholds=...)`, its
    column
    net_benefit, one column a model."""
    theirs = pd.read_csv(REFERENCE)
    curve = decision_curve(*by_formula(), theirs["threshold"], resamples=10)

    np.testing.assert_allclose(net_benefit(*by_formula(), theirs["threshold"]), theirs["risk"], atol=1e-9)
    np.testing.assert_allclose(curve.model, theirs["risk"], atol=1e-9)
    np.testing.assert_allclose(curve.all, theirs["all"], atol=1e-9)


def test_bootstrap_equals_drawing_patients():
    """Multinomial counts have the distribution of resampled patients: the same quantiles within their noise."""
    labels, risk = by_formula()
    thresholds = np.array([0.1, 0.3, 0.6])
    curve = decision_curve(labels, risk, thresholds, resamples=20_000, seed=1)

    generator = np.random.default_rng(2)
    drawn = [generator.integers(0, 120, 120) for _ in range(4000)]
    models = np.array([net_benefit(labels[of], risk[of], thresholds) for of in drawn])
    everyone = np.array([net_benefit_of_all(labels[of], thresholds) for of in drawn])
    over = models - np.maximum(everyone, 0)

    np.testing.assert_allclose([curve.low, curve.high], np.quantile(models, [0.025, 0.975], axis=0), atol=0.01)
    np.testing.assert_allclose(
        [curve.over_default_low, curve.over_default_high], np.quantile(over, [0.025, 0.975], axis=0), atol=0.01
    )


def test_same_seed_same_bounds():
    first, second = (decision_curve(*by_formula(), [0.1, 0.2], resamples=500, seed=3) for _ in range(2))

    np.testing.assert_array_equal(first.low, second.low)


def test_a_perfect_model_is_worth_the_mortality():
    """All deaths and nobody else: 0.4 at any threshold."""
    curve = decision_curve([1, 1, 0, 0, 0], [0.9, 0.9, 0.01, 0.01, 0.01], [0.05, 0.5], resamples=100)

    np.testing.assert_allclose(curve.model, [0.4, 0.4])
    np.testing.assert_allclose(curve.over_default, np.minimum(0.4, 0.4 - curve.all))


def test_at_threshold_0_all_are_treated():
    curve = decision_curve([1, 0, 0], [0.5, 0.2, 0.1], [0.0], resamples=50)

    assert (curve.model, curve.all) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert curve.over_default_high == pytest.approx(0)


def test_without_deaths_only_harm_is_left():
    """Both of two survivors are called from 0.5 on: -1; one death and no survivor: 1."""
    assert decision_curve([0, 0], [0.6, 0.7], [0.5], resamples=20).model == pytest.approx([-1])
    assert decision_curve([1], [0.6], [0.5], resamples=20).low == pytest.approx([1])


def test_ties_at_the_threshold_are_called():
    assert net_benefit([1, 0], [0.2, 0.2], [0.2]) == pytest.approx([0.5 - 0.5 * 0.25])
    assert decision_curve([1, 0], [0.2, 0.2], [0.2], resamples=5).model == pytest.approx([0.375])


@pytest.mark.parametrize("thresholds", [[1.0], [-0.1], [], [np.nan]])
def test_what_is_no_threshold_is_refused(thresholds):
    with pytest.raises(ValueError, match=r"lie in \[0, 1\)"):
        net_benefit([0, 1], [0.1, 0.2], thresholds)


def test_other_bad_input_is_refused():
    with pytest.raises(ValueError, match="need to rise"):
        decision_curve([0, 1], [0.1, 0.2], [0.2, 0.1])
    with pytest.raises(ValueError, match="At least one resample"):
        decision_curve([0, 1], [0.1, 0.2], [0.1], resamples=0)
    with pytest.raises(ValueError, match="not finite"):
        decision_curve([0, 1], [0.1, np.nan], [0.1])
