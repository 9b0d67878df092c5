"""How worrying a scan is that could be prepared: named reasons, each with its weight, added up.

The score orders a page for people to look at. It is no measure of quality, and nothing is left out by it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pefuse.audit.findings import StudyFindings
from pefuse.audit.measures import Measures

__all__ = ["KINDS", "WORRYING", "Kind", "UsualRange", "Worry", "find_worries", "score", "usual_ranges"]

WORRYING = 2.0  # from this score on a study is listed as worrying, below it as fine
THICK_MM = 5.5  # CTPA protocols want 3 at most; at 5, common in older archives, segmental arteries still show
SHORT_COVERAGE_MM = 200.0  # from the lungs' tops to the diaphragm in a small adult
MOVING_REPAIRS = ("missing-slices", "gantry-tilt")  # these make up voxels or move them


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of reason: its words on the page, its weight, and why it is one."""

    label: str
    weight: float
    why: str


KINDS: Mapping[str, Kind] = {
    "no contrast": Kind(label="no contrast", weight=4.0, why="An embolism shows only in contrast."),
    "warning": Kind(label="warning", weight=3.0, why="The scan passed its checks, but one was near its limit."),
    "no lungs": Kind(
        label="lungs not found", weight=3.0, why="Planes are cut through the middle of the volume instead."
    ),
    "moving repair": Kind(
        label="repaired, voxels made up or moved", weight=3.0, why="Slices were filled in or sheared."
    ),
    "thick slices": Kind(
        label="thick slices", weight=2.0, why=f"More than {THICK_MM:g} mm apart: arteries fall between slices."
    ),
    "short coverage": Kind(
        label="short coverage", weight=2.0, why=f"Under {SHORT_COVERAGE_MM:g} mm: lungs may be cut off."
    ),
    "sharp kernel": Kind(label="sharp kernel", weight=2.0, why="Noise hides contrast in small arteries."),
    "unusual spacing": Kind(
        label="unusual slice spacing", weight=2.0, why="Far from the cohort's median: another protocol?"
    ),
    "unusual coverage": Kind(
        label="unusual coverage", weight=2.0, why="Far from the cohort's median: another part of the body?"
    ),
    "unusual tissue": Kind(
        label="unusual tissue HU", weight=2.0, why="Far from the cohort's median: no contrast, or a wrong scale?"
    ),
    "repair": Kind(label="repaired", weight=1.0, why="The files were put right; no voxel was made up."),
    "contrast unknown": Kind(
        label="contrast unknown", weight=1.0, why="Neither a header nor a description tells: look at the vessels."
    ),
    "other series": Kind(
        label="other series usable", weight=0.5, why="Another series of the study could have been taken."
    ),
}


@dataclass(frozen=True, kw_only=True)
class Worry:
    """One reason to look at one study, and what was found."""

    kind: Kind
    detail: str


@dataclass(frozen=True, kw_only=True)
class UsualRange:
    """What most studies of the cohort lie within; NaN counts as inside."""

    low: float
    high: float

    def outside(self, value: float) -> bool:
        return value < self.low or value > self.high


_SPREADS = 3.5  # of robust standard deviations: Iglewicz & Hoaglin 1993
_ENOUGH_STUDIES = 10  # of fewer the median tells little
_LEAST_SPREAD = {"unusual spacing": 0.5, "unusual coverage": 40.0, "unusual tissue": 15.0}  # mm, mm, HU


def find_worries(
    study: StudyFindings, measures: Measures, usual: Mapping[str, UsualRange] | None = None
) -> list[Worry]:
    """All reasons to look at a study that has a volume, the heaviest first."""
    found = [*_of_history(study), *_of_series(study), *_of_cohort(study, measures, usual or {})]
    if not measures.lungs_found:
        found.append(_worry("no lungs"))
    return sorted(found, key=lambda worry: -worry.kind.weight)


def score(worries: Iterable[Worry]) -> float:
    """The sum of the weights; 0 when there is nothing to see."""
    return sum(worry.kind.weight for worry in worries)


def usual_ranges(studies: Sequence[tuple[StudyFindings, Measures]]) -> dict[str, UsualRange]:
    """Where most studies' spacing, coverage and tissue HU lie; empty for a cohort of fewer than ten volumes."""
    if len(studies) < _ENOUGH_STUDIES:
        return {}
    rows = [_numbers(study, measures) for study, measures in studies]
    return {name: _usual([row[name] for row in rows], least_spread=least) for name, least in _LEAST_SPREAD.items()}


def _numbers(study: StudyFindings, measures: Measures) -> dict[str, float]:
    return {
        "unusual spacing": study.slice_spacing_mm,
        "unusual coverage": study.coverage_mm,
        "unusual tissue": measures.tissue_hu,
    }


def _usual(values: Sequence[float], *, least_spread: float) -> UsualRange:
    """From median and median absolute deviation; `least_spread` keeps a cohort of one protocol from trifles."""
    known = np.array([value for value in values if np.isfinite(value)])
    if not known.size:
        return UsualRange(low=-np.inf, high=np.inf)
    median = float(np.median(known))
    spread = max(least_spread, _SPREADS * 1.4826 * float(np.median(np.abs(known - median))))
    return UsualRange(low=median - spread, high=median + spread)


def _of_history(study: StudyFindings) -> list[Worry]:
    warnings = [_worry("warning", warning) for warning in study.warnings]
    repairs = [
        _worry("moving repair" if repair.startswith(MOVING_REPAIRS) else "repair", repair)
        for repair in study.repairs
    ]
    return [*warnings, *repairs]


def _of_series(study: StudyFindings) -> list[Worry]:
    found = []
    if study.contrast is not True:
        found.append(_worry("no contrast" if study.contrast is False else "contrast unknown"))
    if study.slice_spacing_mm > THICK_MM:
        found.append(_worry("thick slices", f"{study.slice_spacing_mm:.3g} mm"))
    if study.coverage_mm < SHORT_COVERAGE_MM:
        found.append(_worry("short coverage", f"{study.coverage_mm:.0f} mm"))
    if study.kernel == "sharp":
        found.append(_worry("sharp kernel"))
    if usable := sum(series.usable for series in study.left_out):
        found.append(_worry("other series", str(usable)))
    return found


def _of_cohort(study: StudyFindings, measures: Measures, usual: Mapping[str, UsualRange]) -> list[Worry]:
    values = _numbers(study, measures)
    units = {"unusual spacing": "mm", "unusual coverage": "mm", "unusual tissue": "HU"}
    return [
        _worry(name, f"{values[name]:.3g} {units[name]}, usual {limits.low:.3g} to {limits.high:.3g}")
        for name, limits in usual.items()
        if limits.outside(values[name])
    ]


def _worry(name: str, detail: str = "") -> Worry:
    return Worry(kind=KINDS[name], detail=detail)
