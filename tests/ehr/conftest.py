"""A cohort of a few studies and a few events, written in the test itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from pefuse.cohort import load_cohort
from pefuse.types import Cohort

INDEX = "2018-03-05T12:00:00"

MakeCohort = Callable[..., Cohort]

SCHEMA = pa.schema(
    [
        ("subject_id", pa.int64()),
        ("time", pa.timestamp("us")),
        ("code", pa.string()),
        ("numeric_value", pa.float32()),
        ("text_value", pa.string()),
    ]
)


@pytest.fixture
def make_cohort(tmp_path: Path) -> MakeCohort:
    """`make_cohort(events, studies=..., codes=...)`: patient n has study `s<n>`, aged 60, scanned at `INDEX`.

    events: (patient, time, code, number, text), the last two may be left out. studies: dicts of what differs.
    """

    def make(
        events: Sequence[Sequence[Any]],
        *,
        studies: Sequence[dict[str, Any]] = ({},),
        codes: Sequence[dict[str, str]] = (),
        as_csv: bool = False,
    ) -> Cohort:
        rows = [
            {
                "study_id": f"s{number}",
                "patient_id": number,
                "index_time": INDEX,
                "ct": "",
                "age_years": 60,
                "sex": "F",
                "died": 0,
                **study,
            }
            for number, study in enumerate(studies, start=1)
        ]
        pd.DataFrame(rows).to_csv(tmp_path / "studies.csv", index=False)
        frame = pd.DataFrame([[*event, None, None][:5] for event in events], columns=SCHEMA.names)
        frame["time"] = pd.to_datetime(frame["time"], format="ISO8601").astype("datetime64[us]")
        for old in ("events.csv", "events.parquet"):
            (tmp_path / old).unlink(missing_ok=True)
        if as_csv:
            frame.to_csv(tmp_path / "events.csv", index=False)
        else:
            frame["numeric_value"] = frame["numeric_value"].astype("float32")
            frame.to_parquet(tmp_path / "events.parquet", schema=SCHEMA)
        if codes:
            pd.DataFrame(list(codes)).fillna("").to_csv(tmp_path / "codes.csv", index=False)
        return load_cohort(tmp_path)

    return make
