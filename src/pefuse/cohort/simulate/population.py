"""The people of the simulator: their latent causes, and what these do to the risk of death.

Four causes, independent and standard normal in the source population: RV strain and clot burden (seen in the scan
only), acute physiology and chronic frailty (seen in the record only). Within 30 days a patient dies with the odds

    logit P = b0 + bS·S + bA·A + bF·F + bC·C + bSA·max(S, 0)·max(A, 0)

so strain and bad physiology are worse together than their sum, and only where both are bad. What the scan alone or
the record alone can tell at best is the same probability averaged over the causes that it does not see.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

__all__ = [
    "IdealRisks",
    "Latents",
    "OutcomeModel",
    "draw_latents",
    "ideal_risks",
    "joint_auc",
    "risk_of_death",
    "shift_risk",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class OutcomeModel:
    """Effects on the log-odds of death, each for one standard deviation of its cause."""

    intercept: float
    strain: float
    physiology: float
    frailty: float
    clot_burden: float
    strain_and_physiology: float  # of max(S, 0)·max(A, 0)


@dataclass(frozen=True, kw_only=True)
class Latents:
    """The hidden causes of `(N,)` patients, in standard deviations of the source population."""

    strain: Array
    physiology: Array
    frailty: Array
    clot_burden: Array

    def __len__(self) -> int:
        return len(self.strain)

    def take(self, rows: NDArray[np.int64]) -> Latents:
        """The patients of those rows, in that order."""
        return Latents(
            strain=self.strain[rows],
            physiology=self.physiology[rows],
            frailty=self.frailty[rows],
            clot_burden=self.clot_burden[rows],
        )


@dataclass(frozen=True, kw_only=True)
class IdealRisks:
    """What the best possible predictor would say, `(N,)` probabilities of death within 30 days."""

    ct: Array
    ehr: Array
    both: Array


def draw_latents(count: int, *, generator: np.random.Generator) -> Latents:
    """Draw `count` patients of the source population."""
    strain, physiology, frailty, clot_burden = generator.standard_normal((4, count))
    return Latents(strain=strain, physiology=physiology, frailty=frailty, clot_burden=clot_burden)


def risk_of_death(model: OutcomeModel, latents: Latents) -> Array:
    """Probability of death within 30 days in the source population, `(N,)`."""
    return _risk(
        model,
        strain=latents.strain,
        physiology=latents.physiology,
        rest=model.frailty * latents.frailty + model.clot_burden * latents.clot_burden,
    )


def ideal_risks(model: OutcomeModel, latents: Latents) -> IdealRisks:
    """Risks in the source population, given what the scan shows (S, C), what the record shows (A, F), and both."""
    return IdealRisks(
        ct=_risk_from_scan(model, latents),
        ehr=_risk_from_record(model, latents),
        both=risk_of_death(model, latents),
    )


def shift_risk(risk: Array, *, source_prevalence: float, prevalence: float) -> Array:
    """The same evidence where death is more or less frequent: the odds change by one factor, the order does not.

    Drawing the dead and the survivors separately, each at random, changes nothing but the intercept
    (case-control sampling; Prentice and Pyke 1979), for the full risk and for the averaged ones alike.
    """
    change: float = logit(prevalence) - logit(source_prevalence)
    return np.asarray(expit(logit(risk) + change), dtype=np.float64)


def joint_auc(score: Array, death: Array) -> float:
    """AUROC of `score` when patient i dies with probability `death[i]`, ties counted half.

    With 0 and 1 for `death` it is the usual AUROC of a sample; with risks it is what a sample would show on
    average, without the noise of drawing who dies.
    """
    values, place = np.unique(score, return_inverse=True)
    dead = np.bincount(place, weights=death, minlength=len(values))
    alive = np.bincount(place, weights=1 - death, minlength=len(values))
    alive_below = np.cumsum(alive) - alive / 2
    return float((dead * alive_below).sum() / (dead.sum() * alive.sum()))


# Averages over an unseen normal cause: equal steps out to 5.5 standard deviations. Gauss-Hermite nodes would need
# far more of them for the kink of max(·, 0).
_NODES = np.linspace(-5.5, 5.5, 45)
_WEIGHTS = np.exp(-(_NODES**2) / 2) / np.exp(-(_NODES**2) / 2).sum()
_LOGITS = np.linspace(-60, 60, 6001)


def _risk(model: OutcomeModel, *, strain: Array, physiology: Array, rest: Array) -> Array:
    return np.asarray(expit(_log_odds(model, strain, physiology) + rest), dtype=np.float64)


def _log_odds(model: OutcomeModel, strain: Array, physiology: Array) -> Array:
    """The log-odds without frailty and clot, which only add to it."""
    together = np.maximum(strain, 0) * np.maximum(physiology, 0)
    return (
        model.intercept
        + model.strain * strain
        + model.physiology * physiology
        + model.strain_and_physiology * together
    )


def _risk_from_scan(model: OutcomeModel, latents: Latents) -> Array:
    averaged = _averaged_over(model.frailty)
    risk = np.zeros(len(latents))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        seen = _log_odds(model, latents.strain, np.asarray(node)) + model.clot_burden * latents.clot_burden
        risk += weight * np.interp(seen, _LOGITS, averaged)
    return risk


def _risk_from_record(model: OutcomeModel, latents: Latents) -> Array:
    averaged = _averaged_over(model.clot_burden)
    risk = np.zeros(len(latents))
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        seen = _log_odds(model, np.asarray(node), latents.physiology) + model.frailty * latents.frailty
        risk += weight * np.interp(seen, _LOGITS, averaged)
    return risk


def _averaged_over(effect: float) -> Array:
    """P(death) at each of `_LOGITS`, averaged over one more unseen cause that adds `effect` per SD."""
    return np.asarray(expit(_LOGITS[:, None] + effect * _NODES) @ _WEIGHTS, dtype=np.float64)
