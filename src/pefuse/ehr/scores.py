"""Clinical scores at the index time: PESI, sPESI, ESC 2019, Bova, modified FAST, CPES, Hestia, NEWS2, shock index.

The points stand in `scores.csv` (concept, unit, cut, points, source), the classes in `score_classes.csv`; this
file only applies them. A measured part is the latest value before the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.ehr.score_table import SCORES, Floats, ScorePart, part_points, score_classes, score_parts
from pefuse.ehr.score_values import score_values
from pefuse.errors import RecordError, UsageError
from pefuse.types import Cohort

__all__ = ["clinical_scores"]

PAPER_SCORES = ("pesi", "spesi")
ESC_SEVERE = {"pesi": 86.0, "spesi": 1.0}  # class III of PESI; either is the clinical sign of the ESC's table


def clinical_scores(
    cohort: Cohort,
    study_ids: Sequence[str] | None = None,
    *,
    scores: Sequence[str] = PAPER_SCORES,
    missing: Literal["normal", "refuse"] = "normal",
    lookback_hours: float | None = None,
    lag_hours: float = 0.0,
    memory_limit: str = "2GB",
) -> pd.DataFrame:
    """Scores of each study, from what was recorded before its index time.

    Args:
        cohort: with events, or with a table of features whose columns are concepts (by name or by codes.csv).
        study_ids: which studies, in this order; None = all.
        scores: of SCORES.
        missing: what a part without a value counts: `normal` = 0 points (as the scores were derived), `refuse` =
            the whole score is NaN. Either way it is counted. Without an age there is no score at all. A
            comorbidity that no code tells of is absent, unless nothing at all is known of the study: then missing.
        lookback_hours: a vital sign or altered mental status older than this counts as missing (absent);
            None = as `scores.csv` says.
        lag_hours: the cut lies so long before the index time.
        memory_limit: see `extract`.

    Returns:
        Indexed by study_id; for each score S: `S_points` (NaN = no score, or one that does not apply), `S_class`
        ("" = no score), `S_risk` (the class's published 30-day mortality, middle of its range), `S_missing`
        (number of missing parts) and one column `S_part_<part>` with its points, NaN = missing.

    Raises:
        UsageError: an unknown score, policy or lookback.
        RecordError: the cohort says why it has no scores.
    """
    if cohort.no_scores:
        raise RecordError(f"Scores cannot be computed for this cohort: {cohort.no_scores}.")
    unknown = [score for score in scores if score not in SCORES]
    if unknown:
        raise UsageError(f"There is no score '{unknown[0]}': there are {', '.join(SCORES)}.")
    if missing not in ("normal", "refuse"):
        raise UsageError(f"missing is '{missing}': it must be normal or refuse.")
    if lookback_hours is not None and lookback_hours <= 0:
        raise UsageError(f"lookback_hours is {lookback_hours:g}: it must be above 0.")
    ids = list(cohort.studies.index) if study_ids is None else list(study_ids)
    needed = list(dict.fromkeys([*scores, *(ESC_SEVERE if "esc2019" in scores else ())]))
    parts = [part for score in needed for part in score_parts(score)]
    values = score_values(
        cohort, ids, parts, lookback_hours=lookback_hours, lag_hours=lag_hours, memory_limit=memory_limit
    )
    points = {score: _points(score, parts, values) for score in needed}
    table = pd.DataFrame(index=pd.Index(ids, name="study_id", dtype="str"))
    for score in scores:
        if score == "esc2019":
            severe = [
                np.nansum(np.stack(list(points[name].values())), axis=0) >= cut for name, cut in ESC_SEVERE.items()
            ]
            columns = _esc_columns(points[score], np.logical_or.reduce(severe), missing)
        else:
            columns = _score_columns(score, points[score], missing)
        table = table.assign(**columns)
    return table


def _points(score: str, parts: Sequence[ScorePart], values: Sequence[Sequence[Floats]]) -> dict[str, Floats]:
    """Points of each part of a score, `(N,)`, NaN = missing; of several lines and concepts the one that gives
    most.
    """
    found: dict[str, list[Floats]] = {}
    for part, each in zip(parts, values, strict=True):
        if part.score == score:
            found.setdefault(part.name, []).extend(part_points(part, value) for value in each)
    return {name: np.asarray(np.fmax.reduce(lines)) for name, lines in found.items()}


def _score_columns(score: str, points: dict[str, Floats], missing: str) -> dict[str, Any]:
    parts = np.stack(list(points.values()))
    lacking = np.isnan(parts).sum(axis=0)
    total = np.nansum(parts, axis=0)
    # Without an age there is no PESI; infinite points say that a score does not apply.
    needed = points.get("age", next(iter(points.values())) if len(points) == 1 else np.zeros(len(total)))
    refused = np.isnan(needed) | np.isinf(total) | ((lacking > 0) & (missing == "refuse"))
    return _columns(score, points, np.where(refused, np.nan, total), lacking)


def _esc_columns(points: dict[str, Floats], severe: NDArray[np.bool_], missing: str) -> dict[str, Any]:
    """Early mortality by the ESC (2019): 0 low, 1 intermediate-low, 2 intermediate-high, 3 high.

    Instability is high whatever the rest. Of the other three signs (PESI III or sPESI 1 and more, the right
    ventricle, troponin) all make intermediate-high, any intermediate-low: the table asks for the clinical sign
    too, so both markers alone are intermediate-low here.
    """
    lacking = np.isnan(np.stack(list(points.values()))).sum(axis=0)
    unstable, ventricle, troponin = (
        np.nan_to_num(points[name]) > 0 for name in ("instability", "rv_dysfunction", "troponin")
    )
    signs = severe.astype(int) + ventricle + troponin
    level = np.where(unstable, 3.0, np.where(signs == 3, 2.0, np.where(signs > 0, 1.0, 0.0)))
    refused = (lacking > 0) & (missing == "refuse")
    return _columns(
        "esc2019", {**points, "severity": severe.astype(float)}, np.where(refused, np.nan, level), lacking
    )


def _columns(score: str, points: dict[str, Floats], total: Floats, lacking: NDArray[np.intp]) -> dict[str, Any]:
    classes = score_classes(score)
    refused = np.isnan(total)
    lowest = np.array([level.lowest_points for level in classes])
    place = np.searchsorted(lowest, np.where(refused, lowest[0], total), side="right") - 1
    risks = np.array([level.risk for level in classes])[place]
    return {
        f"{score}_points": total,
        f"{score}_class": ["" if bad else classes[at].name for bad, at in zip(refused, place, strict=True)],
        f"{score}_risk": np.where(refused, np.nan, risks),
        f"{score}_missing": lacking,
        **{f"{score}_part_{name}": np.where(np.isinf(value), 0.0, value) for name, value in points.items()},
    }
