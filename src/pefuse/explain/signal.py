"""Which features of a simulated record carry signal, and how much: the truth that importance is held against.

`truth.json` lists what each cause does to each event code. A model reads features made of the events, so each is
traced back: a value to its measurement, "measured or not" to the panel that was ordered and to earlier visits, a
number of drugs to the drugs. All of it in one unit: the correlation of the feature with the record's part of the
outcome's log-odds, worked out from the effects in the truth and the shares in the record. It is an estimate to a
few hundredths, enough to tell a lactate (0.6) from one of 600 drugs (0.02).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.cohort.simulate.record_measurements import EARLIER_SHARE
from pefuse.cohort.simulate.record_stays import VISITS_MEAN, VISITS_ON_FRAILTY
from pefuse.cohort.simulate.record_tables import measurements, panels
from pefuse.ehr import RawColumn, RawRecord
from pefuse.errors import CohortError
from pefuse.vocabulary import CodeMeaning, CodeRow, ccs_group, code_rows, icd_chapter, meaning, parse_icd

__all__ = ["CLEAR", "STRONG", "FeatureSignal", "signal_of_record"]

CLEAR, STRONG = 0.1, 0.3  # Cohen's small and medium correlation (1988); less than small nobody can find here
LOG_OF_WAIT = np.pi**2 / 6  # variance of the logarithm of an exponential waiting time
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class FeatureSignal:
    """Correlations, at least 0: of the feature's value with the outcome's cause, and of whether it is there."""

    value: float = 0.0
    measured: float = 0.0


def signal_of_record(record: RawRecord, codes: pd.DataFrame, truth: Mapping[str, Any]) -> dict[str, FeatureSignal]:
    """The signal of each feature of `record` by its key.

    Args:
        codes: the cohort's `codes.csv`.
        truth: the cohort's `truth.json`.

    Raises:
        CohortError: `truth` is not that of a simulated cohort, or speaks of nothing that the record has.
    """
    causes = _Causes.of(truth)
    rows = code_rows(codes)
    known = _Known(causes=causes, record=record, rows=rows, meanings=[meaning(code, rows) for code in rows])
    found = {column.key: known.signal(column) for column in record.columns}
    if not any(signal.value or signal.measured for signal in found.values()):
        raise CohortError(
            "The truth lists no feature that the record has: give the truth.json and codes.csv of this cohort."
        )
    return found


@dataclass(frozen=True)
class _Causes:
    """Effects of the two causes on each listed feature, brought to one number: along the outcome's log-odds."""

    effects: Mapping[str, float]
    frailty: float  # of the outcome's log-odds in the record, the part of frailty (physiology's is the rest)

    @classmethod
    def of(cls, truth: Mapping[str, Any]) -> _Causes:
        try:
            outcome = truth["outcome_model"]["effects"]
            weights = np.array([outcome["physiology"], outcome["frailty"]], dtype=np.float64)
            listed = {str(row["feature"]): (row["physiology"], row["frailty"]) for row in truth["signal"]}
            direction = weights / np.linalg.norm(weights)
            return cls(
                {name: float(np.dot(direction, pair)) for name, pair in listed.items()}, float(direction[1])
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CohortError(
                "The truth.json does not list which features carry signal: simulate the cohort again."
            ) from error

    def __getitem__(self, name: str) -> float:
        return self.effects.get(name, 0.0)


@dataclass(frozen=True)
class _Known:
    causes: _Causes
    record: RawRecord
    rows: Mapping[str, CodeRow]
    meanings: list[CodeMeaning]

    def signal(self, column: RawColumn) -> FeatureSignal:
        """Of one raw column."""
        key, ending = column.key, column.key.rpartition("//")[2]
        if key == "age":
            return FeatureSignal(value=abs(self.causes["age_years"]))
        if column.family in ("vital", "lab"):
            return self._of_measurement(column, ending)
        if ending == "days_since_discharge":
            return self._of_discharge(column)
        if key.startswith("visit//"):
            return FeatureSignal(value=self._of_visits(column, ending))
        if key.startswith("count//"):
            return FeatureSignal(value=self._of_sum(column, self._marks(key.removeprefix("count//"))))
        if column.kind == "binary":
            return FeatureSignal(value=self._of_mark(column))
        return FeatureSignal()  # sex, smoking, arrival and time tell nothing

    def _of_measurement(self, column: RawColumn, ending: str) -> FeatureSignal:
        """Its latest value as listed; its change and extremes move with it; a count says that it was taken."""
        concept = column.key.split("//")[0]
        kind = column.family.upper()
        value = abs(self.causes[f"{kind}//{concept}"])
        measured = self._of_being_measured(column, concept)
        if set(np.unique(self.record.values[:, [self._place(column)]].data)) <= {0.0, 1.0} and not column.unit:
            share = float(np.nanmean(self._numbers(column)))  # a state told as 0 or 1
            value *= _spread(share)
        if ending in ("count", "hours_since"):
            return FeatureSignal(value=measured, measured=measured)
        return FeatureSignal(value=value, measured=measured)

    def _of_being_measured(self, column: RawColumn, concept: str) -> float:
        """It is missing where the panel was not ordered now nor at any earlier visit.

        With s the panel's share, e its effect, and V earlier visits of which a share u has the panel, the log of
        the chance to be missing falls by e·s along physiology and by u·s·V·b along frailty, b that of log V.
        """
        panel = next((item.panel for item in measurements() if item.concept == concept), "")
        share = next((item.share for item in panels() if item.name == panel), 0.0)
        latest = self.record.place(concept)  # what is made of several values lacks more than the measurement does
        numbers = self._numbers(column) if latest is None else self.record.numbers(latest)
        missing = float(np.isnan(numbers).mean())
        if not 0 < missing < 1:
            return 0.0
        visits = VISITS_MEAN * np.exp(VISITS_ON_FRAILTY**2 / 2)
        slope = share * (self.causes[f"panel {panel}"] + EARLIER_SHARE * visits * self._visits_slope)
        return float(slope * np.sqrt(missing / (1 - missing)))

    def _of_visits(self, column: RawColumn, ending: str) -> float:
        """More of them in the frail: the mean rises as exp(b·frailty), so the covariance is b times the mean.

        The visit at hand, which everybody has, is taken off.
        """
        numbers = self._numbers(column)
        spread = float(np.nanstd(numbers))
        if ending == "hours_since_arrival" or not spread > 0:
            return 0.0
        return float(self._visits_slope * (np.nanmean(numbers) - np.nanmin(numbers)) / spread)

    def _of_discharge(self, column: RawColumn) -> FeatureSignal:
        """It is missing without an earlier stay, and lies nearer the more stays there were.

        With λ stays on average, a patient has none with the chance m = exp(-λ). Others have λ / (1 - m), whose
        logarithm rises by b·(1 - λ·m / (1 - m)) along frailty; the time since the last one falls by as much.
        """
        missing = float(np.isnan(self._numbers(column)).mean())
        if not 0 < missing < 1:
            return FeatureSignal()
        mean, odds = -np.log(missing), missing / (1 - missing)
        return FeatureSignal(
            value=float(self._visits_slope * (1 - mean * odds) / np.sqrt(LOG_OF_WAIT)),
            measured=float(self._visits_slope * mean * np.sqrt(odds)),
        )

    @property
    def _visits_slope(self) -> float:
        return self.causes["number of earlier visits"]

    def _of_mark(self, column: RawColumn) -> float:
        share = float(self._numbers(column).mean())
        if not 0 < share < 1:
            return 0.0
        if column.key.startswith(("chapter//", "ccs//")):
            members = [mark for mark in self._marks("diagnosis//") if self._is_in(mark, column.key)]
            covariance = (1 - share) * sum(self._covariance(mark) for mark in members)
        else:
            covariance = self._covariance(column)
        return float(abs(covariance) / _spread(share))

    def _of_sum(self, column: RawColumn, marks: list[RawColumn]) -> float:
        spread = float(np.nanstd(self._numbers(column)))
        return abs(sum(self._covariance(mark) for mark in marks)) / spread if spread > 0 else 0.0

    def _covariance(self, mark: RawColumn) -> float:
        """Of a mark with the cause: its effect on the log-odds times p·(1 - p); a comorbidity's code by that."""
        share = float(self._numbers(mark).mean())
        codes = self._codes_of.get(mark.key, [])
        group = next((self.rows[known.code].concept for known in codes if known.kind == "diagnosis"), "")
        if group and self.causes[group]:
            return self.causes[group] * share * (1 - self._share_of_group(group))
        effect = max((self.causes[known.code] for known in codes), key=abs, default=0.0)
        return effect * share * (1 - share)

    def _share_of_group(self, group: str) -> float:
        """Studies with any diagnosis of the comorbidity."""
        present = np.zeros(len(self.record.study_ids), dtype=bool)
        for mark in self._marks("diagnosis//"):
            if any(self.rows[known.code].concept == group for known in self._codes_of.get(mark.key, [])):
                present |= self._numbers(mark) > 0
        return float(present.mean())

    def _is_in(self, mark: RawColumn, group: str) -> bool:
        icd = next((parse_icd(known.code) for known in self._codes_of.get(mark.key, [])), None)
        return icd is not None and group in (f"chapter//{icd_chapter(icd)}", f"ccs//{ccs_group(icd)[0]}")

    @cached_property
    def _codes_of(self) -> dict[str, list[CodeMeaning]]:
        """Codes by the key of the mark that they set."""
        found: dict[str, list[CodeMeaning]] = {}
        for known in self.meanings:
            found.setdefault(f"{known.kind}//{known.key}", []).append(known)
        return found

    def _marks(self, beginning: str) -> list[RawColumn]:
        return [
            column
            for column in self.record.columns
            if column.kind == "binary" and column.key.startswith(beginning)
        ]

    def _place(self, column: RawColumn) -> int:
        place = self.record.place(column.key)
        assert place is not None
        return place

    def _numbers(self, column: RawColumn) -> Array:
        return self.record.numbers(self._place(column))


def _spread(share: float) -> float:
    """Deviation of a mark that a share of studies has."""
    return float(np.sqrt(share * (1 - share)))
