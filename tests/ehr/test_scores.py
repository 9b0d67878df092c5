"""PESI and sPESI against cases worked by hand, at both sides of every cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.ehr import clinical_scores, list_points, read_score_values, score_classes, score_parts
from pefuse.errors import UsageError

NOW = "2018-03-05T11:00"
NORMAL = {"heart_rate": 80, "systolic_bp": 120, "respiratory_rate": 16, "temperature": 37, "spo2": 97}


def vitals(patient: int = 1, **changes: float | None) -> list[tuple[Any, ...]]:
    """Normal vital signs an hour before the scan, but for the changes (None = not measured)."""
    values = {**NORMAL, **changes}
    return [(patient, NOW, f"VITAL//{name}", value) for name, value in values.items() if value is not None]


def scores(make_cohort, events, **study: Any) -> pd.Series:
    return clinical_scores(make_cohort(events, studies=[study])).loc["s1"]


def test_a_well_woman_of_60_has_her_years_and_no_simplified_point(make_cohort):
    row = scores(make_cohort, vitals())

    assert (row["pesi_points"], row["pesi_class"], row["pesi_missing"]) == (60, "I", 0)
    assert (row["spesi_points"], row["spesi_class"], row["spesi_missing"]) == (0, "low", 0)
    assert row["pesi_risk"] == pytest.approx(0.008)  # the middle of 0 to 1.6 %
    assert row["spesi_risk"] == pytest.approx(0.010)


@pytest.mark.parametrize(
    ("concept", "value", "pesi", "spesi"),
    [
        ("heart_rate", 109, 0, 0),
        ("heart_rate", 110, 20, 1),
        ("systolic_bp", 99, 30, 1),
        ("systolic_bp", 100, 0, 0),
        ("respiratory_rate", 29, 0, 0),
        ("respiratory_rate", 30, 20, 0),
        ("temperature", 35.9, 20, 0),
        ("temperature", 36.0, 0, 0),
        ("spo2", 89, 20, 1),
        ("spo2", 90, 0, 0),
    ],
)
def test_each_vital_sign_at_its_cut(make_cohort, concept, value, pesi, spesi):
    """A woman of 60: 60 points from her age."""
    row = scores(make_cohort, vitals(**{concept: value}))

    assert row["pesi_points"] == 60 + pesi
    assert row["spesi_points"] == spesi


@pytest.mark.parametrize(
    ("unit", "concept", "value", "pesi"),
    [
        ("°F", "temperature", 96.7, 20),  # 35.94 °C
        ("°F", "temperature", 96.8, 0),  # 36.0 °C exactly
        ("fraction", "spo2", 0.89, 20),
        ("fraction", "spo2", 0.90, 0),
        ("kPa", "systolic_bp", 13.3, 30),  # 99.8 mmHg
        ("kPa", "systolic_bp", 13.4, 0),  # 100.5 mmHg
    ],
)
def test_cuts_hold_in_other_units(make_cohort, unit, concept, value, pesi):
    events = [*vitals(**{concept: None}), (1, NOW, "LOCAL", value)]
    codes = [{"code": "LOCAL", "concept": concept, "kind": "vital", "unit": unit, "description": ""}]

    row = clinical_scores(make_cohort(events, codes=codes)).loc["s1"]

    assert row["pesi_points"] == 60 + pesi


@pytest.mark.parametrize(
    ("code", "pesi", "spesi"),
    [
        ("ICD9//162.9", 30, 1),  # lung cancer
        ("ICD10CM//C34.90", 30, 1),
        ("ICD9//428.0", 10, 1),
        ("ICD10//I50.9", 10, 1),
        ("ICD9//496", 10, 1),
        ("ICD10//J44.9", 10, 1),
        ("ICD9//401.9", 0, 0),
        ("ICD9//173.3", 0, 0),  # skin cancer does not count
    ],
)
def test_each_comorbidity(make_cohort, code, pesi, spesi):
    row = scores(make_cohort, [*vitals(), (1, "2012-01-01", code)])

    assert row["pesi_points"] == 60 + pesi
    assert row["spesi_points"] == spesi


def test_heart_and_lung_disease_together_are_one_item_of_the_simplified_score(make_cohort):
    row = scores(make_cohort, [*vitals(), (1, "2012-01-01", "ICD9//428.0"), (1, "2012-01-01", "ICD9//496")])

    assert row["pesi_points"] == 60 + 10 + 10
    assert row["spesi_points"] == 1


@pytest.mark.parametrize(("age", "spesi"), [(80, 0), (80.99, 0), (81, 1)])
def test_age_counts_in_completed_years(make_cohort, age, spesi):
    row = scores(make_cohort, vitals(), age_years=age)

    assert row["pesi_points"] == int(age)
    assert row["spesi_points"] == spesi


@pytest.mark.parametrize(
    ("code", "number", "hours", "pesi"),
    [
        ("VITAL//altered_mental_status", 1, 2, 60),
        ("VITAL//altered_mental_status", 0, 2, 0),
        ("ICD9//780.97", None, 2, 60),
        ("ICD9//780.97", None, 48, 60),
        ("ICD9//780.97", None, 49, 0),  # a state of days ago is not that of now
    ],
)
def test_altered_mental_status(make_cohort, code, number, hours, pesi):
    moment = (pd.Timestamp("2018-03-05T12:00") - pd.Timedelta(hours=hours)).isoformat()

    assert scores(make_cohort, [*vitals(), (1, moment, code, number)])["pesi_points"] == 60 + pesi


def test_the_sickest_old_man(make_cohort):
    """90 + male 10 + cancer 30 + failure 10 + lung 10 + pulse 20 + pressure 30 + breathing 20 + cold 20 + mind 60
    + saturation 20 = 320; simplified: all six."""
    events = [
        *vitals(heart_rate=130, systolic_bp=80, respiratory_rate=34, temperature=35, spo2=82),
        (1, NOW, "VITAL//altered_mental_status", 1),
        *[(1, "2015-01-01", f"ICD9//{code}") for code in ("162.9", "428.0", "496")],
    ]
    row = scores(make_cohort, events, age_years=90, sex="M")

    assert (row["pesi_points"], row["pesi_class"]) == (320, "V")
    assert row["pesi_risk"] == pytest.approx(0.1725)  # the middle of 10.0 to 24.5 %
    assert (row["spesi_points"], row["spesi_class"], row["spesi_risk"]) == (6, "high", pytest.approx(0.109))
    parts = row[[name for name in row.index if name.startswith("pesi_part_")]]
    assert parts.sum() == 320
    assert row["pesi_part_cancer"] == 30


@pytest.mark.parametrize(
    ("age", "name", "risk"),
    [
        (65, "I", 0.008),
        (66, "II", 0.026),
        (85, "II", 0.026),
        (86, "III", 0.0515),
        (105, "III", 0.0515),
        (106, "IV", 0.077),
        (119, "IV", 0.077),
    ],
)
def test_classes_begin_where_published(make_cohort, age, name, risk):
    row = scores(make_cohort, vitals(), age_years=age)

    assert row["pesi_class"] == name
    assert row["pesi_risk"] == pytest.approx(risk)


@pytest.mark.parametrize(("age", "name"), [(95, "IV"), (96, "V")])
def test_the_last_class_begins_above_125(make_cohort, age, name):
    """With a low pressure, 30 points: 125 and 126."""
    assert scores(make_cohort, vitals(systolic_bp=90), age_years=age)["pesi_class"] == name


def test_missing_parts_count_as_normal_and_are_counted_or_refuse_the_score(make_cohort):
    cohort = make_cohort(vitals(spo2=None, temperature=None, systolic_bp=90))

    normal = clinical_scores(cohort).loc["s1"]
    refused = clinical_scores(cohort, missing="refuse").loc["s1"]

    assert (normal["pesi_points"], normal["pesi_missing"], normal["spesi_missing"]) == (90, 2, 1)
    assert np.isnan(normal["pesi_part_temperature"])
    assert np.isnan(refused["pesi_points"])
    assert np.isnan(refused["pesi_risk"])
    assert refused["pesi_class"] == ""
    assert refused["pesi_missing"] == 2
    assert clinical_scores(make_cohort(vitals()), missing="refuse").loc["s1", "pesi_points"] == 60


def test_without_an_age_there_is_no_score_and_without_a_record_all_but_age_and_sex_is_missing(make_cohort):
    cohort = make_cohort(vitals(), studies=[{"age_years": ""}, {}])
    table = clinical_scores(cohort)

    assert table["pesi_points"].isna().tolist() == [True, False]
    assert table.loc["s1", "spesi_class"] == ""
    assert table.loc["s2", "pesi_points"] == 60
    assert table.loc["s2", "pesi_missing"] == 9
    assert table.loc["s2", "spesi_missing"] == 5


def test_an_unknown_sex_is_a_missing_part(make_cohort):
    row = scores(make_cohort, vitals(), sex="")

    assert (row["pesi_points"], row["pesi_missing"]) == (60, 1)


def test_the_latest_value_counts_and_the_lookback_ends_it(make_cohort):
    """A pulse of 130 thirty hours before the scan, one of 80 forty hours before."""
    events = [
        *vitals(heart_rate=None),
        (1, "2018-03-03T20:00", "VITAL//heart_rate", 80.0),
        (1, "2018-03-04T06:00", "VITAL//heart_rate", 130.0),
        (1, "2010-01-01", "ICD9//428.0"),
    ]
    cohort = make_cohort(events)

    assert clinical_scores(cohort).loc["s1", "pesi_part_pulse"] == 20
    assert clinical_scores(cohort, lookback_hours=31).loc["s1", "pesi_part_pulse"] == 20
    short = clinical_scores(cohort, lookback_hours=24).loc["s1"]
    assert np.isnan(short["pesi_part_pulse"])
    assert short["pesi_part_heart_failure"] == 10  # a comorbidity is not forgotten


def test_nothing_at_or_after_the_index_reaches_a_score(make_cohort):
    clean = clinical_scores(make_cohort(vitals()))
    for moment in ("2018-03-05T12:00", "2018-03-05T12:00:01", "2018-04-01"):
        later = [
            (1, moment, "VITAL//heart_rate", 150.0),
            (1, moment, "VITAL//spo2", 70.0),
            (1, moment, "VITAL//altered_mental_status", 1.0),
            (1, moment, "ICD9//162.9"),
        ]
        pd.testing.assert_frame_equal(clinical_scores(make_cohort(vitals() + later)), clean)


def test_a_ready_table_is_scored_by_the_names_of_its_columns(make_cohort, tmp_path):
    """A woman of 60; pulse 120 (+20), 95 °F = 35 °C (+20), heart failure (+10); 6 parts are not in the table."""
    codes = [{"code": "temp", "concept": "temperature", "kind": "vital", "unit": "°F", "description": ""}]
    cohort = make_cohort(vitals(), codes=codes)
    assert cohort.events is not None
    cohort.events.unlink()
    text = "study_id,heart_rate,temp,heart_failure\ns1,120,95,1\n"
    (tmp_path / "features.csv").write_text(text, encoding="utf-8")

    row = clinical_scores(load_cohort(tmp_path)).loc["s1"]

    assert (row["pesi_points"], row["pesi_missing"]) == (110, 6)
    assert row["spesi_points"] == 2


def test_the_table_of_points_is_complete_and_names_its_sources():
    assert [part.score for part in score_parts()].count("pesi") == 11
    assert [part.score for part in score_parts()].count("spesi") == 6
    assert all(part.source for part in score_parts())
    assert [level.name for level in score_classes("pesi")] == ["I", "II", "III", "IV", "V"]
    assert [level.name for level in score_classes("spesi")] == ["low", "high"]


def test_wrong_arguments_are_the_users_error(make_cohort):
    cohort = make_cohort(vitals())
    with pytest.raises(UsageError, match="missing is 'guess'"):
        clinical_scores(cohort, missing="guess")
    with pytest.raises(UsageError, match="lookback_hours is 0"):
        clinical_scores(cohort, lookback_hours=0)


def test_comorbidities_in_snomed_count(make_cohort):
    cohort = make_cohort([(1, "2017-03-05", "SNOMED//84114007"), (1, "2017-03-05", "SNOMED//13645005")])
    row = clinical_scores(cohort).loc["s1"]
    assert (row["pesi_points"], row["spesi_points"]) == (80, 1)


def test_imputed_parts_count_what_they_mean_among_the_training_studies(make_cohort):
    """Two of four training studies have a pulse of 110 and more: 10 points for those without one."""
    pulses = {1: 120, 2: 80, 3: 130, 4: 70, 6: 140, 7: 150}
    events = [(number, "2018-03-05T08:00", "VITAL//heart_rate", value) for number, value in pulses.items()]
    events += [(5, "2018-03-05T08:00", "VITAL//spo2", 97)]
    cohort = make_cohort(events, studies=[{}] * 7)
    train = ["s1", "s2", "s3", "s4"]
    table = clinical_scores(cohort, missing="impute", fit_on=train)
    normal = clinical_scores(cohort)
    assert table.loc["s5", "pesi_points"] - normal.loc["s5", "pesi_points"] == 10
    assert table.loc["s5", "spesi_points"] == 0.5
    np.testing.assert_array_equal(table["pesi_missing"], normal["pesi_missing"])
    assert np.isnan(table.loc["s5", "pesi_part_pulse"])  # the listing says that it was missing
    assert table.loc["s1", "pesi_points"] == normal.loc["s1", "pesi_points"]


def test_an_age_may_be_imputed_too(make_cohort):
    cohort = make_cohort([(1, "2018-03-05T08:00", "VITAL//heart_rate", 80)], studies=[{"age_years": ""}, {}])
    assert np.isnan(clinical_scores(cohort).loc["s1", "pesi_points"])
    assert clinical_scores(cohort, missing="impute", fit_on=["s2"]).loc["s1", "pesi_points"] == 60


def test_imputing_needs_training_studies(make_cohort):
    with pytest.raises(UsageError, match="fit_on must name the training studies"):
        clinical_scores(make_cohort([]), missing="impute")


def test_the_points_behind_a_score_are_listed_in_the_order_of_the_table(make_cohort):
    events = [(1, "2018-03-05T08:00", "VITAL//heart_rate", 112), (1, "2018-03-01", "ICD10CM//R41.0")]
    values = read_score_values(make_cohort(events), scores=["pesi", "news2"])
    lines = list_points(values, "s1", "pesi").set_index("part")
    assert lines.loc["pulse", ["found", "counts_if", "points"]].tolist() == [
        "heart rate: 112 /min",
        ">= 110",
        20.0,
    ]
    assert lines.loc["age", ["found", "points"]].tolist() == ["age: 60 years", 60.0]
    assert lines.loc["temperature", "found"] == "temperature: missing"
    assert np.isnan(lines.loc["temperature", "points"])
    assert lines.loc["altered mental status", "counts_if"] == "present, in the last 48 h"
    assert lines.loc["altered mental status", "found"].endswith(": no")  # told four days before
    assert "Aujesky 2005" in lines.loc["pulse", "source"]
    assert lines["points"].sum() == clinical_scores(make_cohort(events)).loc["s1", "pesi_points"]
    with pytest.raises(UsageError, match="Study s2 is not among those read"):
        list_points(values, "s2", "pesi")
    with pytest.raises(UsageError, match="bova is not among those read"):
        list_points(values, "s1", "bova")
