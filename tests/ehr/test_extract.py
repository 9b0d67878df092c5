"""Features at the index time, by hand on a few events; nothing at or after the index ever counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.ehr import FeaturePreparation, RawRecord, extract
from pefuse.errors import RecordError, UsageError
from pefuse.types import Cohort

INDEX = "2018-03-05T12:00:00"


def same(first: RawRecord, second: RawRecord) -> bool:
    """Bit for bit."""
    return (
        first.study_ids == second.study_ids
        and first.columns == second.columns
        and first.values.shape == second.values.shape
        and all(
            np.array_equal(getattr(first.values, part), getattr(second.values, part))
            for part in ("indptr", "indices", "data")
        )
        and np.array_equal(first.texts, second.texts)
        and np.array_equal(first.has_record, second.has_record)
    )


def value(cohort: Cohort, name: str, study: str = "s1") -> object:
    return extract(cohort).frame().loc[study, name]


def test_the_latest_value_before_the_index_is_taken_in_the_unit_of_the_concept(make_cohort):
    cohort = make_cohort(
        [
            (1, "2018-03-05T08:00", "LAB//lactate", 4.5),
            (1, "2018-03-05T11:59:59", "LAB//lactate", 2.5),
            (1, "2018-03-05T12:00:00", "LAB//lactate", 9.0),  # at the index: not known yet
            (1, "2018-03-05T10:00", "TEMP_F", 98.6),
        ],
        codes=[{"code": "TEMP_F", "concept": "temperature", "kind": "vital", "unit": "°F", "description": ""}],
    )

    assert value(cohort, "lactate (mmol/L)") == 2.5
    assert value(cohort, "temperature (°C)") == 37.0


def test_codes_of_one_concept_are_one_feature_and_the_latest_wins(make_cohort):
    """5.55 mmol/L at nine is 99.99 mg/dL; the LOINC value of ten o'clock is later."""
    cohort = make_cohort(
        [
            (1, "2018-03-05T09:00", "GLU_SI", 5.55),
            (1, "2018-03-05T10:00", "LOINC//2345-7", 140.0),
            (2, "2018-03-05T11:00", "GLU_SI", 5.55),
        ],
        studies=[{}, {}],
        codes=[{"code": "GLU_SI", "concept": "glucose", "kind": "lab", "unit": "mmol/L", "description": ""}],
    )

    assert value(cohort, "glucose (mg/dL)") == 140.0
    assert value(cohort, "glucose (mg/dL)", "s2") == pytest.approx(99.98658)


def test_of_two_values_at_one_moment_the_larger_is_taken(make_cohort):
    events = [(1, "2018-03-05T09:00", "LAB//lactate", number) for number in (1.0, 3.0, 2.0)]

    assert value(make_cohort(events), "lactate (mmol/L)") == 3.0
    assert value(make_cohort(events[::-1]), "lactate (mmol/L)") == 3.0


def test_a_value_outside_the_human_range_is_passed_over(make_cohort):
    """An SpO2 of 0 % and one of 900 % are slips: the 93 % before them is the latest value."""
    cohort = make_cohort(
        [
            (1, "2018-03-05T09:00", "VITAL//spo2", 93.0),
            (1, "2018-03-05T10:00", "VITAL//spo2", 0.0),
            (1, "2018-03-05T11:00", "VITAL//spo2", 900.0),
            (1, "2018-03-05T11:00", "VITAL//spo2", float("nan")),
        ]
    )

    assert value(cohort, "oxygen saturation (SpO2) (%)") == 93.0


def test_a_unit_without_a_conversion_is_a_feature_of_its_own(make_cohort):
    cohort = make_cohort(
        [(1, "2018-03-05T09:00", "L1", 7.0), (1, "2018-03-05T09:00", "LAB//lactate", 2.0)],
        codes=[{"code": "L1", "concept": "lactate", "kind": "lab", "unit": "spoons", "description": ""}],
    )

    assert value(cohort, "lactate (spoons)") == 7.0
    assert value(cohort, "lactate (mmol/L)") == 2.0


