"""What no hospital has: each patient's causes and ideal risks, and what any predictor could reach at best."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from pefuse.cohort.simulate.calibration import OUTCOME, POPULATION, SOURCE_PREVALENCE
from pefuse.cohort.simulate.config import PeriodCounts, SimulationConfig
from pefuse.cohort.simulate.population import joint_auc
from pefuse.cohort.simulate.record_state import AGE_ON_FRAILTY, ALTERED_MENTAL_STATUS
from pefuse.cohort.simulate.record_stays import VISITS_ON_FRAILTY
from pefuse.cohort.simulate.record_tables import COMORBIDITIES, diagnoses, measurements, medications, panels
from pefuse.cohort.simulate.strata import PeriodStudies

__all__ = ["truth_summary", "truth_table"]

PREDICTORS = ("ct", "ehr", "both")


def truth_table(study_ids: list[str], studies: PeriodStudies) -> pd.DataFrame:
    """`truth.csv` for the studies of one period, one row each in their order."""
    return pd.DataFrame(
        {
            "study_id": study_ids,
            "strain": studies.latents.strain,
            "physiology": studies.latents.physiology,
            "frailty": studies.latents.frailty,
            "clot_burden": studies.latents.clot_burden,
            "ideal_risk_ct": studies.risks.ct,
            "ideal_risk_ehr": studies.risks.ehr,
            "ideal_risk_both": studies.risks.both,
            "label": studies.outcome.died_in_horizon.astype(int),
        }
    )


def truth_summary(config: SimulationConfig, *, truth: pd.DataFrame, in_test_year: pd.Series) -> dict[str, Any]:
    """`truth.json`: the model, what it allows, which features carry signal, and what this sample shows."""
    return {
        "simulated": True,
        "research_use_only": True,
        "config": asdict(config),
        "counts": {"before_test_year": _counted(config.earlier), "test_year": _counted(config.test)},
        "ideal_auc": {name: getattr(POPULATION, name) for name in PREDICTORS},
        "score_auc": {"pesi": POPULATION.pesi, "spesi": POPULATION.spesi},
        "sample_ideal_auc": {
            "all": _sample_auc(truth),
            "before_test_year": _sample_auc(truth[~in_test_year]),
            "test_year": _sample_auc(truth[in_test_year]),
        },
        "outcome_model": {
            "log_odds": "intercept + strain*S + physiology*A + frailty*F + clot_burden*C "
            "+ strain_and_physiology*max(S,0)*max(A,0)",
            "effects": asdict(OUTCOME),
            "source_prevalence": SOURCE_PREVALENCE,
            "ideal_risks": "at the prevalence of the study's own period (log-odds shifted by a constant)",
        },
        "signal": signal_of_features(),
        "leaks_after_the_scan": [
            "every vital and lab",
            "discharge diagnoses",
            "thrombolysis",
            "length of the stay",
            "MEDS_DEATH",
        ],
        "shortcut": _shortcut_note(config),
    }


def signal_of_features() -> list[dict[str, Any]]:
    """Each part of the record that carries signal: of which cause, how strongly, in which measure.

    What is not listed tells nothing of death: most drugs and diagnoses, many labs, sex, smoking, arrival and time.
    """
    return [
        *_signal("correlation", [(item.code, item.physiology, item.frailty) for item in measurements()]),
        *_signal("correlation", [("age_years", 0.0, AGE_ON_FRAILTY)]),
        *_signal("log-odds per SD", [("VITAL//altered_mental_status", *ALTERED_MENTAL_STATUS[1:])]),
        *_signal("log-odds per SD", [(name, 0.0, effect) for name, (_, effect) in COMORBIDITIES.items()]),
        *_signal("log-odds per SD", [(item.code, item.physiology, item.frailty) for item in medications()]),
        *_signal("log-odds per SD", [(item.code, 0.0, item.frailty) for item in diagnoses()]),
        *_signal("log of mean count per SD", [("number of earlier visits", 0.0, VISITS_ON_FRAILTY)]),
        *_signal(
            "log-odds per SD of being measured",
            [(f"panel {item.name}", item.physiology, 0) for item in panels()],
        ),
    ]


def _signal(measure: str, effects: list[tuple[str, float, float]]) -> list[dict[str, Any]]:
    return [
        {"feature": name, "measure": measure, "physiology": physiology, "frailty": frailty}
        for name, physiology, frailty in effects
        if physiology or frailty
    ]


def _sample_auc(truth: pd.DataFrame) -> dict[str, float]:
    label = truth["label"].to_numpy(dtype=np.float64)
    return {
        name: round(joint_auc(truth[f"ideal_risk_{name}"].to_numpy(dtype=np.float64), label), 4)
        for name in PREDICTORS
    }


def _counted(counts: PeriodCounts) -> dict[str, int]:
    return {"studies": counts.patients, "deaths": counts.deaths}


def _shortcut_note(config: SimulationConfig) -> str:
    if config.shortcut == "site":
        return "before the test year, site B scanned 9 of 10 who died and 1 of 10 who lived; in it, by chance"
    return "none: site by chance"
