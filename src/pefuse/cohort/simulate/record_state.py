"""How a patient stands just before the scan: age, comorbidities and the level of everything that can be measured.

The events of the record and the large draw of the calibration both start here, so the scores that the calibration
finds are those that the record gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from pefuse.cohort.simulate.population import Latents
from pefuse.cohort.simulate.record_tables import (
    COMORBIDITIES,
    Measurement,
    Panel,
    measurements,
    panels,
)

__all__ = ["PatientState", "chance", "draw_state", "values_of"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

AGE_MEAN_YEARS = 63.0
AGE_SPREAD_YEARS = 15.5
AGE_ON_FRAILTY = 0.65  # correlation
PANEL_SHARE = 0.2  # of its acute noise: what it has in common with the others of its panel
ALTERED_MENTAL_STATUS = (0.05, 1.1, 0.3)  # share, log-odds per SD of physiology and of frailty


@dataclass(frozen=True, kw_only=True)
class PatientState:
    """`(N,)` patients at their index times; `level` and `chronic` are `(N, M)` in SD, M as in `measurements()`."""

    latents: Latents
    female: Flags
    age_years: Array
    comorbidities: dict[str, Flags]
    altered_mental_status: Flags
    level: Array  # just before the scan
    chronic: Array  # what it was when the patient was well
    ordered: Flags  # (N, M): measured in the emergency department

    def __len__(self) -> int:
        return len(self.age_years)


def draw_state(
    latents: Latents,
    *,
    generator: np.random.Generator,
    kinds: tuple[str, ...] = ("vital", "lab"),
) -> PatientState:
    """Draw how the patients stand; `kinds` leaves out measurements of no interest (their columns are NaN)."""
    count = len(latents)
    level, chronic = _draw_levels(latents, generator=generator, kinds=kinds)
    return PatientState(
        latents=latents,
        female=generator.random(count) < 0.53,
        age_years=_draw_age_years(latents, generator=generator),
        comorbidities={
            name: _flags(chance(share, effect * latents.frailty, spread=abs(effect)), generator=generator)
            for name, (share, effect) in COMORBIDITIES.items()
        },
        altered_mental_status=_draw_altered_mental_status(latents, generator=generator),
        level=level,
        chronic=chronic,
        ordered=_draw_ordered(latents, generator=generator),
    )


def values_of(measurement: Measurement, level: Array) -> Array:
    """What the laboratory writes at a level in SD: in the measurement's unit, within its bounds, rounded."""
    match measurement.shape:
        case "normal":
            value = measurement.typical + measurement.spread * level
        case "lognormal":
            value = measurement.typical * np.exp(measurement.spread * level)
        case "reflected":
            value = 100 - measurement.typical * np.exp(measurement.spread * level)
    bounded = np.clip(value, measurement.lowest, measurement.highest)
    return np.asarray(np.round(bounded, measurement.decimals), dtype=np.float64)


def chance(share: float, log_odds: Array, *, spread: float) -> Array:
    """Probabilities whose log-odds rise by `log_odds` (SD `spread`) and whose mean is about `share`."""
    # The logistic curve flattened by a normal: Zeger, Liang and Albert 1988.
    return np.asarray(expit(logit(share) * np.sqrt(1 + 0.346 * spread**2) + log_odds), dtype=np.float64)


def _draw_levels(
    latents: Latents, *, generator: np.random.Generator, kinds: tuple[str, ...]
) -> tuple[Array, Array]:
    shape = (len(latents), len(measurements()))
    level, chronic = np.full(shape, np.nan), np.full(shape, np.nan)
    for panel in panels():
        common = generator.standard_normal(len(latents))
        for column in _columns(panel, kinds):
            item = measurements()[column]
            noise = np.sqrt(1 - item.physiology**2 - item.frailty**2)
            sick = item.physiology * latents.physiology
            years, own = generator.standard_normal((2, len(latents)))
            acute = np.sqrt(PANEL_SHARE) * common + np.sqrt(1 - PANEL_SHARE) * own
            chronic[:, column] = item.frailty * latents.frailty + noise * np.sqrt(item.lasting) * years
            level[:, column] = chronic[:, column] + sick + noise * np.sqrt(1 - item.lasting) * acute
    return level, chronic


def _columns(panel: Panel, kinds: tuple[str, ...]) -> list[int]:
    return [
        column for column, item in enumerate(measurements()) if item.panel == panel.name and item.kind in kinds
    ]


def _draw_age_years(latents: Latents, *, generator: np.random.Generator) -> Array:
    own = generator.standard_normal(len(latents))
    level = AGE_ON_FRAILTY * latents.frailty + np.sqrt(1 - AGE_ON_FRAILTY**2) * own
    return np.asarray(np.clip(AGE_MEAN_YEARS + AGE_SPREAD_YEARS * level, 18.5, 102.0), dtype=np.float64)


def _draw_altered_mental_status(latents: Latents, *, generator: np.random.Generator) -> Flags:
    share, physiology, frailty = ALTERED_MENTAL_STATUS
    log_odds = physiology * latents.physiology + frailty * latents.frailty
    return _flags(chance(share, log_odds, spread=float(np.hypot(physiology, frailty))), generator=generator)


def _draw_ordered(latents: Latents, *, generator: np.random.Generator) -> Flags:
    """Which measurements are taken in the emergency department: whole panels, more of them in the sick."""
    ordered = np.zeros((len(latents), len(measurements())), dtype=np.bool_)
    for panel in panels():
        probability = chance(panel.share, panel.physiology * latents.physiology, spread=panel.physiology)
        whole = _flags(probability, generator=generator)
        for column in _columns(panel, ("vital", "lab")):
            # One in fifty single values is lost: a haemolysed tube, a form not filled in.
            ordered[:, column] = whole & (generator.random(len(latents)) < 0.98)
    return ordered


def _flags(probability: Array, *, generator: np.random.Generator) -> Flags:
    return np.asarray(generator.random(len(probability)) < probability, dtype=np.bool_)
