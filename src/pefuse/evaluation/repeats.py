"""Models trained several times, on several folds and from several seeds: how far they vary, and who leads.

All repeats are judged on the same test cases. So this is the spread of *training*; that of patients is DeLong's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pefuse.evaluation.intervals import Interval

__all__ = ["RepeatSummary", "TrainingSpread", "summarise_repeats", "training_spread"]


@dataclass(frozen=True)
class RepeatSummary:
    """One model over its repeats.

    `to_best` is its AUC minus that of the model with the highest mean, repeat by repeat, with a t-interval; None
    for that model itself. `mean_rank` counts from 1, ties share. `sd` needs two repeats, the interval
    three; else they are NaN.
    """

    model: str
    repeats: int
    mean: float
    sd: float
    to_best: float | None
    interval: Interval | None
    mean_rank: float


@dataclass(frozen=True)
class TrainingSpread:
    """Where the spread of repeats comes from, as standard deviations of a number such as the AUC.

    `of_seeds`: the luck of initialisation and batches; `of_folds`: which patients were trained on; `of_rest`: both
    together, a fold that one seed likes and another does not. A variance that comes out below 0 counts as 0. NaN
    where it cannot be told: that of seeds needs two seeds, that of folds two folds, the rest both.
    """

    seeds: int
    folds: int
    of_seeds: float
    of_folds: float
    of_rest: float


def training_spread(values: ArrayLike) -> TrainingSpread:
    """Split the variance of `(seeds, folds)` values into its sources: two-way analysis of variance, one value a
    cell.

    With a single seed the spread between folds holds the rest too, and the other way round.

    Raises:
        ValueError: not two-dimensional, empty, or a value that is not finite.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError("The spread of training needs finite values of the shape (seeds, folds).")
    seeds, folds = table.shape
    by_seed, by_fold = table.mean(axis=1), table.mean(axis=0)
    rest = 0.0
    if seeds > 1 and folds > 1:
        left = table - by_seed[:, None] - by_fold[None, :] + table.mean()
        rest = float((left**2).sum() / ((seeds - 1) * (folds - 1)))

    def between(means: NDArray[np.float64], others: int) -> float:
        return math.sqrt(max(0.0, float(means.var(ddof=1)) - rest / others)) if means.size > 1 else math.nan

    return TrainingSpread(
        seeds=seeds,
        folds=folds,
        of_seeds=between(by_seed, folds),
        of_folds=between(by_fold, seeds),
        of_rest=math.sqrt(rest) if seeds > 1 and folds > 1 else math.nan,
    )


def summarise_repeats(aucs: pd.DataFrame, *, level: float = 0.95) -> list[RepeatSummary]:
    """Summarise AUCs by repeat (rows: fold × seed) and model (columns), best mean first.

    Only repeats that every model has are used: a difference within a repeat is between models alone.
    """
    table = aucs.dropna(axis="index", how="any")
    if table.empty or table.shape[1] == 0:
        return []
    means = table.mean()
    best = str(means.idxmax())
    ranks = table.rank(axis="columns", ascending=False, method="average").mean()
    summaries = [
        RepeatSummary(
            model=str(model),
            repeats=len(table),
            mean=float(means[model]),
            sd=float(table[model].std(ddof=1)) if len(table) > 1 else math.nan,
            to_best=None if model == best else float((table[model] - table[best]).mean()),
            interval=None if model == best else _t_interval(table[model] - table[best], level),
            mean_rank=float(ranks[model]),
        )
        for model in table.columns
    ]
    return sorted(summaries, key=lambda one: (-one.mean, one.model))


def _t_interval(differences: pd.Series[float], level: float) -> Interval:
    count = len(differences)
    if count < 3:  # with two the interval is 18 times their distance: wider than AUCs can differ
        return Interval(math.nan, math.nan, level, "none")
    error = float(differences.std(ddof=1)) / math.sqrt(count)
    reach = float(stats.t.ppf((1 + level) / 2, count - 1)) * error
    mean = float(np.mean(differences))
    return Interval(mean - reach, mean + reach, level, "t over repeats")
