"""A growing list of events, each at so many days from its patient's scan, and its way into a MEDS table."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["EVENT_SCHEMA", "EventList"]

Rows = NDArray[np.int64]
Days = NDArray[np.float64]

EVENT_SCHEMA = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
        ("text_value", pa.string()),
    ]
)

_US_PER_MINUTE = 60_000_000
_MINUTES_PER_DAY = 24 * 60


@dataclass
class EventList:
    """Events of many patients; `rows` number the patients, days are negative before the scan."""

    _rows: list[Rows] = field(default_factory=list)
    _days: list[Days] = field(default_factory=list)
    _codes: list[NDArray[np.str_]] = field(default_factory=list)
    _values: list[NDArray[np.float32]] = field(default_factory=list)

    def add(
        self, rows: Rows, days: Days, codes: str | NDArray[np.str_], values: NDArray[np.float64] | None = None
    ) -> None:
        """Add one event a row; a code and a value may be shared or absent."""
        self._rows.append(np.asarray(rows, dtype=np.int64))
        self._days.append(np.asarray(days, dtype=np.float64))
        self._codes.append(np.broadcast_to(np.asarray(codes), len(rows)))
        missing = np.full(len(rows), np.nan)
        self._values.append(np.asarray(missing if values is None else values, dtype=np.float32))

    def to_table(self, *, subject_ids: NDArray[np.int64], index_times: NDArray[np.datetime64]) -> pa.Table:
        """The events as MEDS, sorted by subject and time; times are floored to the minute, so that nothing slips
        from before the scan (which is on a full minute) to after it."""
        rows, days = np.concatenate(self._rows), np.concatenate(self._days)
        codes, values = np.concatenate(self._codes), np.concatenate(self._values)
        minutes = np.floor(days * _MINUTES_PER_DAY).astype(np.int64)
        times = index_times[rows].astype("datetime64[us]").astype(np.int64) + minutes * _US_PER_MINUTE
        order = np.lexsort((codes, times, subject_ids[rows]))
        return pa.table(
            {
                "subject_id": subject_ids[rows][order],
                "time": pa.array(times[order], type=pa.timestamp("us")),
                "code": pa.array(codes[order], type=pa.string()),
                "numeric_value": pa.array(values[order], mask=np.isnan(values[order])),
                "text_value": pa.nulls(len(order), type=pa.string()),
            },
            schema=EVENT_SCHEMA,
        )
