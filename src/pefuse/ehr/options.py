"""What features are made of the record, beyond the paper's; all of it is decided before anything is fitted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal, get_args

from pydantic import ConfigDict

from pefuse.errors import UsageError
from pefuse.types import FeatureFamily

__all__ = ["Course", "DiagnosisGroup", "FeatureOptions"]

DiagnosisGroup = Literal["chapter", "ccs"]
Course = Literal["hours_since", "count", "trend", "worst_24h"]


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """How far back and how close to the scan the record is read, and what is made of it.

    lag_hours: the cut lies so long before the index time. lookback_days: by family, what is older does not count.
    families: only these; empty = all. measured: of each vital sign and lab, besides the latest value, the hours
    since it, the number of values, their change a day over the last week, and the lowest and highest of 24 hours.
    diagnosis_groups: whether any diagnosis of each group is there, by the chapters of ICD or by CCS.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    lag_hours: float = 0.0
    lookback_days: Mapping[FeatureFamily, float] = field(default_factory=dict)
    families: tuple[FeatureFamily, ...] = ()
    measured: tuple[Course, ...] = ()
    diagnosis_groups: tuple[DiagnosisGroup, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.lag_hours < math.inf:
            raise UsageError(f"lag_hours is {self.lag_hours:g}: it must be 0 or more.")
        for family, days in self.lookback_days.items():
            _known(family, get_args(FeatureFamily), "family")
            if not 0 < days < math.inf:
                raise UsageError(f"The lookback of {family} is {days:g} days: it must be above 0.")
        for family in self.families:
            _known(family, get_args(FeatureFamily), "family")
        for group in self.diagnosis_groups:
            _known(group, get_args(DiagnosisGroup), "group of diagnoses")
        for each in self.measured:
            _known(each, get_args(Course), "measured feature")


def _known(name: str, names: tuple[str, ...], what: str) -> None:
    if name not in names:
        raise UsageError(f"There is no {what} '{name}': there are {', '.join(names)}.")
