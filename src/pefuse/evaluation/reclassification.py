"""Reclassification: NRI and IDI, which reviewers ask for, and why they are not to be believed alone.

Both say how far a new model moves deaths up and survivors down against an old one. Their faults are known:

- A miscalibrated new model looks better. Risks that are merely pushed apart raise both, and even pure noise added
  to a model gives a positive NRI more often than chance should (Hilden & Gerds 2014; Pepe et al. 2015). AUC, Brier
  score and net benefit cannot be fooled so.
- The sum of the two halves weighs a share of the deaths like a share of the survivors, as if there were as many of
  either. Read the halves (Kerr et al. 2014).
- The NRI without categories counts a move of 0.001 like one of 0.5.

So they stand beside the difference of AUCs, never instead, and their intervals are those of a bootstrap: the
published standard errors are too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.evaluation._inputs import both_classes, checked_risk, checked_score
from pefuse.evaluation._weighted import ClassMeans
from pefuse.evaluation.bootstrap import Bootstrap, bootstrap_statistic
from pefuse.evaluation.intervals import Interval

__all__ = ["Reclassification", "integrated_discrimination", "net_reclassification"]

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Reclassification:
    """What the new model gains among the deaths, among the survivors, and the sum of both; above 0 is better."""

    of_deaths: float
    of_deaths_interval: Interval
    of_survivors: float
    of_survivors_interval: Interval
    total: float
    total_interval: Interval


def net_reclassification(
    labels: ArrayLike,
    old: ArrayLike,
    new: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Reclassification:
    """Net reclassification improvement (Pencina 2008; 2011). See this file's head before using it.

    Of the deaths: share moved up minus share moved down. Of the survivors: share moved down minus share moved up.
    From -2 to 2 in sum.

    Args:
        labels: `(N,)`, 0 or 1.
        old: `(N,)`, the category each case falls in, as a number: 0 or 1 at one threshold. Called positive or not,
            each model at its own threshold, the NRI is the gain in sensitivity plus that in specificity. Risks
            instead of categories give the continuous NRI.
        new: the same by the new model.
        clusters, resamples, seed: see `bootstrap_scores`.
    """
    died = both_classes(labels)
    moved = np.sign(checked_score(new, died.size) - checked_score(old, died.size))
    return _gain(died, moved, clusters=clusters, resamples=resamples, level=level, seed=seed)


def integrated_discrimination(
    labels: ArrayLike,
    old: ArrayLike,
    new: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    level: float = 0.95,
    seed: int | np.random.Generator = 0,
) -> Reclassification:
    """Integrated discrimination improvement (Pencina 2008). See this file's head before using it.

    Of the deaths: mean risk by the new model minus that by the old one. Of the survivors: the old one's minus the
    new one's. `old` and `new` are risks in [0, 1]; else as `net_reclassification`.
    """
    died = both_classes(labels)
    moved = checked_risk(new, died.size) - checked_risk(old, died.size)
    return _gain(died, moved, clusters=clusters, resamples=resamples, level=level, seed=seed)


def _gain(
    died: NDArray[np.bool_],
    moved: FloatArray,
    *,
    clusters: ArrayLike | None,
    resamples: int,
    level: float,
    seed: int | np.random.Generator,
) -> Reclassification:
    up, down = moved[died], -moved[~died]
    halves = ClassMeans(
        died,
        of_deaths=np.stack([up, np.zeros_like(up), up]),
        of_survivors=np.stack([np.zeros_like(down), down, down]),
    )
    found: Bootstrap = bootstrap_statistic(halves, clusters=clusters, resamples=resamples, seed=seed)
    deaths, survivors, total = found.observed.tolist()
    intervals = [found.interval(row, level=level) for row in range(3)]
    return Reclassification(deaths, intervals[0], survivors, intervals[1], total, intervals[2])