def test_medications_and_diagnoses_are_set_or_not_and_counted(make_cohort):
    cohort = make_cohort(
        [
            (1, "2017-01-01", "MEDICATION//OUT//beta blockers"),
            (1, "2018-03-05T10:00", "MEDICATION//IN//beta blockers"),
            (1, "2018-03-05T10:00", "MEDICATION//IN//heparin"),
            (1, "2016-01-01", "ICD9//428.0"),
            (1, "2016-06-01", "DIAGNOSIS//ICD//9//4280"),  # the same code in another spelling
            (2, "2017-01-01", "ICD9//401.9"),
        ],
        studies=[{}, {}, {}],
        codes=[{"code": "ICD9//428.0", "concept": "", "kind": "", "unit": "", "description": "heart failure"}],
    )
    frame = extract(cohort).frame()

    assert frame["drug: beta blockers (inpatient)"].tolist() == [1, 0, 0]
    assert frame["drug: beta blockers (outpatient)"].tolist() == [1, 0, 0]
    assert frame["ICD-9 428.0 heart failure"].tolist() == [1, 0, 0]
    assert frame["ICD-9 401.9"].tolist() == [0, 1, 0]
    np.testing.assert_array_equal(frame["number of drugs"], [3, 0, np.nan])
    np.testing.assert_array_equal(frame["number of inpatient drugs"], [2, 0, np.nan])
    np.testing.assert_array_equal(frame["number of outpatient drugs"], [1, 0, np.nan])
    np.testing.assert_array_equal(frame["number of diagnoses"], [1, 1, np.nan])
    assert extract(cohort).has_record.tolist() == [True, True, False]


def test_demographics_time_and_arrival_are_told_in_words(make_cohort):
    """2018-03-05 is a Monday; the scan was at 12:00. Of two smoking statuses the later one counts."""
    cohort = make_cohort(
        [
            (1, None, "RACE//white"),  # a timeless fact
            (1, "2015-01-01", "SMOKING//current"),
            (1, "2017-01-01", "SMOKING//former"),
            (1, "2018-03-06", "SMOKING//never"),
            (1, "2018-03-05T09:00", "ARRIVAL//escort", None, "family"),
            (1, "2018-03-05T09:00", "ARRIVAL//complaint//dyspnea"),
        ],
        studies=[{"age_years": 71.5, "sex": "M"}],
    )
    row = extract(cohort).frame().loc["s1"]

    assert row["age (years)"] == 71.5
    assert row["sex"] == "M"
    assert row["hour of the scan"] == 12.0
    assert row["weekday of the scan"] == "Monday"
    assert row["month of the scan"] == "March"
    assert row["race"] == "white"
    assert row["smoking"] == "former"
    assert row["escort"] == "family"
    assert row["complaint"] == "dyspnea"


def test_an_event_without_a_time_counts_for_demographics_only(make_cohort):
    cohort = make_cohort([(1, None, "ICD9//428.0"), (1, None, "LAB//lactate", 9.0), (1, None, "RACE//white")])
    names = {column.name for column in extract(cohort).columns}

    assert "race" in names
    assert not {"ICD-9 428.0", "lactate (mmol/L)"} & names


def test_visits_are_counted_and_their_days_cut_at_the_index(make_cohort):
    """Index 2018-03-05 12:00. Patient 1: ten days in 2016, two in 2018, and a stay since 03-03 12:00 (two days so
    far, whenever it ends). Last year: 2 + 2. Patient 2 was never in hospital, patient 3 has no record."""
    cohort = make_cohort(
        [
            (1, "2016-05-01", "VISIT//INPATIENT//START"),
            (1, "2016-05-11", "VISIT//INPATIENT//END"),
            (1, "2018-01-01", "VISIT//INPATIENT//START"),
            (1, "2018-01-03", "VISIT//INPATIENT//END", 2.0),
            (1, "2018-03-03T12:00", "VISIT//INPATIENT//START"),
            (1, "2018-03-20", "VISIT//INPATIENT//END", 16.5),
            (2, "2018-03-05T11:00", "LAB//lactate", 1.0),
        ],
        studies=[{}, {}, {}],
    )
    frame = extract(cohort).frame()

    np.testing.assert_array_equal(frame["inpatient visits"], [3, 0, np.nan])
    np.testing.assert_array_equal(frame["inpatient visits in the last year"], [2, 0, np.nan])
    np.testing.assert_allclose(frame["days in inpatient care"], [14, 0, np.nan])
    np.testing.assert_allclose(frame["days in inpatient care in the last year"], [4, 0, np.nan])
    np.testing.assert_allclose(frame["hours since arrival"], [48, np.nan, np.nan])
    np.testing.assert_allclose(frame["days since the last discharge"], [61.5, np.nan, np.nan])


