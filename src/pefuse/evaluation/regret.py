"""Regret: how far a model is from the best that can be known, where the truth is known (simulated patients).

The ideal risk is the true probability of death given what the model sees. Distances from it need no outcome, so
they are free of the luck of who died: 72 patients tell them as well as many thousand deaths would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from scipy.special import rel_entr

from pefuse.evaluation._inputs import checked_risk
from pefuse.evaluation.calibration import SMALLEST_RISK
from pefuse.evaluation.comparison import delong_test
from pefuse.evaluation.intervals import Interval

__all__ = ["RiskRegret", "auc_regret", "risk_regret"]


@dataclass(frozen=True)
class RiskRegret:
    """Distance of risks from the ideal ones; all are 0 (rank correlation: 1) for the ideal predictor.

    `squared` is the mean squared distance: by so much the Brier score lies above the ideal one, on average over
    who happens to die. `log_loss` is the same of the log-loss, in nats. `rank_correlation` is Spearman's; NaN
    where either is constant.
    """

    squared: float
    log_loss: float
    rank_correlation: float


def risk_regret(risk: ArrayLike, ideal: ArrayLike) -> RiskRegret:
    """Compare risks `(N,)` with the ideal risks `(N,)` of the same patients.

    Raises:
        ValueError: another number of patients, or a value outside [0, 1].
    """
    best = checked_risk(ideal, np.size(ideal))
    given = checked_risk(risk, best.size)
    kept = np.clip(given, SMALLEST_RISK, 1 - SMALLEST_RISK)  # a risk of 0 that comes true has an infinite log-loss
    constant = np.ptp(given) == 0 or np.ptp(best) == 0
    return RiskRegret(
        squared=float(np.mean((given - best) ** 2)),
        log_loss=float(np.mean(rel_entr(best, kept) + rel_entr(1 - best, 1 - kept))),
        rank_correlation=math.nan if constant else float(stats.spearmanr(given, best).statistic),
    )


def auc_regret(
    labels: ArrayLike, score: ArrayLike, ideal: ArrayLike, *, level: float = 0.95
) -> tuple[float, Interval]:
    """Ideal AUC minus the score's, on the same patients, with DeLong's paired interval.

    Raises:
        ValueError: only one class, or a value that is not finite.
    """
    test = delong_test(labels, ideal, score, level=level)
    return test.difference, test.interval
