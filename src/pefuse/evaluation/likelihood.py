"""Likelihood ratios of a yes or no, and what it would mean where more or fewer patients die.

Sensitivity and specificity belong to the model; PPV and NPV also to the mortality of the patients it is used on. A
test set of one hospital tells neither for another one. Likelihood ratios carry over: odds of death after the call
are the odds before it times the ratio.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats

from pefuse.evaluation.intervals import Interval
from pefuse.evaluation.thresholds import OperatingPoint

__all__ = ["Measured", "likelihood_ratios", "predictive_values"]

HALF = 0.5  # Haldane and Anscombe: added to each count where one of them is 0


@dataclass(frozen=True)
class Measured:
    """A value with its interval; NaN where there are no cases, and infinite where its divisor is 0."""

    value: float
    interval: Interval


def likelihood_ratios(point: OperatingPoint, *, level: float = 0.95) -> dict[str, Measured]:
    """`positive` (sensitivity / (1 - specificity)) and `negative` ((1 - sensitivity) / specificity).

    Above 10 or below 0.1 a call changes much; near 1 it says nothing. Intervals are those of the logarithm (Simel,
    Samsa & Matchar 1991). Where one of the four counts is 0 the logarithm has no variance: the interval is then
    that of the counts with one half added to each, stretched to the observed ratio (0 or infinite), and its method
    says so. Without deaths or without survivors all is NaN; so is a ratio of 0 to 0 (nobody was called).
    """
    return {
        "positive": _ratio(point.tp, point.fn, point.fp, point.tn, level),
        "negative": _ratio(point.fn, point.tp, point.tn, point.fp, level),
    }


def predictive_values(point: OperatingPoint, prevalence: float, *, level: float = 0.95) -> dict[str, Measured]:
    """`ppv` and `npv` among patients of whom the share `prevalence` dies, by Bayes from the likelihood ratios.

    Sensitivity and specificity are taken to stay as they are, which holds when patients are as ill as here, only
    more or fewer of them. The interval is that of the ratio carried through Bayes' formula: the logit interval of
    Mercaldo, Lau & Zhou (2007). The prevalence is taken as known.

    Raises:
        ValueError: a prevalence that is not between 0 and 1.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"A prevalence lies between 0 and 1, not at {prevalence:g}.")
    ratios, odds = likelihood_ratios(point, level=level), prevalence / (1 - prevalence)
    after = {name: _carried(ratio, odds) for name, ratio in ratios.items()}
    died = after["negative"]
    low, high = 1 - died.interval.high, 1 - died.interval.low
    return {
        "ppv": after["positive"],
        "npv": Measured(1 - died.value, Interval(low, high, level, died.interval.method)),
    }


def _ratio(called: int, others: int, called_wrong: int, others_wrong: int, level: float) -> Measured:
    """(called / deaths) / (called_wrong / survivors)."""
    deaths, survivors = called + others, called_wrong + others_wrong
    if not deaths or not survivors or called == called_wrong == 0:
        return Measured(math.nan, Interval(math.nan, math.nan, level, "none"))
    value = math.inf if called_wrong == 0 else (called / deaths) / (called_wrong / survivors)
    counts = (float(called), float(others), float(called_wrong), float(others_wrong))
    method = "log"
    if 0 in counts:
        counts = (counts[0] + HALF, counts[1] + HALF, counts[2] + HALF, counts[3] + HALF)
        method = "log, 0.5 added"
    a, b, c, d = counts
    centre = math.log((a / (a + b)) / (c / (c + d)))
    error = math.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))
    reach = float(stats.norm.ppf((1 + level) / 2)) * error
    low, high = min(value, math.exp(centre - reach)), max(value, math.exp(centre + reach))
    return Measured(value, Interval(low, high, level, method))


def _carried(ratio: Measured, odds: float) -> Measured:
    """The probability of death after a call of that likelihood ratio, from the odds before it."""

    def probability(value: float) -> float:
        return 1.0 if math.isinf(value) else value * odds / (1 + value * odds)

    interval = ratio.interval
    bounds = Interval(probability(interval.low), probability(interval.high), interval.level, interval.method)
    return Measured(probability(ratio.value), bounds)