def test_a_visit_told_by_one_event_is_cut_at_the_index_too(make_cohort):
    """From 03-04 12:00 for five days, of which one has passed; and three days told at their end on 2018-02-01."""
    cohort = make_cohort(
        [
            (1, "2018-03-04T12:00", "VISIT//INPATIENT", 5.0),
            (1, "2018-02-01", "VISIT//INPATIENT//DAYS", 3.0),
            (1, "2017-12-01", "VISIT//OUTPATIENT"),
        ]
    )
    frame = extract(cohort).frame()

    assert frame.loc["s1", "days in inpatient care"] == pytest.approx(4.0)
    assert frame.loc["s1", "outpatient visits"] == 1


def test_a_start_without_an_end_counts_as_a_visit_without_length(make_cohort):
    cohort = make_cohort(
        [
            (1, "2014-01-01", "VISIT//INPATIENT//START"),  # its end was never written
            (1, "2015-01-01", "VISIT//INPATIENT//START"),
            (1, "2015-01-03", "VISIT//INPATIENT//END"),
            (2, "2014-01-01", "VISIT//INPATIENT//START"),  # open for four years: not a stay any more
            (2, "2013-01-09", "VISIT//INPATIENT//END", 4.0),  # its start lies before the record
        ],
        studies=[{}, {}],
    )

    np.testing.assert_allclose(extract(cohort).frame()["days in inpatient care"], [2.0, 4.0])


BEFORE = [
    (1, "2018-03-01", "LAB//lactate", 2.0),
    (1, "2018-03-01", "ICD9//428.0"),
    (1, "2018-03-01", "MEDICATION//IN//heparin"),
    (1, "2018-03-01", "SMOKING//current"),
    (1, "2018-03-05T09:00", "ARRIVAL//escort//alone"),
    (1, "2018-03-04T12:00", "VISIT//INPATIENT//START"),
    (2, "2018-02-01", "LAB//lactate", 1.0),
]
LATER = [
    ("LAB//lactate", 15.0),
    ("LAB//creatinine", 3.0),
    ("VITAL//heart_rate", 140.0),
    ("ICD9//427.5", None),
    ("DIAGNOSIS//ICD//9//4275", None),
    ("MEDICATION//IN//norepinephrine", None),
    ("SMOKING//never", None),
    ("ARRIVAL//wing//trauma", None),
    ("VISIT//INPATIENT//END", 12.0),
    ("VISIT//ICU//START", None),
    ("SCORE//danger", 99.0),
    ("MEDS_DEATH", None),
]


@pytest.mark.parametrize("delay", ["0s", "1us", "1s", "3h", "10D", "400D"])
def test_nothing_at_or_after_the_index_changes_anything_bit_for_bit(make_cohort, delay):
    studies = [{}, {}]
    moment = (pd.Timestamp(INDEX) + pd.Timedelta(delay)).isoformat()
    clean = extract(make_cohort(BEFORE, studies=studies))

    later = [(patient, moment, code, number) for patient in (1, 2) for code, number in LATER]
    planted = extract(make_cohort(BEFORE + later, studies=studies))

    assert same(clean, planted)


def test_a_planted_event_one_microsecond_before_the_index_does_change_it(make_cohort):
    """The test above can fail: the same events an instant earlier are seen."""
    moment = (pd.Timestamp(INDEX) - pd.Timedelta("1us")).isoformat()
    clean = extract(make_cohort(BEFORE))

    for code, number in LATER[:-1]:
        assert not same(clean, extract(make_cohort([*BEFORE, (1, moment, code, number)]))), code


def test_a_discharge_diagnosis_of_the_stay_of_the_scan_is_no_feature(make_cohort):
    """Coded at the end of the visit, three days after the scan; one coded at the end of an earlier visit is."""
    cohort = make_cohort(
        [
            (1, "2018-03-04", "VISIT//INPATIENT//START"),
            (1, "2018-03-08", "VISIT//INPATIENT//END"),
            (1, "2018-03-08", "ICD9//415.19"),
            (1, "2017-01-08", "ICD9//401.9"),
        ]
    )

    names = {column.name for column in extract(cohort).columns}

    assert "ICD-9 401.9" in names
    assert "ICD-9 415.19" not in names


def test_studies_of_one_patient_each_have_their_own_cut(make_cohort):
    cohort = make_cohort(
        [(1, "2018-01-01", "LAB//lactate", 2.0), (1, "2018-02-01", "LAB//lactate", 4.0)],
        studies=[{"index_time": "2018-01-15"}, {"patient_id": 1, "index_time": "2018-02-15"}],
    )

    assert extract(cohort).frame()["lactate (mmol/L)"].tolist() == [2.0, 4.0]


