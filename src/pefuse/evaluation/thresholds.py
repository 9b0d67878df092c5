"""Thresholds: from a risk to a yes or no, and what that yields. Positive always means `risk >= threshold`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pefuse.evaluation._inputs import both_classes, checked_labels, checked_score
from pefuse.evaluation.intervals import Interval, wilson_interval

__all__ = ["OperatingPoint", "operating_point", "youden_threshold"]


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


def youden_threshold(labels: ArrayLike, risk: ArrayLike) -> float:
    """The threshold that maximises sensitivity + specificity - 1 (Youden 1950).

    It lies half-way between the lowest risk that it calls positive and the next lower one, so that no case sits on
    its edge; where all are called positive it is the lowest. Where several thresholds do equally well the highest
    is taken: fewest alarms for the same J. Choose it on validation cases, then keep it.

    Raises:
        ValueError: only one class, or a risk that is not finite.
    """
    died = both_classes(labels)
    values = checked_score(risk, died.size)
    order = np.argsort(-values, kind="stable")
    ordered, deaths = values[order], np.cumsum(died[order])
    survivors = np.arange(1, died.size + 1) - deaths
    # In whole numbers, so that equal J are equal: J times (deaths x survivors) of the data.
    youden = deaths * int((~died).sum()) - survivors * int(died.sum())
    last_of_ties = np.append(ordered[1:] != ordered[:-1], True)
    best = int(np.argmax(np.where(last_of_ties, youden, np.iinfo(np.int64).min)))
    lowest = float(ordered[best])
    if best + 1 == died.size:
        return lowest
    between = (lowest + float(ordered[best + 1])) / 2
    return between if between > ordered[best + 1] else lowest  # neighbouring floats have nothing between them


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


def _share(count: int, total: int) -> float:
    return count / total if total else math.nan
