"""Reading cohort folders: what a right one becomes, and one line for each way to be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.errors import CohortError
from pefuse.types import STUDY_COLUMNS

ROW = ["a", 1, "2018-03-05T14:30", "scans/a", 64, "F", 0]
OUTCOME = ("study_id", "patient_id", "index_time", "ct", "age_years", "sex", "death_time", "last_follow_up")


def outcome_row(death: str, follow_up: str) -> list[object]:
    return ["a", 1, "2018-03-05T14:30", "", 64, "F", death, follow_up]


def test_a_small_cohort_comes_back_with_the_columns_and_types_of_the_contract(write_studies):
    folder = write_studies([ROW, ["b", 2, "2017-01-01 08:00:00", "", 70.5, "male", 1]])
    (folder / "cohort.yaml").write_text("name: tiny\nhorizon_days: 30\nsimulated: true\n", encoding="utf-8")

    cohort = load_cohort(folder)

    assert (cohort.name, cohort.horizon_days, cohort.simulated) == ("tiny", 30, True)
    assert tuple(cohort.studies.columns) == STUDY_COLUMNS
    assert list(cohort.studies.index) == ["a", "b"]
    assert cohort.studies["sex"].tolist() == ["F", "M"]
    assert cohort.studies["label"].tolist() == [0.0, 1.0]
    assert cohort.studies["year"].tolist() == [2018, 2017]
    assert cohort.studies["patient_id"].dtype == "int64"
    assert cohort.study("a").ct == folder / "scans/a"
    assert cohort.study("b").ct is None
    assert cohort.events is None
    assert cohort.features is None
    assert cohort.codes.empty


def test_studies_may_be_parquet_with_typed_cells(tmp_path):
    rows = {
        "study_id": ["a", "b"],
        "patient_id": [1, 2],
        "index_time": pd.to_datetime(["2018-03-05T14:30", "2018-03-06T00:00"]),
        "ct": ["", None],
        "birth_date": pd.to_datetime(["1954-03-05", None]),
        "age_years": [float("nan"), 50.0],
        "sex": ["F", None],
        "died": [True, False],
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "studies.parquet")

    studies = load_cohort(tmp_path).studies

    assert studies["age_years"].tolist() == pytest.approx([64.0, 50.0], abs=0.01)
    assert studies["label"].tolist() == [1.0, 0.0]
    assert studies["sex"].tolist() == ["F", ""]
    assert studies["ct"].tolist() == ["", ""]


def test_a_byte_order_mark_and_blanks_of_excel_are_tolerated(tmp_path):
    text = "\ufeffstudy_id, patient_id,index_time,ct,age_years,sex,died\r\na, 12.0 ,2018-03-05,,64,f,\r\n"
    (tmp_path / "studies.csv").write_bytes(text.encode("utf-8"))

    studies = load_cohort(tmp_path).studies

    assert studies.index.tolist() == ["a"]
    assert studies["patient_id"].tolist() == [12]
    assert studies["label"].isna().all()


@pytest.mark.parametrize(
    ("death", "follow_up", "label"),
    [
        ("2018-04-04T14:30", "", 1.0),  # day 30.0: within
        ("2018-04-04T14:31", "", 0.0),  # a minute later: not
        ("2018-04-04", "", 1.0),  # a date alone is counted by the calendar: day 30
        ("2018-04-05", "", 0.0),
        ("2018-03-05", "", 1.0),  # a date alone, on the day of the scan: not before it
        ("", "2018-04-04T14:30", 0.0),  # followed for 30.0 days
        ("", "2018-04-04T14:29", None),  # a minute less: censored
        ("", "2018-04-04", 0.0),
        ("", "", None),
    ],
)
def test_the_label_follows_from_death_and_follow_up(write_studies, death, follow_up, label):
    """Index 2018-03-05 14:30, horizon 30 days: it ends on 2018-04-04 14:30, both ends included."""
    studies = load_cohort(write_studies([outcome_row(death, follow_up)], OUTCOME)).studies

    assert studies["label"].isna().all() if label is None else studies["label"].tolist() == [label]


def test_the_horizon_of_the_cohort_is_used(write_studies):
    folder = write_studies([outcome_row("2018-03-20", "")], OUTCOME)
    (folder / "cohort.yaml").write_text("horizon_days: 7\n", encoding="utf-8")

    assert load_cohort(folder).studies["label"].tolist() == [0.0]


def test_age_comes_from_the_birth_date_where_there_is_one(write_studies):
    """From 1950-01-01 to 2010-01-01 are 21,915 days = 60.0 years of 365.25 days."""
    header = ("study_id", "patient_id", "index_time", "ct", "birth_date", "sex", "died")
    folder = write_studies([["a", 1, "2010-01-01", "", "1950-01-01", "F", 0]], header)

    assert load_cohort(folder).studies["age_years"].tolist() == [60.0]


def bad(**changes: object) -> list[object]:
    row = dict(zip(("study_id", "patient_id", "index_time", "ct", "age_years", "sex", "died"), ROW, strict=True))
    return list({**row, **changes}.values())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study_id": ""}, "row 2: study_id"),
        ({"study_id": "../a"}, "row 2: study_id"),
        ({"patient_id": "P-17"}, "study a: patient_id is not a whole number"),
        ({"patient_id": 10**19}, "study a: patient_id is not a whole number"),
        ({"index_time": "2018-02-30"}, "study a: index_time is not a possible date"),
        ({"index_time": ""}, "study a: index_time is not a possible date"),
        ({"index_time": "05/03/2018"}, "study a: index_time is not a possible date"),
        ({"index_time": "2018-03-05T14:30Z"}, "study a: index_time has a time zone"),
        ({"index_time": "2018-03-05T14:30+02:00"}, "study a: index_time has a time zone"),
        ({"died": 2}, "study a: died is not 0, 1 or empty"),
        ({"died": "no"}, "study a: died is not 0, 1 or empty"),
        ({"sex": "X"}, "study a: sex is not F, M or empty"),
        ({"age_years": -1}, "study a: the age at the scan is not within 0 to 120"),
        ({"age_years": 640}, "study a: the age at the scan is not within 0 to 120"),
        ({"age_years": "old"}, "study a: age_years is not a number"),
        ({"ct": "/data/a"}, "study a: ct leads out"),
        ({"ct": "../a"}, "study a: ct leads out"),
        ({"ct": "scans/../../a"}, "study a: ct leads out"),
        ({"ct": "C:\\scans\\a"}, "study a: ct leads out"),
    ],
)
def test_a_bad_cell_is_one_line_that_names_the_study(write_studies, changes, message):
    folder = write_studies([bad(**changes), ["b", 2, "2018-01-01", "", 50, "M", 0]])

    with pytest.raises(CohortError) as caught:
        load_cohort(folder)

    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    for secret in ("2018", "P-17", "/data", "C:"):
        assert secret not in str(caught.value).replace("such as 2018-03-05T14:30", "")


@pytest.mark.parametrize("missing", ["study_id", "patient_id", "index_time", "ct", "age_years", "sex", "died"])
def test_a_missing_column_is_named(write_studies, missing):
    folder = write_studies([ROW])
    frame = pd.read_csv(folder / "studies.csv").drop(columns=missing)
    frame.to_csv(folder / "studies.csv", index=False)

    with pytest.raises(CohortError, match=f"lacks the column .*{missing}"):
        load_cohort(folder)


def test_a_column_that_is_almost_an_optional_one_is_not_silently_ignored(write_studies):
    header = ("study_id", "patient_id", "index_time", "ct", "age_years", "sex", "died", "splt")
    with pytest.raises(CohortError, match="column 'splt': if it is meant as 'split'"):
        load_cohort(write_studies([[*ROW, "train"]], header))


def test_a_death_before_the_scan_is_refused_with_count_and_the_first_ids(write_studies):
    rows = [[f"s{n}", n, "2018-03-05T14:30", "", 64, "F", "2018-03-01", ""] for n in range(5)]

    with pytest.raises(CohortError, match=r"5 studies \(s0, s1, s2, …\): death_time lies before the scan"):
        load_cohort(write_studies(rows, OUTCOME))


def test_died_and_death_time_must_agree(write_studies):
    row = [*outcome_row("2018-03-10", ""), 0]
    with pytest.raises(CohortError, match="study a: died and death_time contradict"):
        load_cohort(write_studies([row], (*OUTCOME, "died")))


def test_a_doubled_study_id_is_refused(write_studies):
    with pytest.raises(CohortError, match="more than one row for study a"):
        load_cohort(write_studies([ROW, ROW]))


def test_a_scan_that_does_not_exist_is_no_error_of_the_cohort(write_studies):
    assert load_cohort(write_studies([ROW])).study("a").ct is not None


def test_no_folder_no_studies_and_empty_ones(tmp_path):
    with pytest.raises(CohortError, match="no such cohort folder"):
        load_cohort(tmp_path / "nowhere")
    with pytest.raises(CohortError, match=r"no studies\.csv"):
        load_cohort(tmp_path)
    (tmp_path / "studies.csv").write_text("", encoding="utf-8")
    with pytest.raises(CohortError, match="is empty"):
        load_cohort(tmp_path)
    (tmp_path / "studies.csv").write_text(
        "study_id,patient_id,index_time,ct,sex,age_years,died\n", encoding="utf-8"
    )
    with pytest.raises(CohortError, match="no rows"):
        load_cohort(tmp_path)


def test_semicolons_other_encodings_and_ragged_rows_are_named(write_studies):
    folder = write_studies([ROW])
    path = folder / "studies.csv"
    text = path.read_text(encoding="utf-8")

    path.write_text(text.replace(",", ";"), encoding="utf-8")
    with pytest.raises(CohortError, match="semicolons"):
        load_cohort(folder)
    path.write_text(text.replace("scans/a", "Sébastien"), encoding="latin-1")
    with pytest.raises(CohortError, match="not UTF-8"):
        load_cohort(folder)
    path.write_text(text + "b,2,2018-01-01,,50,M,0,extra,more\n", encoding="utf-8")
    with pytest.raises(CohortError, match="more cells than the header"):
        load_cohort(folder)
    path.write_text(text + "b,2,2018-01-01\n", encoding="utf-8")
    with pytest.raises(CohortError, match=r"studies\.csv, row 3: it has fewer cells than the header"):
        load_cohort(folder)
    path.write_text(text.replace("sex", "ct"), encoding="utf-8")
    with pytest.raises(CohortError, match="column 'ct' more than once"):
        load_cohort(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("horizn_days: 90", "'horizn_days': if it is meant as 'horizon_days'"),
        ("horizon_days: 0", "horizon_days"),
        ("horizon_days: soon", "horizon_days"),
        ("horizon_days: true", "horizon_days"),
        ("simulated: maybe", "simulated"),
        ("- a list", "key: value"),
        ("name: [", "not readable as YAML"),
    ],
)
def test_a_wrong_cohort_yaml_is_named(write_studies, content, message):
    folder = write_studies([ROW])
    (folder / "cohort.yaml").write_text(content, encoding="utf-8")

    with pytest.raises(CohortError, match=message):
        load_cohort(folder)


def events_frame(**changes: object) -> pd.DataFrame:
    frame = {
        "subject_id": [1],
        "time": pd.to_datetime(["2018-01-01"]).astype("datetime64[us]"),
        "code": ["LAB//lactate"],
        "numeric_value": [1.0],
        "text_value": [None],
    }
    return pd.DataFrame({**frame, **changes})


def test_events_are_found_in_either_form(write_studies):
    folder = write_studies([ROW])
    events_frame().to_csv(folder / "events.csv", index=False)
    assert load_cohort(folder).events == folder / "events.csv"
    (folder / "events.csv").unlink()
    events_frame().drop(columns="text_value").to_parquet(folder / "events.parquet")
    assert load_cohort(folder).events == folder / "events.parquet"


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (events_frame().drop(columns=["time", "code"]), "lacks the columns time, code"),
        (events_frame(subject_id=["1"]), "subject_id must hold whole numbers"),
        (events_frame(time=["2018-01-01"]), "time must hold timestamps"),
        (events_frame(time=pd.to_datetime(["2018-01-01"], utc=True)), "time must hold timestamps"),
        (events_frame(code=[5]), "code must hold text"),
        (events_frame(numeric_value=["high"]), "numeric_value must hold numbers"),
    ],
)
def test_events_of_another_schema_are_refused(write_studies, frame, message):
    folder = write_studies([ROW])
    frame.to_parquet(folder / "events.parquet")

    with pytest.raises(CohortError, match=message):
        load_cohort(folder)


def test_a_column_without_a_single_value_may_be_of_any_type(write_studies):
    """As pandas writes texts or numbers that are all missing."""
    folder = write_studies([ROW])
    events_frame(text_value=[np.nan], numeric_value=[None]).to_parquet(folder / "events.parquet")
    assert load_cohort(folder).events is not None
    events_frame(text_value=[7.0]).to_parquet(folder / "events.parquet")
    with pytest.raises(CohortError, match="text_value must hold text"):
        load_cohort(folder)


def test_a_damaged_parquet_and_two_sources_of_one_thing_are_refused(write_studies):
    folder = write_studies([ROW])
    (folder / "events.csv").write_text("subject_id;time;code;numeric_value\n", encoding="utf-8")
    with pytest.raises(CohortError, match="semicolons"):
        load_cohort(folder)
    (folder / "events.csv").write_text("", encoding="utf-8")
    with pytest.raises(CohortError, match=r"events\.csv is empty"):
        load_cohort(folder)
    (folder / "events.csv").unlink()
    (folder / "events.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(CohortError, match="cannot be read as parquet"):
        load_cohort(folder)
    events_frame().to_parquet(folder / "events.parquet")
    events_frame().to_csv(folder / "events.csv", index=False)
    with pytest.raises(CohortError, match="keep one"):
        load_cohort(folder)
    (folder / "events.csv").unlink()
    (folder / "features.csv").write_text("study_id,x\na,1\n", encoding="utf-8")
    with pytest.raises(CohortError, match=r"both events and features\.csv"):
        load_cohort(folder)


def test_features_are_numbers_where_the_whole_column_is(write_studies):
    folder = write_studies([ROW, ["b", 2, "2018-01-01", "", 50, "M", 0]])
    (folder / "features.csv").write_text("study_id,lactate,ward\nb,NA,\na,2.5,surgery\n", encoding="utf-8")

    features = load_cohort(folder).features

    assert features is not None
    assert features.loc["a", "lactate"] == 2.5
    assert pd.isna(features.loc["b", "lactate"])
    assert features["ward"].tolist() == ["", "surgery"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,x\na,1\n", "lacks the column study_id"),
        ("study_id,x\na,1\na,2\n", "more than one row for study a"),
        ("study_id,x\na,inf\n", "'x' has a number that is infinite or beyond 1e.12 for study a"),
        ("study_id,x\na,-1e300\n", "'x' has a number that is infinite"),
        ("study_id,x\na,1\nzz,2\n", "1 rows of studies that studies.csv does not know"),
    ],
)
def test_wrong_features_are_refused(write_studies, text, message):
    folder = write_studies([ROW])
    (folder / "features.csv").write_text(text, encoding="utf-8")

    with pytest.raises(CohortError, match=message):
        load_cohort(folder)


def test_codes_are_checked(write_studies):
    folder: Path = write_studies([ROW])
    path = folder / "codes.csv"
    path.write_text("code,kind\nX,lab\n", encoding="utf-8")
    assert load_cohort(folder).codes.to_dict("records") == [
        {"code": "X", "concept": "", "kind": "lab", "unit": "", "description": ""}
    ]
    path.write_text("code,kind\nX,lab\nX,vital\n", encoding="utf-8")
    with pytest.raises(CohortError, match="'X' more than once"):
        load_cohort(folder)
    path.write_text("code,kind,concept\nX,vital,heart_rat\n", encoding="utf-8")
    with pytest.raises(CohortError, match="'heart_rat': if it is meant as 'heart_rate'"):
        load_cohort(folder)
    path.write_text("code,kind,concept\nX,lab,our_own_panel\n", encoding="utf-8")
    assert load_cohort(folder).codes.loc[0, "concept"] == "our_own_panel"
    path.write_text("code,kind\nX,labs\n", encoding="utf-8")
    with pytest.raises(CohortError, match="'labs' is not a kind"):
        load_cohort(folder)