def test_the_order_of_rows_and_of_studies_has_no_say(make_cohort):
    events = [*BEFORE, (1, "2018-03-01", "LAB//lactate", 5.0), (2, "2018-01-02", "ICD9//401.9")]
    studies = [{}, {}]
    first = extract(make_cohort(events, studies=studies))
    second = extract(make_cohort(events[::-1], studies=studies))
    turned = extract(make_cohort(events, studies=studies), ["s2", "s1"])

    assert same(first, second)
    pd.testing.assert_frame_equal(turned.frame().loc[["s1", "s2"]], first.frame())


def test_a_csv_of_events_gives_what_parquet_gives(make_cohort):
    assert same(extract(make_cohort(BEFORE, as_csv=True)), extract(make_cohort(BEFORE)))


def test_a_csv_with_text_among_its_numbers_is_named(make_cohort):
    cohort = make_cohort(BEFORE, as_csv=True)
    assert cohort.events is not None
    text = cohort.events.read_text(encoding="utf-8").replace("2.0", "positive")
    cohort.events.write_text(text, encoding="utf-8")

    with pytest.raises(RecordError, match="events") as caught:
        extract(cohort)
    assert "positive" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wrong_arguments_are_the_users_error(make_cohort):
    cohort = make_cohort(BEFORE)
    with pytest.raises(UsageError, match="does not have study nobody"):
        extract(cohort, ["nobody"])
    with pytest.raises(UsageError, match="memory limit 'lots'"):
        extract(cohort, memory_limit="lots")


def test_a_cohort_without_events_has_age_sex_and_time_and_no_record(make_cohort):
    cohort = make_cohort(BEFORE)
    assert cohort.events is not None
    cohort.events.unlink()

    raw = extract(load_cohort(cohort.folder))

    assert [column.family for column in raw.columns] == ["demographic", "time", "demographic", "time", "time"]
    assert not raw.has_record.any()


def test_equal_names_of_different_features_are_told_apart(make_cohort):
    codes = [
        {"code": f"MEDICATION//{place}//x", "concept": "", "kind": "", "unit": "", "description": "x"}
        for place in ("IN", "OUT")
    ]
    raw = extract(make_cohort([(1, "2018-01-01", code["code"]) for code in codes], codes=codes))
    names = [column.name for column in raw.columns]

    assert len(set(names)) == len(names)
    assert {"drug: x [medication//in//x]", "drug: x [medication//out//x]"} <= set(names)


def test_a_ready_table_passes_through(make_cohort, tmp_path):
    cohort = make_cohort(BEFORE, studies=[{}, {}, {}], codes=[
        {"code": "lac", "concept": "lactate", "kind": "lab", "unit": "mmol/L", "description": "lactate"}
    ])  # fmt: skip
    assert cohort.events is not None
    cohort.events.unlink()
    (tmp_path / "features.csv").write_text("study_id,lac,ward\ns2,1.5,surgery\ns1,,\n", encoding="utf-8")

    raw = extract(load_cohort(tmp_path))

    assert [(column.key, column.name, column.family, column.unit) for column in raw.columns] == [
        ("lac", "lactate (mmol/L)", "table", "mmol/L"),
        ("ward", "ward", "table", ""),
    ]
    np.testing.assert_array_equal(raw.numbers(0), [np.nan, 1.5, np.nan])
    assert raw.levels(1).tolist() == ["", "surgery", ""]
    assert raw.has_record.tolist() == [True, True, False]


# --- real records


