"""What a cohort table is made of: the latest value before the scan, conditions, counts, and never free text."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.ehr import characteristics, extract, read_score_values

BEFORE, LATER, AFTER = "2018-03-05T08:00:00", "2018-03-05T09:00:00", "2018-03-05T13:00:00"
CODES = [
    {"code": "HR", "concept": "heart_rate", "kind": "vital", "unit": "/min"},
    {"code": "LAC", "concept": "lactate", "kind": "lab", "unit": "mg/dL"},
    {"code": "SMOKE", "concept": "smoking", "kind": "demographic", "unit": ""},
]


def known(cohort, *, record=True, scores=True):
    found = characteristics(
        extract(cohort) if record else None, read_score_values(cohort, scores=["pesi"]) if scores else None
    )
    return {one.name: one for one in found}


@pytest.fixture
def cohort(make_cohort):
    events = [
        (1, BEFORE, "HR", 80),
        (1, LATER, "HR", 120),
        (1, AFTER, "HR", 40),
        (1, BEFORE, "LAC", 18.016),
        (1, BEFORE, "DIAGNOSIS//ICD10CM//C34.1"),
        (1, BEFORE, "SMOKE", None, "former"),
        (2, BEFORE, "HR", 90),
        (2, BEFORE, "SMOKE", None, "never"),
    ]
    return make_cohort(events, studies=[{}, {}, {}], codes=CODES)


def test_the_latest_value_before_the_scan_counts_in_the_concept_s_unit(cohort):
    """Lactate of 18.016 mg/dL is 2 mmol/L (90.08 g/mol); study 3 has no record."""
    found = known(cohort)

    assert found["heart_rate"].values.tolist()[:2] == [120, 90]
    assert np.isnan(found["heart_rate"].values["s3"])
    assert found["lactate"].values["s1"] == pytest.approx(2.0, rel=1e-3)
    assert (found["lactate"].unit, found["lactate"].kind, found["lactate"].group) == (
        "mmol/L",
        "skewed",
        "Laboratory",
    )


def test_a_condition_is_there_or_not_and_missing_without_a_record(cohort):
    cancer = known(cohort)["cancer"]

    assert cancer.kind == "state"
    assert cancer.values.tolist()[:2] == [1.0, 0.0]
    assert np.isnan(cancer.values["s3"])


def test_facts_with_few_levels_are_told(cohort):
    assert known(cohort)["smoking"].values.to_dict() == {"s1": "former", "s2": "never", "s3": ""}


def test_free_text_is_not_told(make_cohort):
    long = "stopped in May, says Mr Smith's daughter"
    cohort = make_cohort([(1, BEFORE, "SMOKE", None, long)], codes=CODES)

    assert "smoking" not in known(cohort)


def test_more_than_eight_levels_are_not_told(make_cohort):
    events = [(patient, BEFORE, "SMOKE", None, f"level {patient}") for patient in range(1, 10)]
    cohort = make_cohort(events, studies=[{}] * 9, codes=CODES)

    assert "smoking" not in known(cohort)


def test_what_no_study_has_is_left_out(cohort):
    assert not {"troponin_i", "race", "spo2"} & set(known(cohort))


def test_scores_alone_tell_of_vital_signs_and_conditions(cohort):
    found = known(cohort, record=False)

    assert found["heart_rate"].values.tolist()[:2] == [120, 90]
    assert "cancer" in found
    assert "lactate" not in found


def test_a_record_alone_tells_of_measurements_and_counts(cohort):
    found = known(cohort, scores=False)

    assert found["heart_rate"].values["s1"] == 120
    assert found["count_diagnosis"].values.to_dict()["s1"] == 1
    assert "cancer" not in found


def test_a_run_of_scans_alone_knows_nothing():
    assert characteristics(None, None) == []


def test_a_ready_table_tells_what_its_columns_name(make_cohort, tmp_path):
    """A column that bears a concept's name and holds words is none of its numbers; a state is 0 or 1."""
    make_cohort([], studies=[{}, {}])
    (tmp_path / "events.parquet").unlink()
    table = {"study_id": ["s1", "s2"], "heart_rate": [70, 80], "cancer": [1, 0], "heart_failure": [2, 3]}
    pd.DataFrame(table | {"lactate": ["high", "low"]}).to_csv(tmp_path / "features.csv", index=False)
    found = known(load_cohort(tmp_path), scores=False)

    assert list(found) == ["cancer", "heart_rate"]
    assert (found["heart_rate"].values["s2"], found["heart_rate"].unit) == (80, "/min")
