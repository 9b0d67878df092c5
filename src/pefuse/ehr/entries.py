"""Columns being built: which value stands in which row of which column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.ehr.record import RawColumn

__all__ = ["Entries", "united"]


@dataclass(frozen=True, kw_only=True)
class Entries:
    """Entry i stands in row `rows[i]` of column `places[i]` of `columns`."""

    columns: list[RawColumn]
    rows: NDArray[np.integer[Any]]
    places: NDArray[np.integer[Any]]
    values: NDArray[np.floating[Any]]

    @classmethod
    def none(cls) -> Entries:
        nothing = np.zeros(0, dtype=np.int32)
        return cls(columns=[], rows=nothing, places=nothing, values=np.zeros(0, dtype=np.float32))

    def small(self) -> Entries:
        """The same in half the memory: as the record will hold it."""
        return Entries(
            columns=self.columns,
            rows=self.rows.astype(np.int32),
            places=self.places.astype(np.int32),
            values=self.values.astype(np.float32),
        )


def united(parts: Sequence[Entries], order: Callable[[RawColumn], Any]) -> Entries:
    """Entries of different rows as one, their columns sorted by `order`.

    Several codes may mean one column: of its names in the parts the longest, which has a description, is kept.
    """
    if not parts:
        return Entries.none()
    named: dict[str, RawColumn] = {}
    for part in parts:
        for column in part.columns:
            before = named.get(column.key)
            if before is None or (len(column.name), column.name) > (len(before.name), before.name):
                named[column.key] = column
    columns = sorted(named.values(), key=order)
    place_of = {column.key: place for place, column in enumerate(columns)}
    to_place = [np.array([place_of[column.key] for column in part.columns], dtype=np.int32) for part in parts]
    return Entries(
        columns=columns,
        rows=np.concatenate([part.rows for part in parts]),
        places=np.concatenate([to[part.places] for to, part in zip(to_place, parts, strict=True)]),
        values=np.concatenate([part.values for part in parts]),
    )
