"""Conformal sets: which outcomes cannot be ruled out for a patient, so that the true one is missed at a stated
rate.

Instead of a risk a patient gets {death}, {survival}, both ("cannot be told") or none ("like neither"). Split
conformal prediction, calibrated for each outcome by itself (Vovk 2012, "Mondrian"; Angelopoulos & Bates 2023): of
those who will die at least the stated share keep "death" in their set, and of those who will survive "survival",
whatever the model is and however rare death is.

What that rests on: the calibration patients and the new one are exchangeable, that is, could have come in any
order. Patients of a later year or another hospital are not, and here the calibration risks are of single fold
models while a test risk is their mean. So the stated coverage is a claim to be checked on test, not a promise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pefuse.evaluation._inputs import checked_labels, checked_score
from pefuse.evaluation.intervals import Interval, wilson_interval

__all__ = ["ConformalCoverage", "ConformalRule", "conformal_coverage", "fewest_for_coverage", "fit_conformal"]

ROUNDING = 1e-9


@dataclass(frozen=True)
class ConformalRule:
    """Two cuts through the risk, from validation.

    "Death" is in a patient's set if the risk is `death_from` or more, "survival" if it is `survival_to` or less.
    Minus or plus infinity: always, since there were too few calibration cases of that outcome to rule it out for
    anyone.
    """

    coverage: float
    death_from: float
    survival_to: float
    deaths: int
    survivors: int

    def sets(self, risk: ArrayLike) -> NDArray[np.bool_]:
        """`(N, 2)`: whether death and whether survival is in each patient's set."""
        values = checked_score(risk, np.size(risk))
        return np.column_stack([values >= self.death_from, values <= self.survival_to])


@dataclass(frozen=True)
class ConformalCoverage:
    """What a rule does on other patients: how many get which set, and whose true outcome is in theirs."""

    only_death: int
    only_survival: int
    both: int
    neither: int
    covered: int
    covered_deaths: int
    deaths: int

    @property
    def cases(self) -> int:
        return self.only_death + self.only_survival + self.both + self.neither

    @property
    def mean_size(self) -> float:
        """Mean number of outcomes in a set: 1 is best, 2 says nothing."""
        return (self.only_death + self.only_survival + 2 * self.both) / self.cases

    def intervals(self, *, level: float = 0.95) -> dict[str, Interval]:
        """Wilson's interval of the coverage of all, of deaths and of survivors; NaN where there are none."""
        counts = {
            "all": (self.covered, self.cases),
            "deaths": (self.covered_deaths, self.deaths),
            "survivors": (self.covered - self.covered_deaths, self.cases - self.deaths),
        }
        return {name: wilson_interval(*count, level=level) for name, count in counts.items()}


def fewest_for_coverage(coverage: float) -> int:
    """How many calibration cases of an outcome it takes to rule that outcome out for anyone: 9 for 90 %."""
    return math.ceil(coverage / (1 - coverage) - ROUNDING)


def fit_conformal(labels: ArrayLike, risk: ArrayLike, *, coverage: float = 0.9) -> ConformalRule:
    """Set the two cuts on validation cases.

    A class of n cases allows its cut at the ceil((n + 1) coverage)-th least strange of them; where that is more
    than n the outcome stays in every set. So five deaths can support no more than 83 % coverage of deaths, and the
    cut moves in steps of a sixth.

    Args:
        labels: `(N,)`, 0 or 1; a class without cases is in every set.
        risk: `(N,)`, higher is worse; any score.
        coverage: wanted share of patients, of each outcome, whose true outcome is in their set; in (0, 1).
    """
    if not 0 < coverage < 1:
        raise ValueError(f"A coverage lies between 0 and 1, not at {coverage:g}.")
    died = checked_labels(labels)
    values = checked_score(risk, died.size)
    # A death is the stranger the lower its risk, a survival the stranger the higher.
    return ConformalRule(
        coverage=coverage,
        death_from=-_cut(-values[died], coverage),
        survival_to=_cut(values[~died], coverage),
        deaths=int(died.sum()),
        survivors=int((~died).sum()),
    )


def conformal_coverage(rule: ConformalRule, labels: ArrayLike, risk: ArrayLike) -> ConformalCoverage:
    """Count the sets of a rule on other cases, and whose true outcome is in theirs. One class alone is allowed."""
    died = checked_labels(labels)
    death, survival = rule.sets(checked_score(risk, died.size)).T
    return ConformalCoverage(
        only_death=int((death & ~survival).sum()),
        only_survival=int((survival & ~death).sum()),
        both=int((death & survival).sum()),
        neither=int((~death & ~survival).sum()),
        covered=int(np.where(died, death, survival).sum()),
        covered_deaths=int((died & death).sum()),
        deaths=int(died.sum()),
    )


def _cut(strangeness: NDArray[np.float64], coverage: float) -> float:
    rank = math.ceil((strangeness.size + 1) * coverage - ROUNDING)
    return math.inf if rank > strangeness.size else float(np.sort(strangeness)[rank - 1])
