"""The ensemble of a model's folds and seeds: one number a study, and the threshold chosen for it.

Test, and any new patient: the mean over folds and seeds of the single models' risks. Validation: each study's risk
by the model that did not train on it, mean over seeds. The threshold is chosen on the latter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pefuse.evaluation._inputs import both_classes, checked_risk, checked_scores
from pefuse.evaluation.discrimination import delong
from pefuse.evaluation.intervals import Interval
from pefuse.evaluation.thresholds import youden_threshold

__all__ = ["EnsembleGain", "can_be_ranked", "ensemble_gain", "mean_by_study", "validation_threshold"]


@dataclass(frozen=True)
class EnsembleGain:
    """What averaging the members brings over a single one of them, drawn at random.

    `auc` is the AUC of the members' mean minus the mean of their AUCs: above 0, the mean ranks better. `brier` is
    the same of the Brier score: it is never above 0, since it is minus the members' variance, averaged over
    patients.
    """

    members: int
    auc: float
    auc_interval: Interval
    brier: float
    brier_interval: Interval


def ensemble_gain(labels: ArrayLike, members: ArrayLike, *, level: float = 0.95) -> EnsembleGain:
    """Judge the mean of K models' risks against the models one by one, on the same patients.

    The interval of the AUC is DeLong's, of the contrast between K + 1 scores on the same patients; that of the
    Brier score is Student's, of the differences patient by patient. Both tell how far other patients would change
    the answer, not other members. NaN bounds where nothing varies.

    Args:
        labels: `(N,)`, 0 or 1.
        members: `(K, N)`, each model's risk of each patient; at least one model.

    Raises:
        ValueError: only one class, or a risk outside [0, 1].
    """
    died = both_classes(labels)
    single = np.atleast_2d(checked_scores(members, died.size))
    for one in single:
        checked_risk(one, died.size)
    mean = np.array([math.fsum(of) / len(of) for of in single.T])
    result = delong(died, np.vstack([mean, single]))
    contrast = np.append(1.0, np.full(len(single), -1 / len(single)))
    better = (mean - died) ** 2 - ((single - died) ** 2).mean(axis=0)
    auc, brier = float(contrast @ result.auc), float(better.mean())
    of_auc = float(stats.norm.ppf((1 + level) / 2)) * math.sqrt(max(0.0, contrast @ result.covariance @ contrast))
    of_brier = float(stats.t.ppf((1 + level) / 2, died.size - 1)) * float(stats.sem(better))
    return EnsembleGain(
        members=len(single),
        auc=auc,
        auc_interval=_around(auc, of_auc, level, "delong"),
        brier=brier,
        brier_interval=_around(brier, of_brier, level, "t over patients"),
    )


def _around(value: float, reach: float, level: float, method: str) -> Interval:
    if not reach > 0:
        return Interval(math.nan, math.nan, level, "none")
    return Interval(value - reach, value + reach, level, method)


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
