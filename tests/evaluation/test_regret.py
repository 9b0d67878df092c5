"""Regret by hand, against the expected scores it stands for, and at the edges."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import log_loss

from pefuse.evaluation import auc_regret, auroc, delong_test, risk_regret


def test_the_ideal_predictor_has_none():
    found = risk_regret([0.1, 0.5, 0.9], [0.1, 0.5, 0.9])

    assert (found.squared, found.log_loss) == (0, pytest.approx(0, abs=1e-12))
    assert found.rank_correlation == pytest.approx(1)


def test_by_hand():
    """(0.1² + 0.2²) / 2 = 0.025; 0.5 ln(0.5/0.4) + 0.5 ln(0.5/0.6) of the first, 0.2 ln 0.5 + 0.8 ln(0.8/0.6) of
    the
    second."""
    found = risk_regret([0.4, 0.4], [0.5, 0.2])
    first = 0.5 * math.log(0.5 / 0.4) + 0.5 * math.log(0.5 / 0.6)
    second = 0.2 * math.log(0.2 / 0.4) + 0.8 * math.log(0.8 / 0.6)

    assert found.squared == pytest.approx(0.025)
    assert found.log_loss == pytest.approx((first + second) / 2)
    assert math.isnan(found.rank_correlation)


def test_it_is_what_brier_and_log_loss_lose_on_average():
    """Over 4000 redrawn outcomes the scores exceed the ideal ones by the regret."""
    generator = np.random.default_rng(0)
    ideal = generator.beta(1, 6, size=200)
    risk = np.clip(ideal * 1.6, 0.01, 0.95)
    outcomes = generator.random((4000, 200)) < ideal
    brier = ((risk - outcomes) ** 2 - (ideal - outcomes) ** 2).mean()
    loss = np.mean([log_loss(o, risk) - log_loss(o, ideal) for o in outcomes[:400]])

    found = risk_regret(risk, ideal)
    assert found.squared == pytest.approx(brier, abs=5e-4)
    assert found.log_loss == pytest.approx(loss, abs=5e-3)


def test_rank_correlation_is_that_of_mid_ranks():
    risk, ideal = [0.1, 0.1, 0.5, 0.7, 0.2], [0.2, 0.1, 0.9, 0.4, 0.3]

    expected = np.corrcoef(rankdata(risk), rankdata(ideal))[0, 1]
    assert risk_regret(risk, ideal).rank_correlation == pytest.approx(expected)


def test_a_sure_risk_that_may_fail_costs_much_and_not_infinitely():
    assert 1 < risk_regret([0.0, 1.0], [0.1, 0.9]).log_loss < 14


def test_auc_regret_is_the_paired_difference():
    generator = np.random.default_rng(1)
    labels = np.repeat([1, 0], [15, 60])
    ideal = 1 / (1 + np.exp(-generator.normal(size=75) - 2 * labels))
    risk = np.clip(ideal + generator.normal(scale=0.2, size=75), 0, 1)

    value, interval = auc_regret(labels, risk, ideal)

    assert value == pytest.approx(auroc(labels, ideal) - auroc(labels, risk))
    assert interval == delong_test(labels, ideal, risk).interval


def test_other_patients_and_unknown_risks_are_refused():
    with pytest.raises(ValueError, match="N = 2"):
        risk_regret([0.1], [0.1, 0.2])
    with pytest.raises(ValueError, match="not finite"):
        risk_regret([0.1, math.nan], [0.1, 0.2])


def test_one_patient_has_a_distance_and_no_correlation():
    found = risk_regret([0.3], [0.1])

    assert found.squared == pytest.approx(0.04)
    assert math.isnan(found.rank_correlation)
