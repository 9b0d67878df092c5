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

from pefuse.ehr.score_table import Floats, part_points, score_classes
from pefuse.ehr.score_values import ESC_SEVERE, ScoreValues, read_score_values
from pefuse.errors import UsageError
from pefuse.types import Cohort

__all__ = ["MissingParts", "clinical_scores", "count_scores"]

PAPER_SCORES = ("pesi", "spesi")
MissingParts = Literal["normal", "refuse", "impute"]
_POLICIES = ("normal", "refuse", "impute")


def clinical_scores(
    cohort: Cohort,
    study_ids: Sequence[str] | None = None,
    *,
    scores: Sequence[str] = PAPER_SCORES,
    missing: MissingParts = "normal",
    fit_on: Sequence[str] | None = None,
    lookback_hours: float | None = None,
    lag_hours: float = 0.0,
    memory_limit: str = "2GB",
) -> pd.DataFrame:
    """Scores of each study, from what was recorded before its index time.

    Args:
        cohort: with events, or with a table of features whose columns are concepts (by name or by codes.csv).
        study_ids: which studies, in this order; None = all.
        scores: of SCORES.
        missing, fit_on: see `count_scores`.
        lookback_hours: a vital sign or altered mental status older than this counts as missing (absent);
            None = as `scores.csv` says.
        lag_hours: the cut lies so long before the index time.
        memory_limit: see `extract`.

    Returns:
        As `count_scores`.

    Raises:
        UsageError: an unknown score, policy, lookback or study.
        RecordError: the cohort says why it has no scores, or its events cannot be read.
    """
    values = read_score_values(
        cohort,
        study_ids,
        scores=scores,
        lookback_hours=lookback_hours,
        lag_hours=lag_hours,
        memory_limit=memory_limit,
    )
    return count_scores(values, scores, missing=missing, fit_on=fit_on)


def count_scores(
    values: ScoreValues,
    scores: Sequence[str] = PAPER_SCORES,
    *,
    missing: MissingParts = "normal",
    fit_on: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Scores of each study, from the values that were read for them.

    Args:
        missing: what a part without a value counts. `normal`: 0 points, as the scores were derived; `refuse`: the
            whole score is NaN; `impute`: the mean points of the part among the studies of `fit_on` that have it
            (for a sign of the ESC's classes: present where most of them have it). It is always counted. Without
            an age there is no score, unless it is imputed. A comorbidity that no code tells of is absent, unless
            nothing at all is known of the study: then missing.
        fit_on: training studies, of those that were read.

    Returns:
        Indexed by study_id; for each score S: `S_points` (NaN = no score, or one that does not apply), `S_class`
        ("" = no score), `S_risk` (the class's published 30-day mortality, middle of its range), `S_missing`
        (number of missing parts) and one column `S_part_<part>` with its points, NaN = missing.

    Raises:
        UsageError: an unknown policy, or nothing to impute from.
    """
    if missing not in _POLICIES:
        raise UsageError(f"missing is '{missing}': it must be one of {', '.join(_POLICIES)}.")
    if missing == "impute" and not fit_on:
        raise UsageError("missing is 'impute': fit_on must name the training studies to impute from.")
    fitted = np.isin(values.study_ids, list(fit_on or ()))
    table = pd.DataFrame(index=pd.Index(values.study_ids, name="study_id", dtype="str"))
    for score in scores:
        points = _points(score, values)
        counted = _imputed(points, fitted) if missing == "impute" else points
        if score == "esc2019":
            table = table.assign(**_esc_columns(points, counted, _is_severe(values, missing, fitted), missing))
        else:
            table = table.assign(**_score_columns(score, points, counted, missing))
    return table


def _points(score: str, values: ScoreValues) -> dict[str, Floats]:
    """Points of each part of a score, `(N,)`, NaN = missing; of several lines and concepts the one that gives
    most.
    """
    found: dict[str, list[Floats]] = {}
    for part, each in zip(values.parts, values.values, strict=True):
        if part.score == score:
            found.setdefault(part.name, []).extend(part_points(part, value) for value in each)
    return {name: np.asarray(np.fmax.reduce(lines)) for name, lines in found.items()}


def _imputed(points: dict[str, Floats], fitted: NDArray[np.bool_]) -> dict[str, Floats]:
    """Missing points as the mean of the fitted studies'; NaN where none of these has the part."""
    filled = {}
    for name, each in points.items():
        known = each[fitted & np.isfinite(each)]  # infinite: the score does not apply
        filled[name] = np.where(np.isnan(each), known.mean() if known.size else np.nan, each)
    return filled


def _is_severe(values: ScoreValues, missing: MissingParts, fitted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The clinical sign of the ESC's table."""
    signs = []
    for name, cut in ESC_SEVERE.items():
        points = _points(name, values)
        points = _imputed(points, fitted) if missing == "impute" else points
        signs.append(np.nansum(np.stack(list(points.values())), axis=0) >= cut)
    return np.asarray(np.logical_or.reduce(signs))


def _score_columns(
    score: str, points: dict[str, Floats], counted: dict[str, Floats], missing: MissingParts
) -> dict[str, Any]:
    lacking = np.isnan(np.stack(list(points.values()))).sum(axis=0)
    total = np.nansum(np.stack(list(counted.values())), axis=0)
    # Without an age there is no PESI; infinite points say that a score does not apply.
    needed = counted.get("age", next(iter(counted.values())) if len(counted) == 1 else np.zeros(len(total)))
    refused = np.isnan(needed) | np.isinf(total) | ((lacking > 0) & (missing == "refuse"))
    return _columns(score, points, np.where(refused, np.nan, total), lacking)


def _esc_columns(
    points: dict[str, Floats], counted: dict[str, Floats], severe: NDArray[np.bool_], missing: MissingParts
) -> dict[str, Any]:
    """Early mortality by the ESC (2019): 0 low, 1 intermediate-low, 2 intermediate-high, 3 high.

    Instability is high whatever the rest. Of the other three signs (PESI III or sPESI 1 and more, the right
    ventricle, troponin) all make intermediate-high, any intermediate-low: the table asks for the clinical sign
    too, so both markers alone are intermediate-low here.
    """
    lacking = np.isnan(np.stack(list(points.values()))).sum(axis=0)
    unstable, ventricle, troponin = (
        np.nan_to_num(counted[name]) > 0.5 for name in ("instability", "rv_dysfunction", "troponin")
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
