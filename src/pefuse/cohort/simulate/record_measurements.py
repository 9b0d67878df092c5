"""Vital signs and labs over time: at earlier visits, in the hours before the scan, and after it.

A measurement drifts from what it was when the patient was well (`chronic`) to its level just before the scan; the
last reading before the scan is that level. After the scan the dying get worse, which nobody may use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pefuse.cohort.simulate.record_events import EventList
from pefuse.cohort.simulate.record_state import PatientState, values_of
from pefuse.cohort.simulate.record_stays import Outcome, Stays
from pefuse.cohort.simulate.record_tables import Measurement, Panel, measurements, panels

__all__ = ["add_measurements"]

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

ONSET_DAYS = 1.0  # time in which the acute part of a level builds up
READING_NOISE = (
    0.28  # SD of one reading about its level, times sqrt(1 - lasting); none for the last before the scan
)
REPEATS = {"vital": 4, "lab": 2}  # rounds in the emergency department before the scan
LATER_ROUNDS = 3  # rounds after the scan
WORSE_AFTER = 1.5  # SD that the dying move by after the scan, in the direction of bad physiology
EARLIER_SHARE = 0.75  # of a panel's usual share, at an earlier visit


def add_measurements(
    events: EventList, state: PatientState, stays: Stays, outcome: Outcome, *, generator: np.random.Generator
) -> None:
    """Add all readings of all measurements, panel by panel."""
    for panel in panels():
        columns = [column for column, item in enumerate(measurements()) if item.panel == panel.name]
        kind = measurements()[columns[0]].kind
        before = _rounds_before(stays, kind=kind, generator=generator)
        after = _rounds_after(stays, generator=generator)
        earlier = _earlier_rounds(stays, panel, generator=generator)
        for column in columns:
            _add_last(events, state, column, last=before[:, -1])
            _add_repeats(events, state, column, rounds=before, generator=generator)
            _add_later(events, state, outcome, column, rounds=after, generator=generator)
            _add_earlier(events, state, column, rounds=earlier, generator=generator)
    _add_mental_status(events, state, stays)


def _rounds_before(stays: Stays, *, kind: str, generator: np.random.Generator) -> Array:
    """Days from the scan of each round, `(N, R)`, in order and all before the scan."""
    # One round in each equal part of the wait, so that no two fall into the same minute.
    rounds = REPEATS[kind]
    shares = (np.arange(rounds) + generator.uniform(0.1, 0.9, (len(stays.arrival_days), rounds))) / rounds
    return np.asarray(stays.arrival_days[:, None] * (1 - shares), dtype=np.float64)


def _rounds_after(stays: Stays, *, generator: np.random.Generator) -> Array:
    """Days after the scan, `(N, R)`; the first round is at the very minute of the scan."""
    shares = np.sort(generator.uniform(0.02, 0.98, (len(stays.discharge_days), LATER_ROUNDS)), axis=1)
    shares[:, 0] = 0
    return np.asarray(stays.discharge_days[:, None] * shares, dtype=np.float64)


def _earlier_rounds(stays: Stays, panel: Panel, *, generator: np.random.Generator) -> tuple[Rows, Array]:
    """Whose earlier visits had this panel, and on which days."""
    taken = generator.random(len(stays.rows)) < EARLIER_SHARE * panel.share
    within = stays.start_days + generator.random(len(stays.rows)) * (stays.end_days - stays.start_days)
    return stays.rows[taken], within[taken]


def _add_last(events: EventList, state: PatientState, column: int, *, last: Array) -> None:
    item = measurements()[column]
    rows = np.flatnonzero(state.ordered[:, column])
    events.add(rows, last[rows], item.code, values_of(item, state.level[rows, column]))


def _add_repeats(
    events: EventList, state: PatientState, column: int, *, rounds: Array, generator: np.random.Generator
) -> None:
    """The rounds before the last one, each done in half of the patients."""
    item = measurements()[column]
    done = state.ordered[:, [column]] & (generator.random((len(state), rounds.shape[1] - 1)) < 0.5)
    rows, turns = np.nonzero(done)
    days = rounds[rows, turns]
    built_up = np.exp((days - rounds[rows, -1]) / ONSET_DAYS)
    chronic, level = state.chronic[rows, column], state.level[rows, column]
    _add_readings(events, item, rows, days, chronic + built_up * (level - chronic), generator=generator)


def _add_earlier(
    events: EventList,
    state: PatientState,
    column: int,
    *,
    rounds: tuple[Rows, Array],
    generator: np.random.Generator,
) -> None:
    rows, days = rounds
    _add_readings(events, measurements()[column], rows, days, state.chronic[rows, column], generator=generator)


def _add_later(
    events: EventList,
    state: PatientState,
    outcome: Outcome,
    column: int,
    *,
    rounds: Array,
    generator: np.random.Generator,
) -> None:
    item = measurements()[column]
    rows, turns = np.nonzero(state.ordered[:, [column]] & (generator.random(rounds.shape) < 0.5))
    worse = np.where(outcome.died_in_horizon[rows], WORSE_AFTER, -WORSE_AFTER / 3) * np.sign(item.physiology)
    level = state.level[rows, column] + worse * (turns + 1) / LATER_ROUNDS
    _add_readings(events, item, rows, rounds[rows, turns], level, generator=generator)


def _add_readings(
    events: EventList,
    item: Measurement,
    rows: Rows,
    days: Array,
    level: Array,
    *,
    generator: np.random.Generator,
) -> None:
    noise = READING_NOISE * np.sqrt(1 - item.lasting) * generator.standard_normal(len(rows))
    events.add(rows, days, item.code, values_of(item, level + noise))


def _add_mental_status(events: EventList, state: PatientState, stays: Stays) -> None:
    """0 or 1, noted at arrival."""
    rows = np.arange(len(state))
    altered = state.altered_mental_status.astype(np.float64)
    events.add(rows, stays.arrival_days, "VITAL//altered_mental_status", altered)
