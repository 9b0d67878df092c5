"""The ensemble of a model's folds and seeds: one number a study, and the threshold chosen for it.

Test, and any new patient: the mean over folds and seeds of the single models' risks. Validation: each study's risk
by the model that did not train on it, mean over seeds. The threshold is chosen on the latter.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.evaluation.thresholds import youden_threshold

__all__ = ["can_be_ranked", "mean_by_study", "validation_threshold"]


def mean_by_study(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Means of `columns` over all rows of a study; indexed by study_id, sorted.

    `rows` has one row a study, fold and seed, with the columns study_id, those named, and label where it is known.
    A mean is exact to the last digit, whatever the order of the rows: equal votes tie, and reach a threshold that
    they equal.
    """
    by_study = rows.groupby("study_id", sort=True)
    places = by_study.indices
    studies = list(places)
    means = pd.DataFrame(index=pd.Index(studies, name="study_id", dtype=rows["study_id"].dtype))
    if "label" in rows:
        means["label"] = by_study["label"].first()
    for column in columns:
        values = rows[column].to_numpy(dtype=np.float64)
        means[column] = [_exact_mean(values[places[study]]) for study in studies]
    return means


def _exact_mean(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return math.fsum(known) / len(known) if len(known) else math.nan


def can_be_ranked(table: pd.DataFrame) -> bool:
    """Whether a table of label and score has both outcomes and a score for each study."""
    return bool(table["label"].nunique() == 2 and table["score"].notna().all())


def validation_threshold(validation: pd.DataFrame) -> float | None:
    """The Youden threshold of the validation studies (label, score); None where they cannot be ranked."""
    return youden_threshold(validation["label"], validation["score"]) if can_be_ranked(validation) else None
