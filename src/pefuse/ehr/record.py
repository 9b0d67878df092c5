"""The raw record: what was known of each study before its index time, not yet fitted to anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from pefuse.ehr.events import EventUse
from pefuse.ehr.options import FeatureOptions
from pefuse.errors import UsageError
from pefuse.types import FeatureColumn, FeatureFamily, FeatureKind

__all__ = ["RawColumn", "RawRecord"]


@dataclass(frozen=True, kw_only=True)
class RawColumn:
    """A feature before fitting. `key` is the same in every cohort; `name` is for people and unique in a record."""

    key: str
    name: str
    family: FeatureFamily
    kind: FeatureKind
    unit: str = ""

    @property
    def feature(self) -> FeatureColumn:
        return FeatureColumn(name=self.name, family=self.family, kind=self.kind, unit=self.unit)


@dataclass(frozen=True, kw_only=True)
class RawRecord:
    """Unfitted features of N studies at their index times.

    `columns` lists the numbers (kind continuous) and marks (kind binary) first, then the texts (kind categorical).
    `values` `(N, numbers + marks)` holds only what is there: an absent entry is a missing number, or a mark that
    is not set. `texts` `(N, categorical columns)` holds strings, "" = missing. `has_record` `(N,)`: anything is
    known of the study before its index time.
    """

    study_ids: tuple[str, ...]
    columns: tuple[RawColumn, ...]
    values: csc_matrix
    texts: NDArray[np.object_]
    has_record: NDArray[np.bool_]
    use: EventUse | None = None  # of a cohort with events
    options: FeatureOptions = field(default_factory=FeatureOptions)  # that it was made with

    def rows(self, study_ids: Sequence[str]) -> NDArray[np.intp]:
        """Row numbers of those studies.

        Raises:
            UsageError: one of them was not extracted.
        """
        try:
            return np.array([self._row_of[study_id] for study_id in study_ids], dtype=np.intp)
        except KeyError as error:
            raise UsageError(
                f"Study {error.args[0]} is not among the {len(self.study_ids)} extracted ones."
            ) from None

    def place(self, key: str) -> int | None:
        """Where the column of that key stands; None if nothing of it was seen in these studies."""
        return self._place_of.get(key)

    def numbers(self, place: int) -> NDArray[np.float64]:
        """Column `place` of `values`, dense `(N,)`: NaN where a number is missing, 0 where a mark is not set."""
        empty = np.nan if self.columns[place].kind == "continuous" else 0.0
        dense = np.full(len(self.study_ids), empty)
        inside = slice(self.values.indptr[place], self.values.indptr[place + 1])
        dense[self.values.indices[inside]] = self.values.data[inside]
        return dense

    def levels(self, place: int) -> NDArray[np.object_]:
        """Texts of categorical column `place`, `(N,)`, "" = missing."""
        return self.texts[:, place - self.values.shape[1]]

    def frame(self) -> pd.DataFrame:
        """Everything as one frame indexed by study_id, for people and tests; large for large cohorts."""
        count = self.values.shape[1]
        content = {
            column.name: self.numbers(place) if place < count else self.levels(place)
            for place, column in enumerate(self.columns)
        }
        return pd.DataFrame(content, index=pd.Index(self.study_ids, name="study_id", dtype="str"))

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {study_id: row for row, study_id in enumerate(self.study_ids)}

    @cached_property
    def _place_of(self) -> dict[str, int]:
        return {column.key: place for place, column in enumerate(self.columns)}
