"""Regret of each model to the ideal predictor that sees what it sees (simulated cohorts)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pefuse.evaluation import auc_regret, risk_regret
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, Frozen, estimate, told
from pefuse.report.names import model_name

__all__ = ["RegretRow", "regret_rows"]


class RegretRow(Frozen):
    """A model against the ideal one of the same inputs, on the same test studies.

    `auc`: ideal AUC minus its own. `squared`, `log_loss`: by how much its Brier score and log-loss exceed the
    ideal ones on average over who happens to die. All but `auc` are of the risk: a clinical score's is that of its
    class.
    """

    name: str
    label: str
    ideal: str
    studies: int
    auc: Estimate
    squared: float
    log_loss: float
    rank_correlation: float | None


def regret_rows(scores: Sequence[ModelScores], ideals: Sequence[ModelScores]) -> tuple[RegretRow, ...]:
    """One row a model; empty where no truth is known."""
    by_modality = {model_name(one.name).modality: one for one in ideals if not one.problem}
    pairs = [(one, by_modality.get(model_name(one.name).modality)) for one in scores]
    rows = [_row(one, ideal) for one, ideal in pairs if ideal is not None]
    return tuple(row for row in rows if row is not None)


def _row(scores: ModelScores, ideal: ModelScores) -> RegretRow | None:
    studies = scores.test.index.intersection(ideal.test.index)
    ours, best = scores.test.loc[studies], ideal.test.loc[studies]
    if ours["label"].nunique() < 2:
        return None
    risk = risk_regret(ours["risk"].to_numpy(dtype=np.float64), best["risk"].to_numpy(dtype=np.float64))
    auc, interval = auc_regret(ours["label"], ours["score"], best["score"])
    return RegretRow(
        name=scores.name,
        label=model_name(scores.name).label,
        ideal=ideal.name,
        studies=len(studies),
        auc=estimate(auc, interval),
        squared=risk.squared,
        log_loss=risk.log_loss,
        rank_correlation=told(risk.rank_correlation),
    )
