"""Visit codes: which kind of visit, and whether the code marks its start, its end or the whole of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

__all__ = ["VISIT_SETTINGS", "VisitMark", "visit_mark"]

VisitSetting = Literal["emergency", "inpatient", "intensive care", "outpatient"]
VisitEdge = Literal["start", "end", "days", "whole"]

VISIT_SETTINGS: tuple[VisitSetting, ...] = ("emergency", "inpatient", "intensive care", "outpatient")

_SETTING_WORDS: dict[VisitSetting, tuple[str, ...]] = {
    "outpatient": ("OUTPATIENT", "CLINIC", "AMBULATORY", "OP", "OFFICE"),
    "intensive care": ("ICU", "INTENSIVE"),
    "emergency": ("ED", "ER", "EMERGENCY", "ERIP"),
    "inpatient": ("INPATIENT", "IP", "HOSPITAL", "HOSPITALIZATION", "ADMISSION"),
}
_EDGE_WORDS: dict[VisitEdge, tuple[str, ...]] = {
    "start": ("START", "ADMISSION", "REGISTRATION", "IN"),
    "end": ("END", "DISCHARGE", "OUT"),
    "days": ("DAYS",),
}


@dataclass(frozen=True)
class VisitMark:
    """`edge`: start, end, days (its number says how many, known at its time) or whole (a visit of unknown length,
    or, with a number, one that begins at its time and lasts that many days)."""

    setting: VisitSetting
    edge: VisitEdge


@cache
def visit_mark(code: str, concept: str = "") -> VisitMark:
    """Read `VISIT//ED//START`, `HOSPITAL_DISCHARGE//HOME`, `Visit/IP`: the first parts of the code decide.

    `concept` is what the cohort's codes.csv says, used where the code itself names no setting.
    """
    head = code.split("//")
    words = _words("//".join(head[:3]) if head[0].upper() == "VISIT" else head[0])
    return VisitMark(_setting(words) or _setting(_words(concept)) or "outpatient", _edge(words, _words(concept)))


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[^A-Z0-9]+", text.upper()) if word]


def _setting(words: list[str]) -> VisitSetting | None:
    for setting, known in _SETTING_WORDS.items():
        if set(known) & set(words):
            return setting
    return None


def _edge(words: list[str], more: list[str]) -> VisitEdge:
    for edge, known in _EDGE_WORDS.items():
        if set(known) & {*words, *more}:
            return edge
    return "whole"
