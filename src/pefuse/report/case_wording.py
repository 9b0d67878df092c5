"""What a single case's card says: what happened and was foretold, what moved the risk, where the heat lies."""

from __future__ import annotations

from dataclasses import dataclass

from pefuse.report.explanations import Case, Heat, StructureHeat
from pefuse.report.heat_truth import structure_label
from pefuse.report.tables import format_number

__all__ = [
    "RiskBar",
    "case_sentence",
    "case_title",
    "hottest_structures",
    "moved_sentence",
    "peak_sentence",
    "risk_bars",
    "risk_text",
    "scale_of",
    "unlabelled_sentence",
]

_TITLES = {
    "missed death": "Missed death",
    "false alarm": "False alarm",
    "found death": "Death that was found",
    "rightly low": "Rightly called low risk",
}
_STRUCTURES = 4  # that are named of a case, those with most heat


@dataclass(frozen=True, kw_only=True)
class RiskBar:
    """One risk of a case, and how long its bar is in percent of the longest that a card shows."""

    words: str
    risk: float
    percent: float
    main: bool


def case_title(case: Case) -> str:
    """`Missed death`."""
    return _TITLES.get(case.kind) or ("Died" if case.label else "Survived")


def case_sentence(case: Case, *, horizon_days: int, threshold: float | None) -> str:
    """`Died within 30 days. The risk was 9.1 %, below the threshold of 12 %: called low risk.`"""
    happened = "Died" if case.label else "Survived"
    told = (
        f"{happened} {'within' if case.label else 'the'} {horizon_days} days. The risk was {risk_text(case.risk)}"
    )
    if threshold is None or case.called is None:
        return f"{told}."
    place, called = ("at or above", "high") if case.called else ("below", "low")
    return f"{told}, {place} the threshold of {risk_text(threshold)}: called {called} risk."


def moved_sentence(case: Case) -> str:
    """What scan and record did to the risk, each replaced by its average; "" where neither is known."""
    parts = []
    for name, without in (("scan", case.without_scan), ("record", case.without_record)):
        if without is not None:
            parts.append(f"the {name} {_moved(case.risk - without)}")
    if not parts:
        return ""
    sentence = " and ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}, against an average one."


def risk_bars(case: Case, *, label: str, threshold: float | None) -> list[RiskBar]:
    """Risks that are known, the model's own first; the greatest of them, or the threshold, is a full bar."""
    given = [
        (label, case.risk),
        ("Scan alone (single model)", case.scan_alone),
        ("Record alone (single model)", case.record_alone),
        ("Without the scan", case.without_scan),
        ("Without the record", case.without_record),
    ]
    known = [(words, risk) for words, risk in given if risk is not None]
    longest = scale_of(case, threshold=threshold)
    return [
        RiskBar(words=words, risk=risk, percent=100 * risk / longest, main=place == 0)
        for place, (words, risk) in enumerate(known)
    ]


def scale_of(case: Case, *, threshold: float | None) -> float:
    """The risk that a full bar stands for."""
    risks = (case.risk, case.scan_alone, case.record_alone, case.without_scan, case.without_record, threshold)
    return max(0.01, *(risk for risk in risks if risk is not None))


def hottest_structures(heat: Heat) -> list[StructureHeat]:
    """The structures with most of the heat; none where the anatomy is not known."""
    labelled = [one for one in heat.structures or [] if one.volume_share > 0]
    return sorted(labelled, key=lambda one: one.heat_share, reverse=True)[:_STRUCTURES]


def unlabelled_sentence(heat: Heat) -> str:
    """Parts of the anatomy that the scan's mask lacks; "" where there are none. A clot need not be there."""
    lacking = [structure_label(one.structure) for one in heat.structures or [] if one.volume_share <= 0]
    named = [name for name in lacking if name != "clot"]
    return f"Not labelled in this scan: {', '.join(named)}." if named else ""


def peak_sentence(heat: Heat) -> str:
    """Where the hottest voxel lies."""
    if not heat.peak_mm:
        return "There is no heat: by this map nothing in the scan raised the risk."
    place = ", ".join(format_number(value, decimals=0) for value in heat.peak_mm)
    return (
        f"Hottest point at ({place}) mm in the scanner's coordinates: the numbers count towards left, back and "
        "head; negative ones towards right, front and feet."
    )


def risk_text(risk: float) -> str:
    """`9.4 %`, `31 %`."""
    return f"{100 * risk:.0f} %" if risk >= 0.0995 else f"{100 * risk:.1f} %"


def _moved(difference: float) -> str:
    points = format_number(abs(100 * difference), decimals=1)
    if float(points) == 0:
        return "left the risk as it was"
    return f"{'raised' if difference > 0 else 'lowered'} the risk by {points} points"
