"""Options of features: lag, lookback, families, courses, chapters; each against values worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pefuse.cli.options import lag_setting
from pefuse.ehr import FeatureOptions, FeaturePreparation, clinical_scores, extract
from pefuse.errors import RecordError, UsageError
from pefuse.vocabulary import icd_chapter, parse_icd

EVENTS = [  # the scan is at 2018-03-05 12:00
    (1, "2018-02-20T12:00", "LAB//lactate", 9.0),
    (1, "2018-03-03T12:00", "LAB//lactate", 2.0),
    (1, "2018-03-04T18:00", "LAB//lactate", 3.0),
    (1, "2018-03-05T06:00", "LAB//lactate", 5.0),
    (1, "2018-03-05T12:00", "LAB//lactate", 99.0),  # at the index
    (2, "2018-03-05T06:00", "LAB//lactate", 1.0),
    (1, "2010-01-01T00:00", "ICD10CM//I50.9"),
    (2, "2018-03-01T00:00", "ICD9CM//428.0"),
    (2, "2018-03-01T00:00", "ICD10CM//J18.9", 0.0),  # denied
    (1, "2018-03-05T11:00", "VITAL//heart_rate", 120.0),
]
STUDIES = ({}, {})


def frame_of(make_cohort: Any, **options: Any) -> Any:
    return extract(make_cohort(EVENTS, studies=STUDIES), options=FeatureOptions(**options)).frame()


@pytest.mark.parametrize(
    ("lag", "lactate"), [(0, 5.0), (6, 3.0), (5.99, 5.0), (18, 2.0), (48, 9.0), (311, 9.0), (312, None)]
)
def test_a_lag_moves_the_cut_back(make_cohort, lag, lactate):
    """What lies at the moved cut does not count either."""
    frame = frame_of(make_cohort, lag_hours=lag)
    if lactate is None:
        assert "lactate (mmol/L)" not in frame
    else:
        assert frame.loc["s1", "lactate (mmol/L)"] == lactate


def test_a_lag_cuts_scores_too(make_cohort):
    cohort = make_cohort(EVENTS, studies=STUDIES)
    points = [clinical_scores(cohort, lag_hours=lag).loc["s1", "pesi_points"] for lag in (0, 1)]
    assert points == [60 + 20 + 10, 60 + 10]  # the pulse of an hour before is at the cut


def test_the_hour_of_the_scan_is_that_of_the_scan(make_cohort):
    assert frame_of(make_cohort, lag_hours=24).loc["s1", "hour of the scan"] == 12.0


def test_a_lookback_ends_what_is_older(make_cohort):
    frame = frame_of(make_cohort, lookback_days={"diagnosis": 365.0, "lab": 1.0})
    assert frame.loc["s1", "lactate (mmol/L)"] == 5.0
    assert "ICD-10 I50.9" not in frame
    assert frame.loc["s2", "ICD-9 428.0"] == 1.0
    assert "lactate (mmol/L)" not in frame_of(make_cohort, lookback_days={"lab": 0.2})


def test_families_may_be_chosen(make_cohort):
    record = extract(make_cohort(EVENTS, studies=STUDIES), options=FeatureOptions(families=("lab", "time")))
    assert {column.family for column in record.columns} == {"lab", "time"}
    assert record.texts.shape[1] == 2  # weekday and month
    np.testing.assert_array_equal(record.frame()["lactate (mmol/L)"], [5.0, 1.0])


def test_the_course_of_a_measurement(make_cohort):
    """Of the last week 2, 3 and 5 at -2, -0.75 and -0.25 days; the 9 of two weeks before is only counted."""
    frame = frame_of(make_cohort, measured=("hours_since", "count", "trend", "worst_24h"))
    row = frame.loc["s1"]
    assert row["lactate: hours since the last value (hours)"] == 6.0
    assert row["lactate: number of values"] == 4
    slope = np.polyfit([-2.0, -0.75, -0.25], [2.0, 3.0, 5.0], 1)[0]
    assert row["lactate: change a day (mmol/L a day)"] == pytest.approx(slope, rel=1e-6)
    assert (row["lactate: lowest of 24 hours (mmol/L)"], row["lactate: highest of 24 hours (mmol/L)"]) == (
        3.0,
        5.0,
    )
    other = frame.loc["s2"]
    assert np.isnan(other["lactate: change a day (mmol/L a day)"])  # one value has no trend
    assert other["lactate: number of values"] == 1


def test_courses_are_in_the_unit_of_the_concept(make_cohort):
    events = [(1, "2018-03-05T06:00", "T", 98.6), (1, "2018-03-05T07:00", "T", 104.0)]
    codes = [{"code": "T", "concept": "temperature", "kind": "vital", "unit": "°F", "description": ""}]
    cohort = make_cohort(events, codes=codes)
    row = extract(cohort, options=FeatureOptions(measured=("worst_24h",))).frame().loc["s1"]
    assert row["temperature: lowest of 24 hours (°C)"] == pytest.approx(37.0)
    assert row["temperature: highest of 24 hours (°C)"] == pytest.approx(40.0)


def test_a_course_is_cut_by_lag_and_lookback(make_cohort):
    options = FeatureOptions(measured=("count",), lag_hours=6, lookback_days={"lab": 3.0})
    frame = extract(make_cohort(EVENTS, studies=STUDIES), options=options).frame()
    assert frame.loc["s1", "lactate: number of values"] == 2


def test_chapters_of_diagnoses(make_cohort):
    frame = frame_of(make_cohort, diagnosis_groups=("chapter",))
    np.testing.assert_array_equal(frame["any diagnosis: circulatory"], [1.0, 1.0])
    assert "any diagnosis: respiratory" not in frame  # denied
    np.testing.assert_array_equal(frame["number of diagnoses"], [1.0, 1.0])


def test_clinical_groups_of_diagnoses(make_cohort):
    """ICD-9 and ICD-10 codes of one disease are one feature."""
    events = [
        (1, "2016-01-01", "ICD9CM//428.0"),
        (2, "2016-01-01", "ICD10CM//I50.9"),
        (2, "2016-01-01", "ICD10CM//B20"),
    ]
    frame = extract(
        make_cohort(events, studies=STUDIES), options=FeatureOptions(diagnosis_groups=("chapter", "ccs"))
    ).frame()
    np.testing.assert_array_equal(frame["any diagnosis: congestive heart failure; nonhypertensive"], [1.0, 1.0])
    np.testing.assert_array_equal(frame["any diagnosis: HIV infection"], [0.0, 1.0])
    np.testing.assert_array_equal(frame["any diagnosis: circulatory"], [1.0, 1.0])


@pytest.mark.parametrize(
    ("code", "chapter"),
    [
        ("ICD10CM//I50.9", "circulatory"),
        ("ICD10CM//D49.9", "neoplasms"),
        ("ICD10CM//D50.0", "blood"),
        ("ICD10CM//O9A.1", "pregnancy"),
        ("ICD9CM//139.8", "infections"),
        ("ICD9CM//140", "neoplasms"),
        ("ICD9CM//428.0", "circulatory"),
        ("ICD9CM//E888.9", "external causes"),
        ("ICD9CM//V58.61", "contact with health services"),
    ],
)
def test_each_code_has_its_chapter(code, chapter):
    icd = parse_icd(code)
    assert icd is not None
    assert icd_chapter(icd) == chapter


def test_a_preparation_keeps_the_options_and_refuses_others(make_cohort):
    cohort = make_cohort(EVENTS, studies=STUDIES)
    options = FeatureOptions(lag_hours=6, lookback_days={"lab": 30.0}, measured=("count",))
    raw = extract(cohort, options=options)
    fitted = FeaturePreparation.fit(raw, ["s1", "s2"])
    again = FeaturePreparation.from_json(fitted.to_json())
    assert again.options == options
    np.testing.assert_array_equal(
        again.transform(raw, ["s1", "s2"]).values, fitted.transform(raw, ["s1", "s2"]).values
    )
    with pytest.raises(RecordError, match="other feature options"):
        again.transform(extract(cohort), ["s1", "s2"])


@pytest.mark.parametrize(
    "options",
    [
        {"lag_hours": -1},
        {"lag_hours": float("nan")},
        {"lookback_days": {"labs": 1.0}},
        {"lookback_days": {"lab": 0.0}},
        {"families": ("labs",)},
        {"measured": ("mean",)},
    ],
)
def test_impossible_options_are_refused(options):
    with pytest.raises(UsageError):
        FeatureOptions(**options)


def test_a_lag_is_hours_or_days():
    assert lag_setting("24h") == lag_setting("1d") == ["features.lag_hours=24"]
    assert lag_setting(None) == []
    with pytest.raises(UsageError, match="such as 24h"):
        lag_setting("a day")
