"""Silhouette of the two outcomes: how far cases lie from the other outcome, against how far from their own.

Rousseeuw, J Comput Appl Math 1987. For one case, a is the mean distance to the others of its outcome and b the
mean distance to those of the other one: (b - a) / max(a, b). A case that is alone with its outcome has 0.

The usual mean over all cases is that of the more frequent outcome, nearly: of one death in ten it hardly speaks,
and survivors who lie close together make it large wherever the deaths are. So each outcome counts for half here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from pefuse.evaluation._inputs import both_classes

__all__ = ["Silhouette", "outcome_silhouette"]


@dataclass(frozen=True, kw_only=True)
class Silhouette:
    """Silhouettes in [-1, 1]: the mean of those who died, of those who survived, and `value`, the mean of the two.

    `over_cases` is the usual mean over all cases. `chance_low` to `chance_high` is where `value` lies in 95 % of
    shufflings of the outcomes over the same vectors; `p_value` is the share of shufflings that give as much or
    more, the true one counted among them (Phipson & Smyth 2010).
    """

    value: float
    died: float
    survived: float
    over_cases: float
    chance_low: float
    chance_high: float
    p_value: float


def outcome_silhouette(
    labels: ArrayLike, vectors: ArrayLike, *, shuffles: int = 1000, seed: int = 0
) -> Silhouette:
    """Silhouette of died and survived by Euclidean distance, and what chance alone gives.

    Needs memory for the N² distances, and for N × `shuffles` numbers.

    Args:
        labels: `(N,)`, 1 = died.
        vectors: `(N, E)`, finite.

    Raises:
        ValueError: one outcome only, fewer than 3 cases, or vectors of another shape or not finite.
    """
    died = both_classes(labels)
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(died) or rows.shape[1] == 0:
        raise ValueError(f"Vectors need the shape (N, E) with N = {len(died)}, E >= 1; these have {rows.shape}.")
    if not np.isfinite(rows).all():
        raise ValueError("Vectors need to be finite numbers.")
    if len(died) < 3:
        raise ValueError("A silhouette needs at least 3 cases.")
    distances = cdist(rows, rows)
    own = _silhouettes(distances, died[:, None])
    value = float(_balanced(own, died[:, None])[0])
    random = np.random.default_rng(seed)
    shuffled = random.permuted(np.repeat(died[:, None], shuffles, axis=1), axis=0)
    chance = _balanced(_silhouettes(distances, shuffled), shuffled)
    low, high = np.quantile(chance, (0.025, 0.975)) if shuffles else (np.nan, np.nan)
    # As large to the last bits is as large: a shuffling may be the true one.
    reached = int((chance >= value - 1e-12).sum())
    return Silhouette(
        value=value,
        died=float(own[died].mean()),
        survived=float(own[~died].mean()),
        over_cases=float(own.mean()),
        chance_low=float(low),
        chance_high=float(high),
        p_value=(1 + reached) / (1 + shuffles),
    )


def _silhouettes(distances: NDArray[np.float64], died: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Of each case (N, P) under P labellings `died` (N, P), all with as many deaths."""
    deaths = int(died[:, 0].sum())
    counts = np.where(died, deaths, len(died) - deaths)
    to_died = distances @ died.astype(np.float64)
    to_survived = distances.sum(axis=1)[:, None] - to_died
    near = np.where(died, to_died, to_survived) / np.maximum(counts - 1, 1)
    far = np.where(died, to_survived, to_died) / (len(died) - counts)
    larger = np.maximum(near, far)
    values = np.divide(far - near, larger, out=np.zeros_like(larger), where=larger > 0)
    return np.where(counts > 1, values, 0.0)


def _balanced(values: NDArray[np.float64], died: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The mean of both outcomes' means, of each labelling (P,)."""
    deaths = died.sum(axis=0)
    of_died = np.where(died, values, 0.0).sum(axis=0) / deaths
    of_survived = np.where(died, 0.0, values).sum(axis=0) / (len(died) - deaths)
    balanced: NDArray[np.float64] = (of_died + of_survived) / 2
    return balanced
