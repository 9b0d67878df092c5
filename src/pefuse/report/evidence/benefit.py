"""Net benefit of each model at the risks from which one might act."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pefuse.evaluation import DecisionCurve, decision_curve
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, Frozen
from pefuse.report.names import model_name

__all__ = ["ACTING_AT", "BENEFIT_THRESHOLDS", "BenefitAt", "BenefitRow", "benefit_rows", "curve_of"]

RESAMPLES = 2000
# Of the curve. Nobody waits for a coin's odds before acting on a deadly disease.
BENEFIT_THRESHOLDS: tuple[float, ...] = tuple(round(0.01 * step, 2) for step in range(1, 51))
ACTING_AT = (0.05, 0.10, 0.20)  # of the table


class BenefitAt(Frozen):
    """At one threshold: the model, treating all (treating none is 0), and the model minus the better of these."""

    threshold: float
    model: Estimate
    all: float
    over_default: Estimate


class BenefitRow(Frozen):
    """A model's net benefit. `better_from`, `better_to`: between them it surely beats treating all and none.

    Surely: at each threshold of the widest such stretch, the pointwise 95 % interval of the difference lies above
    0. None = nowhere.
    """

    name: str
    label: str
    at: tuple[BenefitAt, ...]
    better_from: float | None
    better_to: float | None
    resamples: int


def benefit_rows(scores: Sequence[ModelScores]) -> tuple[BenefitRow, ...]:
    """Each model's net benefit on the test studies."""
    return tuple(_row(one) for one in scores)


def curve_of(scores: ModelScores) -> DecisionCurve:
    """A model's decision curve, the same bounds every time."""
    return decision_curve(scores.test["label"], scores.test["risk"], BENEFIT_THRESHOLDS, resamples=RESAMPLES)


def _row(scores: ModelScores) -> BenefitRow:
    curve = curve_of(scores)
    stretch = _longest(curve.over_default_low > 0)
    return BenefitRow(
        name=scores.name,
        label=model_name(scores.name).label,
        at=tuple(_at(curve, int(np.abs(curve.thresholds - threshold).argmin())) for threshold in ACTING_AT),
        better_from=float(curve.thresholds[stretch[0]]) if stretch else None,
        better_to=float(curve.thresholds[stretch[1]]) if stretch else None,
        resamples=curve.resamples,
    )


def _at(curve: DecisionCurve, place: int) -> BenefitAt:
    def bounded(value: np.ndarray, low: np.ndarray, high: np.ndarray) -> Estimate:
        return Estimate(
            value=float(value[place]), low=float(low[place]), high=float(high[place]), method="percentile"
        )

    return BenefitAt(
        threshold=float(curve.thresholds[place]),
        model=bounded(curve.model, curve.low, curve.high),
        all=float(curve.all[place]),
        over_default=bounded(curve.over_default, curve.over_default_low, curve.over_default_high),
    )


def _longest(better: np.ndarray) -> tuple[int, int] | None:
    """First and last place of the longest run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], better.astype(np.int64), [0]])))
    if not edges.size:
        return None
    starts, ends = edges[::2], edges[1::2] - 1
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest])
