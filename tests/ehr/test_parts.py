"""Read a few studies at a time, a record is the same as read whole."""

from __future__ import annotations

import importlib
import random

import numpy as np
import pandas as pd
import pytest

from pefuse.ehr import SCORES, FeatureOptions, clinical_scores, extract

from .test_leaks import CODES, OPTIONS

PATIENTS = 23


def events() -> list[tuple[object, ...]]:
    """Many of some, few of others, none of one; some codes of a single patient alone."""
    chance = random.Random(4)
    rows = []
    for patient in range(1, PATIENTS):
        for _ in range(chance.choice([1, 5, 40])):
            day = pd.Timestamp("2018-03-05T12:00") - pd.Timedelta(hours=chance.uniform(-100, 2000))
            rows.append((patient, day.isoformat(), chance.choice(CODES), chance.uniform(20, 120)))
        rows.append((patient, "2018-01-01", f"ICD9CM//{140 + patient}.1"))
    return rows


@pytest.mark.parametrize("as_csv", [False, True])
@pytest.mark.parametrize("size", [1, 4, 22])
def test_in_parts_it_is_the_same(make_cohort, monkeypatch: pytest.MonkeyPatch, as_csv: bool, size: int) -> None:
    studies = [
        {"patient_id": 1 + number * 7 % PATIENTS} for number in range(PATIENTS)
    ]  # not in the patients' order
    studies += [{"patient_id": 3, "index_time": "2018-02-20T12:00:00"}]  # a second study of one
    cohort = make_cohort(events(), studies=studies, as_csv=as_csv)
    whole, scores = extract(cohort, options=OPTIONS), clinical_scores(cohort, scores=SCORES)
    monkeypatch.setattr(importlib.import_module("pefuse.ehr.events"), "PART_STUDIES", size)
    parted = extract(cohort, options=OPTIONS)
    assert parted.columns == whole.columns
    assert parted.use == whole.use
    np.testing.assert_array_equal(parted.has_record, whole.has_record)
    pd.testing.assert_frame_equal(parted.frame(), whole.frame())
    pd.testing.assert_frame_equal(clinical_scores(cohort, scores=SCORES), scores)


def test_parts_without_any_event_are_no_hindrance(make_cohort, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("pefuse.ehr.events"), "PART_STUDIES", 1)
    cohort = make_cohort([(2, "2018-03-01", "LAB//lactate", 3.0)], studies=[{}] * 3)
    frame = extract(cohort, options=FeatureOptions(measured=("hours_since",))).frame()
    np.testing.assert_array_equal(frame["lactate (mmol/L)"], [np.nan, 3.0, np.nan])
