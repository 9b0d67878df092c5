"""The record of the simulated patients: MEDS events over five years up to the scan, and some after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from pefuse.cohort.simulate.population import Latents
from pefuse.cohort.simulate.record_events import EventList
from pefuse.cohort.simulate.record_history import DISCHARGE_DIAGNOSES, add_diagnoses, add_medications
from pefuse.cohort.simulate.record_measurements import add_measurements
from pefuse.cohort.simulate.record_state import PatientState, draw_state
from pefuse.cohort.simulate.record_stays import (
    COMPLAINTS,
    ESCORTS,
    WINGS,
    Outcome,
    Stays,
    add_visits,
    draw_stays,
)
from pefuse.cohort.simulate.record_tables import diagnoses, measurements, medications
from pefuse.vocabulary import concept

__all__ = ["Outcome", "Record", "codes_table", "draw_record"]

SMOKING = {"never": 0.52, "former": 0.28, "current": 0.2}
DAYS_PER_YEAR = 365.2425


@dataclass(frozen=True, kw_only=True)
class Record:
    """The events of some patients, and how these stood just before the scan."""

    events: pa.Table
    state: PatientState


def draw_record(
    latents: Latents,
    outcome: Outcome,
    *,
    subject_ids: NDArray[np.int64],
    index_times: NDArray[np.datetime64],
    generator: np.random.Generator,
) -> Record:
    """Draw the record of `(N,)` patients whose scans were taken at `index_times` (on full minutes)."""
    state = draw_state(latents, generator=generator)
    stays = draw_stays(state, outcome, generator=generator)
    events = EventList()
    _add_person(events, state, stays, generator=generator)
    add_visits(events, state, stays, generator=generator)
    add_measurements(events, state, stays, outcome, generator=generator)
    add_diagnoses(events, state, stays, outcome, generator=generator)
    add_medications(events, state, stays, outcome, generator=generator)
    dead = np.flatnonzero(~np.isnan(outcome.death_days))
    events.add(dead, outcome.death_days[dead], "MEDS_DEATH")
    table = events.to_table(subject_ids=subject_ids, index_times=index_times)
    return Record(events=table, state=state)


def codes_table() -> pd.DataFrame:
    """`codes.csv`: what each code of the record means, all of the columns text."""
    rows = [
        ("MEDS_BIRTH", "", "demographic", "", "birth"),
        ("MEDS_DEATH", "", "demographic", "", "death"),
        *((f"SEX//{sex}", "sex", "demographic", "", "sex") for sex in ("F", "M")),
        *((f"SMOKING//{habit}", "smoking", "demographic", "", "smoking") for habit in SMOKING),
        *_visit_codes(),
        *((item.code, item.concept, item.kind, item.unit, _described(item.concept)) for item in measurements()),
        ("VITAL//altered_mental_status", "altered_mental_status", "vital", "", "altered mental status, 0 or 1"),
        *((item.code, "", "medication", "", item.description) for item in medications()),
        *((item.code, item.group, "diagnosis", "", item.description) for item in diagnoses()),
        *((code, "", "diagnosis", "", name) for code, (name, _, _) in DISCHARGE_DIAGNOSES.items()),
    ]
    table = pd.DataFrame(rows, columns=["code", "concept", "kind", "unit", "description"])
    return table.drop_duplicates("code").reset_index(drop=True)


def _add_person(events: EventList, state: PatientState, stays: Stays, *, generator: np.random.Generator) -> None:
    everyone = np.arange(len(state))
    birth_days = -np.round(state.age_years * DAYS_PER_YEAR)
    events.add(everyone, birth_days, "MEDS_BIRTH")
    events.add(everyone, birth_days, np.where(state.female, "SEX//F", "SEX//M"))
    habits = generator.choice(list(SMOKING), size=len(state), p=list(SMOKING.values()))
    events.add(everyone, stays.arrival_days, np.char.add("SMOKING//", habits))


def _visit_codes() -> list[tuple[str, str, str, str, str]]:
    visits = [
        (f"VISIT//{place}//{end}", "", "visit", "d" if end == "END" else "", f"{name}, {end.lower()}")
        for place, name in (("ED", "emergency department"), ("INPATIENT", "hospital stay"))
        for end in ("START", "END")
    ]
    arrivals = [
        (f"ARRIVAL//{topic}//{name}", "", "arrival", "", f"{topic}: {name.replace('_', ' ')}")
        for topic, shares in (("escort", ESCORTS), ("wing", WINGS), ("complaint", COMPLAINTS))
        for name in shares
    ]
    return visits + arrivals


def _described(name: str) -> str:
    return concept(name).label
