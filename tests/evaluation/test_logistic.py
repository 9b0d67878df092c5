"""Our logistic regression against statsmodels, where that one overflows, and where there is no answer."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from pefuse.evaluation._logistic import fit_logistic


def made_up(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    design = np.column_stack([np.ones(150), generator.normal(size=(150, 2))])
    offset = generator.normal(size=150)
    logit = offset + design @ [-1.0, 0.8, -0.3]
    return (generator.random(150) < 1 / (1 + np.exp(-logit))).astype(float), design, offset


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_statsmodels(seed):
    outcome, design, offset = made_up(seed)
    theirs = sm.GLM(outcome, design, family=sm.families.Binomial(), offset=offset).fit()
    ours = fit_logistic(outcome, design, offset)

    assert ours is not None
    np.testing.assert_allclose(ours.coefficients, theirs.params, atol=1e-5)
    np.testing.assert_allclose(ours.covariance, theirs.cov_params(), atol=1e-5)


def test_shares_as_outcomes_equal_statsmodels():
    outcome, design, _ = made_up(5)
    shares = 0.05 + 0.9 * outcome
    ours = fit_logistic(shares, design)

    assert ours is not None
    np.testing.assert_allclose(
        ours.coefficients, sm.GLM(shares, design, family=sm.families.Binomial()).fit().params, atol=1e-5
    )


def test_extreme_offsets_still_meet_the_number_of_deaths():
    """At the answer the risks add up to the deaths, also from logits of ±14, where plain Newton steps overflow."""
    generator = np.random.default_rng(0)
    offset = np.where(generator.random(72) < 0.6, -13.8, generator.normal(-1, 1, 72))
    outcome = np.zeros(72)
    outcome[:10] = 1.0
    fit = fit_logistic(outcome, np.ones((72, 1)), offset)

    assert fit is not None
    assert (1 / (1 + np.exp(-offset - fit.coefficients[0]))).sum() == pytest.approx(10, abs=1e-4)


def test_overlapping_classes_have_an_answer_however_far_out_a_risk_is():
    """Logits of -14 beside a slope above 2 make fitted ones of -30; the classes overlap all the same."""
    logit = np.concatenate(
        [np.full(40, -13.8), [-1.2, -0.9, -0.6, -0.4, -0.1, 0.6], [-0.6, 0.7, 0.9, 1.2, 1.6, 2.0]]
    )
    outcome = np.repeat([0.0, 1.0], [46, 6])
    design = np.column_stack([np.ones(52), logit])
    theirs = sm.Logit(outcome, design).fit(disp=0, maxiter=100)
    ours = fit_logistic(outcome, design)

    assert ours is not None
    assert np.abs(design @ ours.coefficients).max() > 30
    np.testing.assert_allclose(ours.coefficients, theirs.params, rtol=1e-3)
    np.testing.assert_allclose(ours.errors, theirs.bse, rtol=1e-3)


@pytest.mark.parametrize("number", [np.repeat([0.0, 1.0], 5), np.array([0.0, 0, 0, 0, 1, 1, 2, 2, 2, 2])])
def test_separated_classes_have_none_also_where_they_touch_or_the_numbers_repeat(number):
    """All deaths at 1 or above, all survivors at 1 or below: the likelihood rises for ever."""
    assert fit_logistic(np.repeat([0.0, 1.0], 5), np.column_stack([np.ones(10), number])) is None


def test_separated_classes_have_no_finite_answer():
    outcome = np.repeat([0.0, 1.0], 5)

    assert fit_logistic(outcome, np.column_stack([np.ones(10), np.arange(10.0)])) is None


def test_a_column_that_follows_from_another_has_none():
    outcome = np.tile([0.0, 1.0], 5)

    assert fit_logistic(outcome, np.ones((10, 2))) is None
