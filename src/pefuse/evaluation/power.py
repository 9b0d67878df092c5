"""Power: how many test studies it takes to show a difference of two AUCs, and what those at hand could show."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from pefuse.evaluation._inputs import both_classes, checked_score
from pefuse.evaluation.discrimination import placements

__all__ = ["RequiredSize", "required_size"]

FEWEST = 10  # deaths, and survivors, below which a difference of AUCs is not near a normal distribution


@dataclass(frozen=True)
class RequiredSize:
    """A test set in which the paired DeLong test would find `difference` with the wanted power.

    `studies` and `deaths` are None where no size can be told: the difference is 0, or the sample has no variance
    to judge it by (rankings alike, a single death). So is `power_now`, the power of the studies at hand.
    `at_most`: fewer might do, but they would have less than ten deaths or survivors, too few for the sum to hold.
    """

    difference: float
    studies: int | None
    deaths: int | None
    power_now: float | None
    at_most: bool = False


def required_size(
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    difference: float | None = None,
    power: float = 0.80,
    alpha: float = 0.05,
) -> RequiredSize:
    """How large a test set must be, at this prevalence, to show that AUC(a) and AUC(b) differ.

    DeLong's variance of the difference is one part by death and one by survivor; either falls with their number
    (Obuchowski & McClish 1997). With both taken from the sample, the size follows for any number of studies.

    With `difference` None it is the one seen, and then the figures say nothing that the p-value does not:
    `power_now` is a function of it (Hoenig & Heisey 2001), and a difference seen by luck needs a larger set than
    told. To plan a study, give the smallest difference that would matter.

    Args:
        labels: `(N,)`, 0 or 1; their share of deaths is the prevalence.
        a: `(N,)`, the one score; `b`: the other.
        difference: AUC(a) - AUC(b) to be shown; None = as seen.
        power: wanted, in (alpha, 1).
        alpha: two-sided level of the test, in (0, 1).
    """
    if not 0 < alpha < power < 1:
        raise ValueError(f"The power needs to lie between alpha and 1; these are {power:g} and {alpha:g}.")
    died = both_classes(labels)
    both = np.stack([checked_score(a, died.size), checked_score(b, died.size)])
    of_deaths, of_survivors = (first - second for first, second in placements(died, both))
    sought = float(of_deaths.mean()) if difference is None else float(difference)
    deaths, prevalence = int(died.sum()), float(died.mean())
    variance = _variance(of_deaths) / prevalence + _variance(of_survivors) / (1 - prevalence)  # of a single study
    if not variance > 0 or sought == 0:
        return RequiredSize(sought, None, None, None)
    critical = stats.norm.isf(alpha / 2)
    studies = math.ceil(variance * ((critical + stats.norm.ppf(power)) / sought) ** 2)
    fewest = _quotient_up(FEWEST * died.size, min(deaths, died.size - deaths))
    at_most, studies = studies < fewest, max(studies, fewest)
    effect = abs(sought) / math.sqrt(variance / died.size)
    power_now = float(stats.norm.sf(critical - effect) + stats.norm.cdf(-critical - effect))
    return RequiredSize(sought, studies, _quotient_up(studies * deaths, died.size), power_now, at_most)


def _quotient_up(number: int, by: int) -> int:
    return -(-number // by)


def _variance(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else math.nan
