"""Which patients of a run are shown one by one: like the paper's Figure 5, first of all the mistakes."""

from __future__ import annotations

import pandas as pd

__all__ = ["CaseKind", "choose_cases", "kind_of"]

CaseKind = str
KINDS = ("missed death", "false alarm", "found death", "rightly low")


def kind_of(label: float, called: bool | None) -> CaseKind:
    """What the call at the threshold was for this outcome; "" where there is no threshold."""
    if called is None:
        return ""
    if label == 1:
        return "found death" if called else "missed death"
    return "false alarm" if called else "rightly low"


def choose_cases(risks: pd.DataFrame, *, threshold: float | None, count: int) -> list[str]:
    """Studies to show, the worst mistakes first.

    One of each kind, then mistakes in turn, then right calls: missed deaths from the lowest risk on, false
    alarms from the highest on, found deaths from the highest on, survivors from the lowest on. Without a
    threshold nothing is right or wrong: deaths from the lowest risk on, survivors from the highest on.

    Args:
        risks: indexed by study_id, with the columns label (0/1) and risk.
        threshold: called positive at or above it.
        count: at most so many studies, at least 1.
    """
    table = risks.sort_index()
    called = [None if threshold is None else bool(risk >= threshold) for risk in table["risk"]]
    kinds = [kind_of(label, call) for label, call in zip(table["label"], called, strict=True)]
    if threshold is None:
        kinds = ["missed death" if label == 1 else "false alarm" for label in table["label"]]
    table = table.assign(kind=kinds)
    ranked = {kind: _ranked(table[table["kind"] == kind], kind) for kind in KINDS}
    numbers = dict.fromkeys(KINDS, 0)
    turns = [*KINDS, *["missed death", "false alarm"] * count, *["found death", "rightly low"] * count]
    for kind in turns:
        if sum(numbers.values()) < count and numbers[kind] < len(ranked[kind]):
            numbers[kind] += 1
    return [study_id for kind in KINDS for study_id in ranked[kind][: numbers[kind]]]


def _ranked(rows: pd.DataFrame, kind: CaseKind) -> list[str]:
    """Mistakes by how far off they are; right calls by how sure."""
    lowest_first = kind in ("missed death", "rightly low")
    ordered = rows.sort_values("risk", ascending=lowest_first, kind="stable")
    return [str(study_id) for study_id in ordered.index]
