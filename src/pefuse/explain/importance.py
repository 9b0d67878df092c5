"""How much each feature of the record counted: one form for TabNet's masks and for the trees' SHAP values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.ehr import PreparedColumn
from pefuse.errors import BundleError, UsageError
from pefuse.models.bundle import Feature

__all__ = ["ColumnImportance", "FeatureImportance", "ImportanceMethod", "NotExplained", "named", "row_shares"]

ImportanceMethod = Literal["masks", "shap"]
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class NotExplained:
    """There is no such explanation of this model; `reason` is one sentence for the page."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class ColumnImportance:
    """Of one member's D columns: `importance` (D,), `features` (D,) the place of each one's feature.

    `numeric` (D,): it holds a number of many values; the others are 0 or 1, most of them mostly 0.
    """

    importance: Array
    features: NDArray[np.intp]
    numeric: NDArray[np.bool_]

    @classmethod
    def of(cls, importance: Array, columns: Sequence[PreparedColumn], keys: Sequence[str]) -> Self:
        """`importance` (D,) of prepared columns whose features have those keys."""
        place_of = {key: place for place, key in enumerate(keys)}
        return cls(
            importance=importance,
            features=np.array([place_of[column.key] for column in columns], dtype=np.intp),
            numeric=np.array([column.role == "number" for column in columns], dtype=np.bool_),
        )


@dataclass(frozen=True, kw_only=True)
class FeatureImportance:
    """Of N studies and F features, over all members of a bundle.

    `shares` (N, F): how much of what a model took from the record was this feature, not negative; a row sums
    to 1, or to 0 where no member took anything. `steps` (S, N, F): the masks of each step, a row sums to 1; None
    for trees. `effects` (N, F): log-odds that the feature added, above 0 towards death; None for masks, which have
    no sign. `base` (N,): log-odds before any feature: with the row of effects the members' mean logit.
    `by_member` (M, F): the mean share over the studies in each member alone; `columns`: what it is made of.
    """

    method: ImportanceMethod
    study_ids: tuple[str, ...]
    features: tuple[Feature, ...]
    shares: Array = field(repr=False)
    by_member: Array = field(repr=False)
    columns: tuple[ColumnImportance, ...] = field(repr=False)
    steps: Array | None = field(default=None, repr=False)
    effects: Array | None = field(default=None, repr=False)
    base: Array | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        for values in (self.shares, self.by_member, self.steps, self.effects, self.base):
            if values is not None and not np.isfinite(values).all():
                raise BundleError(
                    f"The importance of a feature is not a number ({self.method}): check the model's weights."
                )

    @property
    def overall(self) -> Array:
        """Over all studies and members, (F,), together 1 (or all 0 where nothing was ever taken)."""
        return np.asarray(row_shares(self.by_member.mean(axis=0)[None])[0])

    def table(self) -> pd.DataFrame:
        """feature, key, importance: highest first, features of the same importance by name."""
        table = pd.DataFrame(
            {
                "feature": [feature.name for feature in self.features],
                "key": [feature.key for feature in self.features],
                "importance": self.overall,
            }
        )
        return table.sort_values(["importance", "feature"], ascending=[False, True], ignore_index=True)


def named(study_ids: Sequence[str]) -> Sequence[str]:
    """The studies themselves, of which there must be one.

    Raises:
        UsageError: there is none.
    """
    if not len(study_ids):
        raise UsageError("There is no study to explain: name at least one.")
    return study_ids


def row_shares(values: Array) -> Array:
    """Rows (N, F) of what is not negative, each divided by its sum; a row of zeros stays one."""
    total = values.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(values, total, out=np.zeros_like(values), where=total > 0))
