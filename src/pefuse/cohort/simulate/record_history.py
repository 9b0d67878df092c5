"""Diagnoses and medications: what became known or was given before the scan, and in the stay after it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pefuse.cohort.simulate.record_events import EventList
from pefuse.cohort.simulate.record_state import PatientState, chance
from pefuse.cohort.simulate.record_stays import LOOKBACK_DAYS, Outcome, Stays
from pefuse.cohort.simulate.record_tables import diagnoses, medications

__all__ = ["DISCHARGE_DIAGNOSES", "THROMBOLYSIS", "add_diagnoses", "add_medications"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

REPEATED_SHARE = 0.3  # of diagnoses that a second, later entry repeats

DISCHARGE_DIAGNOSES = {
    "ICD9CM//415.19": ("Other pulmonary embolism and infarction", 1.0, 1.0),
    "ICD9CM//427.5": ("Cardiac arrest", 0.01, 0.55),
    "ICD9CM//785.51": ("Cardiogenic shock", 0.02, 0.5),
    "ICD9CM//518.84": ("Acute and chronic respiratory failure", 0.05, 0.4),
}
"""Known at discharge only: description, and share of the survivors and of the dead who get it."""

THROMBOLYSIS = ("MEDICATION//INPATIENT//fibrinolytics", 0.04, 0.35)
"""Given after the scan and because of it: share of survivors and of the dead."""


def add_diagnoses(
    events: EventList, state: PatientState, stays: Stays, outcome: Outcome, *, generator: np.random.Generator
) -> None:
    """Add the diagnoses of five years, and those that only the discharge after the scan tells."""
    has = _draw_diagnoses(state, generator=generator)
    rows, columns = np.nonzero(has)
    codes = np.array([item.code for item in diagnoses()])[columns]
    days = _days_of_entry(rows, stays, patients=len(state), generator=generator)
    # Active cancer is coded within the year, by every definition of it.
    cancer = np.array([item.group == "cancer" for item in diagnoses()])[columns]
    days[cancer] = -generator.uniform(2, 360, int(cancer.sum()))
    events.add(rows, days, codes)
    again = generator.random(len(rows)) < REPEATED_SHARE
    events.add(rows[again], days[again] * generator.uniform(0.05, 1, int(again.sum())), codes[again])
    for code, (_, survivors, dead) in DISCHARGE_DIAGNOSES.items():
        share = np.where(outcome.died_in_horizon, dead, survivors)
        known = np.flatnonzero(generator.random(len(state)) < share)
        events.add(known, stays.discharge_days[known], code)


def add_medications(
    events: EventList, state: PatientState, stays: Stays, outcome: Outcome, *, generator: np.random.Generator
) -> None:
    """Add drugs at home, in earlier stays and in the emergency department, and those given after the scan."""
    has = _draw_medications(state, generator=generator)
    rows, columns = np.nonzero(has)
    items = medications()
    codes = np.array([item.code for item in items])[columns]
    home = np.array([item.setting == "out" for item in items])[columns]
    acute = np.array([item.acute for item in items])[columns]
    arrival = stays.arrival_days[rows]
    in_emergency = arrival * generator.uniform(0.05, 0.9, len(rows))
    at_home = arrival - generator.uniform(1, 300, len(rows))
    in_earlier_stay = _days_in_earlier_stay(rows, stays, patients=len(state), generator=generator)
    earlier = np.where(np.isnan(in_earlier_stay), in_emergency, in_earlier_stay)
    days = np.where(home, at_home, np.where(acute, in_emergency, earlier))
    events.add(rows, days, codes)
    refilled = np.flatnonzero(home & (generator.random(len(rows)) < 0.5))
    events.add(rows[refilled], days[refilled] - generator.uniform(30, 400, len(refilled)), codes[refilled])
    _add_thrombolysis(events, stays, outcome, generator=generator)
    _add_drugs_after(events, state, stays, generator=generator)


def _draw_diagnoses(state: PatientState, *, generator: np.random.Generator) -> NDArray[np.bool_]:
    """`(N, D)`; whoever has a comorbidity has at least one of its codes, and nobody else has one."""
    items = diagnoses()
    has = np.zeros((len(state), len(items)), dtype=np.bool_)
    for column, item in enumerate(items):
        probability = chance(item.share, item.frailty * state.latents.frailty, spread=abs(item.frailty))
        if item.group:
            probability = np.where(state.comorbidities[item.group], item.share, 0)
        has[:, column] = generator.random(len(state)) < probability
    for group, present in state.comorbidities.items():
        columns = np.array([column for column, item in enumerate(items) if item.group == group])
        without = np.flatnonzero(present & ~has[:, columns].any(axis=1))
        shares = np.array([items[column].share for column in columns])
        has[without, generator.choice(columns, size=len(without), p=shares / shares.sum())] = True
    return has


def _draw_medications(state: PatientState, *, generator: np.random.Generator) -> NDArray[np.bool_]:
    columns = [
        generator.random(len(state))
        < chance(
            item.share,
            item.physiology * state.latents.physiology + item.frailty * state.latents.frailty,
            spread=float(np.hypot(item.physiology, item.frailty)),
        )
        for item in medications()
    ]
    return np.stack(columns, axis=1)


def _days_of_entry(rows: Rows, stays: Stays, *, patients: int, generator: np.random.Generator) -> Array:
    """When a diagnosis was entered: at the end of an earlier visit, or in a clinic."""
    visit = _some_visit(rows, stays, patients=patients, generator=generator)
    clinic = -generator.uniform(2, LOOKBACK_DAYS, len(rows))
    in_clinic = (visit < 0) | (generator.random(len(rows)) < 0.4)
    return np.where(in_clinic, clinic, stays.end_days[visit] if len(stays.rows) else clinic)


def _days_in_earlier_stay(rows: Rows, stays: Stays, *, patients: int, generator: np.random.Generator) -> Array:
    """A moment within some earlier visit; NaN for who had none."""
    visit = _some_visit(rows, stays, patients=patients, generator=generator)
    share = generator.random(len(rows))
    if not len(stays.rows):
        return np.full(len(rows), np.nan)
    within = stays.start_days[visit] + share * (stays.end_days[visit] - stays.start_days[visit])
    return np.where(visit < 0, np.nan, within)


def _some_visit(rows: Rows, stays: Stays, *, patients: int, generator: np.random.Generator) -> Rows:
    """For each row of a patient, one of that patient's earlier visits; -1 for none."""
    counts = stays.counts(patients=patients)
    first = np.cumsum(counts) - counts
    pick = np.floor(generator.random(len(rows)) * counts[rows]).astype(np.int64)
    return np.where(counts[rows] > 0, first[rows] + pick, -1)


def _add_thrombolysis(
    events: EventList, stays: Stays, outcome: Outcome, *, generator: np.random.Generator
) -> None:
    code, survivors, dead = THROMBOLYSIS
    share = np.where(outcome.died_in_horizon, dead, survivors)
    given = np.flatnonzero(generator.random(len(share)) < share)
    events.add(given, stays.discharge_days[given] * generator.uniform(0, 0.5, len(given)), code)


def _add_drugs_after(
    events: EventList, state: PatientState, stays: Stays, *, generator: np.random.Generator
) -> None:
    """Three drugs a patient in the stay after the scan, of no meaning."""
    codes = np.array([item.code for item in medications() if item.setting == "in"])
    rows = np.repeat(np.arange(len(state)), 3)
    days = stays.discharge_days[rows] * generator.random(len(rows))
    events.add(rows, days, generator.choice(codes, size=len(rows)))
