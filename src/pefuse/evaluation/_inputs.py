"""Labels and scores as arrays, checked once where they enter the statistics."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

__all__ = ["both_classes", "checked_labels", "checked_risk", "checked_score", "checked_scores", "cluster_numbers"]


def checked_labels(labels: ArrayLike) -> NDArray[np.bool_]:
    """Labels as booleans `(N,)`; True = died.

    Raises:
        ValueError: no cases, not one-dimensional, or a value that is neither 0 nor 1 (NaN included).
    """
    values = np.asarray(labels, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"Labels need the shape (N,) with N >= 1; these have {values.shape}.")
    if not np.isin(values, (0.0, 1.0)).all():
        raise ValueError("Labels need to be 0 or 1; leave cases out whose outcome is not known.")
    died: NDArray[np.bool_] = values == 1.0
    return died


def both_classes(labels: ArrayLike) -> NDArray[np.bool_]:
    """`checked_labels`, of which at least one is 0 and one is 1.

    Raises:
        ValueError: as `checked_labels`, or only one class is present.
    """
    died = checked_labels(labels)
    if died.all() or not died.any():
        raise ValueError(f"Both classes are needed; {int(died.sum())} of {died.size} cases are positive.")
    return died


def checked_scores(scores: ArrayLike, cases: int) -> NDArray[np.float64]:
    """Finite scores `(N,)` or `(M, N)` of `cases` = N cases.

    Raises:
        ValueError: another number of cases, or a value that is not a finite number.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim not in (1, 2) or values.shape[-1] != cases:
        raise ValueError(f"Scores need the shape (N,) or (M, N) with N = {cases}; these have {values.shape}.")
    if not np.isfinite(values).all():
        raise ValueError(f"{int((~np.isfinite(values)).sum())} of {values.size} scores are not finite numbers.")
    return values


def checked_score(score: ArrayLike, cases: int) -> NDArray[np.float64]:
    """`checked_scores` of one score `(N,)`."""
    values = checked_scores(score, cases)
    if values.ndim != 1:
        raise ValueError(f"One score a case is needed; these have the shape {values.shape}.")
    return values


def checked_risk(risk: ArrayLike, cases: int) -> NDArray[np.float64]:
    """Probabilities `(N,)` in [0, 1].

    Raises:
        ValueError: as `checked_scores`, or a value outside [0, 1] (a logit, say).
    """
    values = checked_score(risk, cases)
    if values.min() < 0.0 or values.max() > 1.0:
        raise ValueError(f"Risks lie in [0, 1]; these run from {values.min():g} to {values.max():g}.")
    return values


def cluster_numbers(clusters: ArrayLike, cases: int) -> NDArray[np.intp]:
    """The patient of each study as a number from 0 on `(N,)`.

    Raises:
        ValueError: another number of studies, or one without a patient.
    """
    values = np.asarray(clusters)
    if values.shape != (cases,):
        raise ValueError(f"One patient a study is needed, shape ({cases},); these have {values.shape}.")
    numbers = pd.factorize(values)[0]
    if (numbers < 0).any():
        raise ValueError(f"{int((numbers < 0).sum())} of {cases} studies have no patient.")
    return numbers
