"""The frozen effects give the AUCs that were asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pefuse.cohort.simulate.calibration import (
    OUTCOME,
    POPULATION,
    SOURCE_PREVALENCE,
    PopulationFigures,
    derive_effects,
    measure,
)
from pefuse.cohort.simulate.population import draw_latents, ideal_risks, joint_auc, risk_of_death, shift_risk


@pytest.fixture(scope="module")
def figures() -> PopulationFigures:
    return measure(draws=60_000, seed=99)


@pytest.mark.parametrize(
    ("name", "wanted", "tolerance"),
    [("ct", 0.88, 0.02), ("ehr", 0.92, 0.02), ("both", 0.98, 0.01), ("pesi", 0.80, 0.03), ("spesi", 0.77, 0.03)],
)
def test_a_new_draw_is_within_the_limits(figures: PopulationFigures, name: str, wanted: float, tolerance: float):
    assert getattr(figures, name) == pytest.approx(wanted, abs=tolerance)
    assert getattr(figures, name) == pytest.approx(getattr(POPULATION, name), abs=0.012)


def test_the_source_population_has_its_prevalence():
    latents = draw_latents(300_000, generator=np.random.default_rng(1))

    assert risk_of_death(OUTCOME, latents).mean() == pytest.approx(SOURCE_PREVALENCE, rel=0.04)


def test_both_modalities_at_once_can_tell_more_than_the_average_of_two_risks():
    """At the paper's 10.6 % deaths, the mean of the two ideal risks loses 0.013 of AUC."""
    latents = draw_latents(50_000, generator=np.random.default_rng(2))
    risks = ideal_risks(OUTCOME, latents)

    ct, ehr = (
        shift_risk(risk, source_prevalence=SOURCE_PREVALENCE, prevalence=0.106) for risk in (risks.ct, risks.ehr)
    )
    late = joint_auc((ct + ehr) / 2, risks.both)

    assert joint_auc(risks.both, risks.both) - late == pytest.approx(0.013, abs=0.004)


@pytest.mark.slow
def test_deriving_the_effects_again_reaches_the_same_aucs():
    model = derive_effects(points_log2=13, seed=5)
    latents = draw_latents(40_000, generator=np.random.default_rng(6))
    risks = ideal_risks(model, latents)

    assert joint_auc(risks.ct, risks.both) == pytest.approx(0.88, abs=0.02)
    assert joint_auc(risks.ehr, risks.both) == pytest.approx(0.92, abs=0.02)
    assert joint_auc(risks.both, risks.both) == pytest.approx(0.98, abs=0.01)
