"""Screening: the columns of the record that differ most between the outcomes, on the training fold.

Neither the paper nor its authors' code does this. Without it a TabNet on about a thousand columns and two dozen
deaths stays at chance (dev/LOG.md): its masks start spread over all columns and the deaths are used up long before
they find the few that matter. Fitted on the training fold only, kept in the bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["screen_columns"]

# Added to each column's variance: a rare mark that no survivor happens to carry must not have an infinite t.
LEAST_VARIANCE = 1e-3


def screen_columns(
    values: NDArray[np.floating], labels: NDArray[np.floating], *, keep: int, categories: Sequence[int] = ()
) -> NDArray[np.intp]:
    """The `keep` columns of `values` (N, D) that differ most between `labels` 1 and 0, in their order.

    A number differs by its Welch t, a column of `categories`, which holds codes, by the largest of its levels'.
    Ties keep the earlier column. With `keep` 0, or not below D, all columns stay.
    """
    columns = values.shape[1]
    if not 0 < keep < columns:
        return np.arange(columns)
    differs = _welch(values, labels)
    for column in categories:
        levels = np.unique(values[:, column])
        differs[column] = _welch(values[:, [column]] == levels, labels).max()
    return np.sort(np.argsort(-differs, kind="stable")[:keep])


def _welch(values: NDArray[Any], labels: NDArray[np.floating]) -> NDArray[np.float64]:
    """Absolute Welch t of each column (D,)."""
    died, lived = values[labels == 1].astype(np.float64), values[labels == 0].astype(np.float64)
    error = died.var(axis=0) / len(died) + lived.var(axis=0) / len(lived) + LEAST_VARIANCE
    return np.asarray(np.abs(died.mean(axis=0) - lived.mean(axis=0)) / np.sqrt(error))
