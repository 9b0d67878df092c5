"""How the effects of the outcome model were found, and what they give: by a large draw, once.

`derive_effects` solves for the effects that make the ideal predictors reach the wanted AUCs; its answer is frozen
in `OUTCOME`, and what a large draw gives with it in `POPULATION`. `measure` draws again, so that a test can hold
the frozen numbers against the code.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, least_squares
from scipy.special import ndtri
from scipy.stats.qmc import Sobol

from pefuse.cohort.simulate.population import (
    Latents,
    OutcomeModel,
    draw_latents,
    ideal_risks,
    joint_auc,
    risk_of_death,
)
from pefuse.cohort.simulate.record_state import PatientState, draw_state, values_of
from pefuse.cohort.simulate.record_tables import measurements

__all__ = [
    "OUTCOME",
    "POPULATION",
    "SOURCE_PREVALENCE",
    "PopulationFigures",
    "derive_effects",
    "measure",
    "pesi_points",
    "spesi_points",
]

Array = NDArray[np.float64]

SOURCE_PREVALENCE = 0.023
"""Deaths within 30 days in the source population, all comers with acute embolism.

Not the 10.6 % of the paper's emergency cohort, which the simulator reaches by drawing the dead and the survivors
separately. With independent causes, the commoner death is, the less each modality alone can tell for a given 0.98
from both: at 10.6 % we found no effects that give 0.88, 0.92 and 0.98 together; at 1 % only some with next to no
interaction.
"""

WANTED_AUC = {"ct": 0.88, "ehr": 0.92, "both": 0.98}

FRAILTY_TO_PHYSIOLOGY = 1.2  # ratio of their effects; fixed by us, the AUCs do not determine it
CLOT_EFFECT = 0.15  # hardly tied to death, as the paper found
CHUNK = 100_000  # patients drawn at a time: 200 MB

OUTCOME = OutcomeModel(
    intercept=-7.8546,
    strain=1.3252,
    physiology=1.3735,
    frailty=1.6482,
    clot_burden=CLOT_EFFECT,
    strain_and_physiology=1.6180,
)
"""`derive_effects()`, rounded."""


@dataclass(frozen=True, kw_only=True)
class PopulationFigures:
    """AUROCs in the source population."""

    ct: float
    ehr: float
    both: float
    pesi: float
    spesi: float


POPULATION = PopulationFigures(ct=0.8795, ehr=0.9197, both=0.9799, pesi=0.7971, spesi=0.7754)
"""`measure(draws=2_000_000, seed=2024)`, rounded."""


def measure(model: OutcomeModel = OUTCOME, *, draws: int, seed: int) -> PopulationFigures:
    """AUROCs of the ideal predictors and of PESI and sPESI as recorded, in a draw of the source population."""
    generator = np.random.default_rng(seed)
    sizes = [CHUNK] * (draws // CHUNK) + ([draws % CHUNK] if draws % CHUNK else [])
    drawn = [_draw_scores(model, size, generator=generator) for size in sizes]
    scores = {name: np.concatenate([chunk[name] for chunk in drawn]) for name in drawn[0]}
    return PopulationFigures(**{name: joint_auc(score, scores["both"]) for name, score in scores.items()})


def _draw_scores(model: OutcomeModel, count: int, *, generator: np.random.Generator) -> dict[str, Array]:
    latents = draw_latents(count, generator=generator)
    state = draw_state(latents, generator=generator, kinds=("vital",))
    risks = ideal_risks(model, latents)
    return {
        "ct": risks.ct,
        "ehr": risks.ehr,
        "both": risks.both,
        "pesi": pesi_points(state),
        "spesi": spesi_points(state),
    }


def derive_effects(*, points_log2: int = 16, seed: int = 2023) -> OutcomeModel:
    """The effects that reach `WANTED_AUC` at `SOURCE_PREVALENCE`, by 2**points_log2 evenly spread patients.

    Evenly spread (Sobol) points give in 65,536 what a plain draw gives in some millions, so that the solver sees
    a smooth surface; `measure`, which is a plain draw, then tells whether the answer holds.
    """
    points = ndtri(Sobol(4, scramble=True, rng=seed).random_base2(points_log2)).T
    latents = Latents(strain=points[0], physiology=points[1], frailty=points[2], clot_burden=points[3])

    def misses(effects: Array) -> list[float]:
        model = _model(effects, latents)
        risks = ideal_risks(model, latents)
        reached = {"ct": risks.ct, "ehr": risks.ehr, "both": risks.both}
        return [joint_auc(reached[name], risks.both) - wanted for name, wanted in WANTED_AUC.items()]

    solved = least_squares(
        misses, [1.0, 1.4, 2.0], bounds=(0, 10), diff_step=np.full(3, 0.02), xtol=1e-5, max_nfev=20
    )
    return _model(solved.x, latents)


def _model(effects: Array, latents: Latents) -> OutcomeModel:
    """The model with those effects of strain, physiology and both, its intercept set by the prevalence."""
    strain, physiology, together = (float(effect) for effect in effects)

    def with_intercept(intercept: float) -> OutcomeModel:
        return OutcomeModel(
            intercept=intercept,
            strain=strain,
            physiology=physiology,
            frailty=FRAILTY_TO_PHYSIOLOGY * physiology,
            clot_burden=CLOT_EFFECT,
            strain_and_physiology=together,
        )

    intercept = brentq(
        lambda b0: float(risk_of_death(with_intercept(b0), latents).mean()) - SOURCE_PREVALENCE, -40, 0, xtol=1e-6
    )
    return with_intercept(intercept)


# The sums below are the scores' published rules, here for the calibration alone: what users get comes from
# pefuse.ehr, which this layer may not import. A test holds the two against each other on a written cohort.


def pesi_points(state: PatientState) -> Array:
    """PESI points (Aujesky 2005) of recorded values; what was not measured counts as normal."""
    vital = _vitals(state)
    return np.asarray(
        np.floor(state.age_years)
        + 10.0 * ~state.female
        + 30.0 * state.comorbidities["cancer"]
        + 10.0 * state.comorbidities["heart_failure"]
        + 10.0 * state.comorbidities["chronic_lung_disease"]
        + 20.0 * (vital["heart_rate"] >= 110)
        + 30.0 * (vital["systolic_bp"] < 100)
        + 20.0 * (vital["respiratory_rate"] >= 30)
        + 20.0 * (vital["temperature"] < 36)
        + 60.0 * state.altered_mental_status
        + 20.0 * (vital["spo2"] < 90),
        dtype=np.float64,
    )


def spesi_points(state: PatientState) -> Array:
    """sPESI points (Jimenez 2010) of recorded values; what was not measured counts as normal."""
    vital = _vitals(state)
    chronic = state.comorbidities["heart_failure"] | state.comorbidities["chronic_lung_disease"]
    return np.asarray(
        1.0 * (np.floor(state.age_years) > 80)
        + state.comorbidities["cancer"]
        + chronic
        + (vital["heart_rate"] >= 110)
        + (vital["systolic_bp"] < 100)
        + (vital["spo2"] < 90),
        dtype=np.float64,
    )


def _vitals(state: PatientState) -> dict[str, Array]:
    """Values by concept, `(N,)`; NaN where not measured, which no comparison counts."""
    return {
        item.concept: np.where(state.ordered[:, column], values_of(item, state.level[:, column]), np.nan)
        for column, item in enumerate(measurements())
        if item.kind == "vital"
    }
