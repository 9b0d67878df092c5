"""Cohort folders for the tests, written from a few rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

HEADER = ("study_id", "patient_id", "index_time", "ct", "age_years", "sex", "died")

WriteStudies = Callable[..., Path]


@pytest.fixture
def write_studies(tmp_path: Path) -> WriteStudies:
    """`write_studies(rows)` or `write_studies(rows, header)`: a folder with that studies.csv."""

    def write(rows: Sequence[Sequence[Any]], header: Sequence[str] = HEADER) -> Path:
        pd.DataFrame(list(rows), columns=list(header)).to_csv(tmp_path / "studies.csv", index=False)
        return tmp_path

    return write


@pytest.fixture
def many_studies() -> Callable[..., list[Mapping[str, Any]]]:
    """`many_studies(n, deaths, years)`: n one-study patients; every (n // deaths)-th dies; years in turn."""

    def make(count: int, deaths: int, years: Sequence[int]) -> list[Mapping[str, Any]]:
        step = count // deaths
        return [
            {
                "study_id": f"s{number:03d}",
                "patient_id": 1000 + number,
                "index_time": f"{years[(number // step) % len(years)]}-05-01T12:00",
                "ct": "",
                "age_years": 60,
                "sex": "F",
                "died": int(number % step == 0 and number // step < deaths),
            }
            for number in range(count)
        ]

    return make