@pytest.fixture(scope="module")
def mimic(test_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """The MIMIC-IV demo as a cohort: a study six hours after each registration in the emergency department."""
    folder = tmp_path_factory.mktemp("mimic")
    shards = sorted((test_data / "mimic_iv_demo_meds" / "data").glob("*/*.parquet"))
    columns = ["subject_id", "time", "code", "numeric_value", "text_value"]
    events = pd.concat([pd.read_parquet(shard, columns=columns) for shard in shards], ignore_index=True)
    events["time"] = events["time"].astype("datetime64[us]")
    events.to_parquet(folder / "events.parquet")
    arrivals = events[events["code"] == "ED_REGISTRATION"].sort_values(["subject_id", "time"])

    def of_patient(mask: pd.Series, column: str, how: str) -> pd.Series:
        found = events[mask].groupby("subject_id")[column].agg(how)
        return arrivals["subject_id"].map(found)

    code = events["code"]
    sex = of_patient(code.str.startswith("GENDER//"), "code", "first").str.removeprefix("GENDER//")
    studies = pd.DataFrame(
        {
            "study_id": [f"ed{number:03d}" for number in range(len(arrivals))],
            "patient_id": arrivals["subject_id"].to_numpy(),
            "index_time": (arrivals["time"] + pd.Timedelta(hours=6)).to_numpy(),
            "ct": "",
            "birth_date": of_patient(code == "MEDS_BIRTH", "time", "min").to_numpy(),
            "sex": sex.to_numpy(),
            "death_time": of_patient(code == "MEDS_DEATH", "time", "min").to_numpy(),
            "last_follow_up": of_patient(code != "MEDS_DEATH", "time", "max").to_numpy(),
        }
    )
    studies.to_csv(folder / "studies.csv", index=False)
    return load_cohort(folder)


def test_real_events_give_plausible_features(mimic):
    raw = extract(mimic)
    frame = raw.frame()

    assert len(frame) == 181
    assert raw.has_record.all()
    for name, low, high in (
        ("heart rate (/min)", 60, 110),
        ("systolic blood pressure (mmHg)", 100, 140),
        ("temperature (°C)", 36, 37.5),
        ("potassium (mmol/L)", 3.5, 5),
        ("haemoglobin (g/dL)", 8, 14),
        ("age (years)", 50, 75),
    ):
        assert low < frame[name].median() < high, name
    assert frame["emergency visits"].min() >= 1  # the registration itself lies before the index


def test_real_values_equal_a_plain_pandas_search(mimic):
    """The latest potassium before each index (two codes mean it), found the slow way."""
    events = pd.read_parquet(mimic.events)
    codes = ["LAB//50971//mEq/L", "LAB//50822//mEq/L"]
    potassium = events[events["code"].isin(codes) & events["numeric_value"].between(1, 15)]
    expected = []
    for _, study in mimic.studies.iterrows():
        mine = potassium[
            (potassium["subject_id"] == study["patient_id"]) & (potassium["time"] < study["index_time"])
        ].sort_values(["time", "numeric_value"])
        expected.append(mine["numeric_value"].iloc[-1] if len(mine) else np.nan)

    found = extract(mimic).frame()["potassium (mmol/L)"]

    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_real_events_after_the_index_have_no_say(mimic, tmp_path):
    """All events at or after each patient's last index are cut off: the last studies' features stay the same."""
    last = mimic.studies.groupby("patient_id")["index_time"].max()
    kept = mimic.studies.index[mimic.studies["index_time"] == mimic.studies["patient_id"].map(last)]
    events = pd.read_parquet(mimic.events)
    early = events[~(events["time"] >= events["subject_id"].map(last))]
    assert len(early) < len(events)
    early.to_parquet(tmp_path / "events.parquet")
    (tmp_path / "studies.csv").write_text(
        (mimic.folder / "studies.csv").read_text(encoding="utf-8"), encoding="utf-8"
    )

    assert same(extract(mimic, list(kept)), extract(load_cohort(tmp_path), list(kept)))


def test_the_real_table_of_support2_is_a_cohort_of_features(test_data, tmp_path):
    """Its row number is seen for what it is; its text columns become levels."""
    table = pd.read_csv(test_data / "support2" / "support2.csv").head(600)
    studies = pd.DataFrame(
        {
            "study_id": table["sno"].map("p{:04d}".format),
            "patient_id": table["sno"],
            "index_time": ["2015-01-01" if number % 4 else "2016-01-01" for number in table["sno"]],
            "ct": "",
            "age_years": table["age"],
            "sex": table["sex"],
            "died": table["hospdead"],
        }
    )
    studies.to_csv(tmp_path / "studies.csv", index=False)
    table.drop(columns=["hospdead", "death"]).assign(study_id=studies["study_id"]).to_csv(
        tmp_path / "features.csv", index=False
    )
    cohort = load_cohort(tmp_path)
    raw = extract(cohort)
    train = list(cohort.studies.index[cohort.studies["year"] == 2015])

    preparation = FeaturePreparation.fit(raw, train)
    features = preparation.transform(raw, list(cohort.studies.index))

    assert preparation.dropped["sno"] == "identifier"
    assert {"meanbp", "pafi", "pafi missing", "dzclass: Coma"} <= set(features.names)
    assert not np.isnan(features.values).any()
    assert len(features.study_ids) == 600
