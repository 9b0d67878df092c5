"""When a patient was in hospital: the visits of five years, and the one of the scan."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pefuse.cohort.simulate.record_events import EventList
from pefuse.cohort.simulate.record_state import PatientState

__all__ = ["Outcome", "Stays", "add_visits", "draw_stays"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

LOOKBACK_DAYS = 5 * 365.25
VISITS_MEAN = 1.6  # earlier visits of a patient of average frailty
VISITS_ON_FRAILTY = 0.45  # log of that mean, per SD
ADMITTED_SHARE = 0.45  # of earlier visits; the rest went home from the emergency department

ESCORTS = {"ambulance": 0.34, "family": 0.4, "alone": 0.18, "caregiver": 0.08}
COMPLAINTS = {
    "dyspnea": 0.37,
    "chest_pain": 0.24,
    "weakness": 0.09,
    "fever": 0.08,
    "leg_pain_or_swelling": 0.07,
    "syncope": 0.06,
    "cough": 0.05,
    "other": 0.04,
}
WINGS = {"internal_medicine": 0.62, "surgery": 0.14, "trauma": 0.06, "walk_in": 0.18}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of the `(N,)` patients: days from the scan to death (NaN = alive at the end of follow-up)."""

    died_in_horizon: NDArray[np.bool_]
    death_days: Array


@dataclass(frozen=True, kw_only=True)
class Stays:
    """Earlier visits, a row each and sorted by patient, and each patient's current stay; in days from the scan."""

    rows: Rows  # (V,) whose visit
    start_days: Array  # (V,)
    end_days: Array  # (V,)
    admitted: NDArray[np.bool_]  # (V,)
    arrival_days: Array  # (N,) to the emergency department, < 0
    discharge_days: Array  # (N,) > 0: alive or dead

    def counts(self, *, patients: int) -> Rows:
        """Earlier visits of each patient."""
        return np.bincount(self.rows, minlength=patients).astype(np.int64)


def draw_stays(state: PatientState, outcome: Outcome, *, generator: np.random.Generator) -> Stays:
    """Draw when each patient was in hospital."""
    mean = VISITS_MEAN * np.exp(VISITS_ON_FRAILTY * state.latents.frailty)
    rows = np.repeat(np.arange(len(state)), np.minimum(generator.poisson(mean), 25))
    start = -generator.uniform(20, LOOKBACK_DAYS, len(rows))
    admitted = generator.random(len(rows)) < ADMITTED_SHARE
    nights = np.exp(1.2 + 0.6 * generator.standard_normal(len(rows)) + 0.2 * state.latents.frailty[rows])
    length = np.where(admitted, np.minimum(nights, 18), generator.uniform(0.1, 0.6, len(rows)))
    arrival = -np.clip(np.exp(1.2 + 0.6 * generator.standard_normal(len(state))), 0.75, 20) / 24
    stay = np.exp(1.6 + 0.5 * generator.standard_normal(len(state)))
    alive_until = np.where(np.isnan(outcome.death_days), np.inf, outcome.death_days)
    return Stays(
        rows=rows.astype(np.int64),
        start_days=start,
        end_days=start + length,
        admitted=admitted,
        arrival_days=arrival,
        discharge_days=np.minimum(stay, alive_until),
    )


def add_visits(events: EventList, state: PatientState, stays: Stays, *, generator: np.random.Generator) -> None:
    """Add every visit, and how the patient came to the current one.

    A stay's length is known at its end only: the days of the current stay lie after the scan.
    """
    _add_stay(events, stays.rows, stays.start_days, stays.end_days, stays.admitted)
    everyone = np.arange(len(state))
    events.add(everyone, stays.arrival_days, "VISIT//ED//START")
    # Who goes up to a ward does so after the scan, as it decides on that.
    events.add(everyone, np.minimum(0.2, stays.discharge_days / 2), "VISIT//INPATIENT//START")
    events.add(everyone, stays.discharge_days, "VISIT//INPATIENT//END", stays.discharge_days)
    for topic, shares in (("escort", ESCORTS), ("wing", WINGS), ("complaint", COMPLAINTS)):
        weights = np.array(list(shares.values()))
        drawn = generator.choice(list(shares), size=len(state), p=weights / weights.sum())
        events.add(everyone, stays.arrival_days, np.char.add(f"ARRIVAL//{topic}//", drawn))


def _add_stay(events: EventList, rows: Rows, start: Array, end: Array, admitted: NDArray[np.bool_]) -> None:
    kind = np.where(admitted, "INPATIENT", "ED")
    events.add(rows, start, np.char.add(np.char.add("VISIT//", kind), "//START"))
    events.add(rows, end, np.char.add(np.char.add("VISIT//", kind), "//END"), end - start)
