"""Thresholds: from a risk to a yes or no, and what that yields. Positive always means `risk >= threshold`.

Choose a threshold on validation cases, then keep it: one that is chosen on the cases it is judged by flatters
itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.evaluation._inputs import both_classes, checked_labels, checked_score
from pefuse.evaluation.intervals import Interval, wilson_interval

__all__ = [
    "OperatingPoint",
    "benefit_threshold",
    "operating_point",
    "sensitivity_threshold",
    "specificity_threshold",
    "youden_threshold",
]

ROUNDING = 1e-9  # 0.95 of 20 deaths are 19, not 19.000000000000004


@dataclass(frozen=True, kw_only=True)
class OperatingPoint:
    """The confusion matrix at one threshold and what follows from it; a rate without cases is NaN."""

    threshold: float
    tp: int
    fn: int
    fp: int
    tn: int

    @property
    def accuracy(self) -> float:
        """Share of all cases called right."""
        return _share(*self.counts["accuracy"])

    @property
    def sensitivity(self) -> float:
        """Share of the deaths called positive."""
        return _share(*self.counts["sensitivity"])

    @property
    def specificity(self) -> float:
        """Share of the survivors called negative."""
        return _share(*self.counts["specificity"])

    @property
    def ppv(self) -> float:
        """Share of the positives who died."""
        return _share(*self.counts["ppv"])

    @property
    def npv(self) -> float:
        """Share of the negatives who lived."""
        return _share(*self.counts["npv"])

    @property
    def counts(self) -> dict[str, tuple[int, int]]:
        """Each rate as (right, among how many)."""
        return {
            "accuracy": (self.tp + self.tn, self.tp + self.fn + self.fp + self.tn),
            "specificity": (self.tn, self.tn + self.fp),
            "sensitivity": (self.tp, self.tp + self.fn),
            "ppv": (self.tp, self.tp + self.fp),
            "npv": (self.tn, self.tn + self.fn),
        }

    def intervals(self, *, level: float = 0.95) -> dict[str, Interval]:
        """Wilson's interval of each rate; NaN bounds where it has no cases."""
        return {name: wilson_interval(*counts, level=level) for name, counts in self.counts.items()}


@dataclass(frozen=True)
class _Cuts:
    """Every way to call the highest risks positive, from one case (or one tie) to all of them.

    `threshold` lies half-way between the lowest risk that is called positive and the next lower one, so that no
    case sits on its edge; where all are called positive it is the lowest risk. `tp`, `fp` count the calls.
    """

    threshold: NDArray[np.float64]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    deaths: int
    survivors: int


def youden_threshold(labels: ArrayLike, risk: ArrayLike) -> float:
    """The threshold that maximises sensitivity + specificity - 1 (Youden 1950).

    It lies half-way between the lowest risk that it calls positive and the next lower one, so that no case sits on
    its edge; where all are called positive it is the lowest. Where several thresholds do equally well the highest
    is taken: fewest alarms for the same J. Choose it on validation cases, then keep it.

    Raises:
        ValueError: only one class, or a risk that is not finite.
    """
    cuts = _cuts(labels, risk)
    # In whole numbers, so that equal J are equal: J times (deaths x survivors) of the data.
    return float(cuts.threshold[np.argmax(cuts.tp * cuts.survivors - cuts.fp * cuts.deaths)])


def sensitivity_threshold(labels: ArrayLike, risk: ArrayLike, wanted: float) -> float:
    """The highest threshold that finds at least the `wanted` share of deaths; half-way as `youden_threshold`'s.

    Args:
        labels: `(N,)`, 0 or 1, of validation cases.
        risk: `(N,)`, higher is worse.
        wanted: a sensitivity in (0, 1]; 1 = no death of these cases is missed.

    Raises:
        ValueError: only one class, a risk that is not finite, or `wanted` outside (0, 1].
    """
    _check_wanted(wanted, "sensitivity")
    cuts = _cuts(labels, risk)
    return float(cuts.threshold[np.argmax(cuts.tp >= wanted * cuts.deaths - ROUNDING)])


def specificity_threshold(labels: ArrayLike, risk: ArrayLike, wanted: float) -> float:
    """The lowest threshold that calls at least the `wanted` share of survivors negative.

    Half-way as `youden_threshold`'s. Where even the highest risk calls too many survivors positive, it lies just
    above that risk: nobody is called.

    Raises:
        ValueError: only one class, a risk that is not finite, or `wanted` outside (0, 1].
    """
    _check_wanted(wanted, "specificity")
    cuts = _cuts(labels, risk)
    allowed = int((cuts.fp <= (1 - wanted) * cuts.survivors + ROUNDING).sum())  # fp never falls along the cuts
    return float(cuts.threshold[allowed - 1]) if allowed else _above_all(risk)


def benefit_threshold(labels: ArrayLike, risk: ArrayLike, threshold_probability: float) -> float:
    """The threshold with the largest net benefit to someone who would act at `threshold_probability`.

    Who acts from a risk of 10 % on weighs nine false alarms as much as one death found: net benefit is
    `tp - fp p / (1 - p)` (Vickers & Elkin 2006). If risks are well calibrated the best threshold is that
    probability itself; this one also serves scores and risks that are not. Of equally good thresholds the highest
    is taken; where nothing is better than calling nobody it lies just above the highest risk.

    Raises:
        ValueError: only one class, a risk that is not finite, or a probability outside (0, 1).
    """
    if not 0 < threshold_probability < 1:
        raise ValueError(f"A threshold probability lies between 0 and 1, not at {threshold_probability:g}.")
    cuts = _cuts(labels, risk)
    benefit = cuts.tp * (1 - threshold_probability) - cuts.fp * threshold_probability
    best = int(np.argmax(np.round(benefit, 9)))  # rounding makes equal benefits equal
    return float(cuts.threshold[best]) if benefit[best] > ROUNDING else _above_all(risk)


def operating_point(labels: ArrayLike, risk: ArrayLike, threshold: float) -> OperatingPoint:
    """Count the four kinds of calls when `risk >= threshold` is called positive. One class alone is allowed."""
    died = checked_labels(labels)
    called = checked_score(risk, died.size) >= threshold
    return OperatingPoint(
        threshold=float(threshold),
        tp=int((called & died).sum()),
        fn=int((~called & died).sum()),
        fp=int((called & ~died).sum()),
        tn=int((~called & ~died).sum()),
    )


def _cuts(labels: ArrayLike, risk: ArrayLike) -> _Cuts:
    died = both_classes(labels)
    values = checked_score(risk, died.size)
    order = np.argsort(-values, kind="stable")
    ordered, tp = values[order], np.cumsum(died[order])
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    lowest = ordered[last_of_ties]
    between = np.append((lowest[:-1] + lowest[1:]) / 2, lowest[-1])
    # Neighbouring floats have nothing between them: then the lowest risk called positive is the threshold.
    between[:-1] = np.where(between[:-1] > lowest[1:], between[:-1], lowest[:-1])
    fp = np.arange(1, died.size + 1) - tp
    return _Cuts(between, tp[last_of_ties], fp[last_of_ties], int(died.sum()), int((~died).sum()))


def _above_all(risk: ArrayLike) -> float:
    return float(np.nextafter(np.max(np.asarray(risk, dtype=np.float64)), np.inf))


def _check_wanted(wanted: float, rate: str) -> None:
    if not 0 < wanted <= 1:
        raise ValueError(f"A wanted {rate} lies above 0 and up to 1, not at {wanted:g}.")


def _share(count: int, total: int) -> float:
    return count / total if total else math.nan
