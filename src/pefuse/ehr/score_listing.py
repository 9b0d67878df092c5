"""The points behind a study's score, line by line: what was found, against what cut, and whose rule it is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pefuse.ehr.score_table import Floats, ScorePart, part_points
from pefuse.ehr.score_values import ScoreValues
from pefuse.errors import UsageError
from pefuse.vocabulary import concepts

__all__ = ["list_points"]

_WORDS = {"above to": "above {} to {}", "from to": "{} to {}"}


def list_points(values: ScoreValues, study_id: str, score: str) -> pd.DataFrame:
    """Each line of a score for one study, in the order of `scores.csv`.

    Returns:
        part, found (a value with its unit, `yes`, `no` or `missing`), counts_if, points (NaN = missing), source.
        Of several lines of one part the one with most points counts.

    Raises:
        UsageError: a study or score that was not read.
    """
    if study_id not in values.study_ids:
        raise UsageError(f"Study {study_id} is not among those read.")
    if not any(part.score == score for part in values.parts):
        raise UsageError(f"The score {score} is not among those read.")
    row = values.study_ids.index(study_id)
    lines = [
        {
            "part": part.name.replace("_", " "),
            "found": _found(part, name, each[row]),
            "counts_if": _rule(part),
            "points": _points(part, each, row),
            "source": part.source,
        }
        for part, found in zip(values.parts, values.values, strict=True)
        if part.score == score
        for name, each in zip(part.concepts, found, strict=True)
    ]
    return pd.DataFrame(lines)


def _points(part: ScorePart, each: Floats, row: int) -> float:
    points = float(part_points(part, each[row : row + 1])[0])
    return 0.0 if np.isinf(points) else points


def _found(part: ScorePart, name: str, value: float) -> str:
    known = concepts().get(name)
    label = known.label if known else name.replace("_", " ")
    if np.isnan(value):
        return f"{label}: missing"
    if part.is_state:
        return f"{label}: {'yes' if value else 'no'}"
    return f"{label}: {value:.4g} {part.unit}".rstrip()


def _rule(part: ScorePart) -> str:
    """When the line counts, in words; a lookback beside it."""
    upper = f"{part.upper:g}"
    rule = {
        "present": "present",
        "completed": "a point a completed year",
        "completed >": f"more than {part.cut:g} completed years",
        "value": "its value",
        "needs >=": f"applies from {part.cut:g} on",
    }.get(part.test) or _WORDS.get(part.test, f"{part.test} {part.cut:g}").format(f"{part.cut:g}", upper)
    return rule if np.isnan(part.lookback_hours) else f"{rule}, in the last {part.lookback_hours:g} h"
