"""The outcome model: its terms, and the risks averaged over what a modality does not see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pefuse.cohort.simulate.calibration import OUTCOME
from pefuse.cohort.simulate.population import (
    Latents,
    draw_latents,
    ideal_risks,
    joint_auc,
    risk_of_death,
    shift_risk,
)


def _one(strain=0.0, physiology=0.0, frailty=0.0, clot_burden=0.0) -> Latents:
    return Latents(
        strain=np.array([strain]),
        physiology=np.array([physiology]),
        frailty=np.array([frailty]),
        clot_burden=np.array([clot_burden]),
    )


def _log_odds(latents: Latents) -> float:
    risk = risk_of_death(OUTCOME, latents)[0]
    return float(np.log(risk / (1 - risk)))


def test_each_cause_adds_its_effect_to_the_log_odds():
    base = _log_odds(_one())

    assert base == pytest.approx(OUTCOME.intercept)
    assert _log_odds(_one(strain=1)) - base == pytest.approx(OUTCOME.strain)
    assert _log_odds(_one(physiology=-1)) - base == pytest.approx(-OUTCOME.physiology)
    assert _log_odds(_one(frailty=2)) - base == pytest.approx(2 * OUTCOME.frailty)
    assert _log_odds(_one(clot_burden=1)) - base == pytest.approx(OUTCOME.clot_burden)


def test_strain_and_physiology_are_worse_together_only_where_both_are_bad():
    base = _log_odds(_one())
    together = {
        (s, a): _log_odds(_one(strain=s, physiology=a)) - base - s * OUTCOME.strain - a * OUTCOME.physiology
        for s, a in [(2, 1), (2, -1), (-2, 1), (-2, -1)]
    }

    assert together[2, 1] == pytest.approx(2 * OUTCOME.strain_and_physiology)
    assert [together[2, -1], together[-2, 1], together[-2, -1]] == pytest.approx([0, 0, 0])


@pytest.mark.parametrize("strain", [-1.0, 0.5, 2.5])
def test_the_risk_from_the_scan_is_the_mean_over_records(strain: float):
    """100,000 patients with the same scan and any record: their mean risk is what the scan alone can tell."""
    others = draw_latents(100_000, generator=np.random.default_rng(3))
    same_scan = replace(others, strain=np.full(100_000, strain), clot_burden=np.full(100_000, 1.0))

    expected = risk_of_death(OUTCOME, same_scan).mean()

    assert ideal_risks(OUTCOME, _one(strain=strain, clot_burden=1.0)).ct[0] == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("physiology", [-1.0, 0.5, 2.5])
def test_the_risk_from_the_record_is_the_mean_over_scans(physiology: float):
    others = draw_latents(100_000, generator=np.random.default_rng(4))
    same_record = replace(others, physiology=np.full(100_000, physiology), frailty=np.full(100_000, 1.0))

    expected = risk_of_death(OUTCOME, same_record).mean()

    assert ideal_risks(OUTCOME, _one(physiology=physiology, frailty=1.0)).ehr[0] == pytest.approx(
        expected, rel=0.02
    )


def test_another_prevalence_multiplies_the_odds_by_one_factor():
    """From 2 % to 10 %: odds 2/98 become 10/90, a factor of 5.44; odds of 1 become odds of 5.44."""
    factor = (10 / 90) / (2 / 98)

    shifted = shift_risk(np.array([0.02, 0.5]), source_prevalence=0.02, prevalence=0.1)

    assert shifted == pytest.approx([0.1, factor / (1 + factor)])


def test_the_auc_counts_a_tie_as_half():
    """Of the 4 (died, survived) pairs 3 are ranked right and 1 is tied: 3.5 / 4."""
    assert joint_auc(np.array([0.9, 0.5, 0.5, 0.1]), np.array([1.0, 1.0, 0.0, 0.0])) == 0.875


def test_the_auc_over_risks_is_the_mean_auc_over_outcomes():
    generator = np.random.default_rng(0)
    risk, score = generator.random(2000), generator.random(2000)
    score += risk
    sampled = [joint_auc(score, (generator.random(2000) < risk).astype(float)) for _ in range(50)]

    assert joint_auc(score, risk) == pytest.approx(np.mean(sampled), abs=0.003)
