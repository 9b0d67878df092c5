"""Records in: each source gives the same cohort for the same facts, and nothing of at or after the scan."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pefuse.cohort import load_cohort
from pefuse.cohort.importers import import_csv, import_fhir, import_inspect, import_meds, import_omop
from pefuse.ehr import extract
from pefuse.errors import CohortError, RecordError

from .sources import (
    PATIENTS,
    WHAT,
    Fact,
    write_csv,
    write_fhir,
    write_inspect,
    write_meds,
    write_omop,
    write_studies,
)

A, B = PATIENTS
IMPORTERS: dict[str, tuple[Callable[..., Any], Callable[..., Path]]] = {
    "meds": (import_meds, write_meds),
    "omop": (import_omop, write_omop),
    "fhir": (import_fhir, write_fhir),
}
WITH_STUDIES: dict[str, tuple[Callable[..., Any], Callable[..., Path]]] = {  # these name the studies themselves
    "csv": (import_csv, write_csv),
    "inspect": (import_inspect, write_inspect),
}
UNNAMED = {"CT angiography, chest": "CPT4 71275", "drug: heparin": "drug: 5224"}  # no table of codes names them
VICTIMS = {"meds": "*.parquet", "omop": "person.csv", "fhir": "Patient.ndjson"}
INDEX = "2020-03-05T12:00:00"
FACTS = (
    Fact(A, "2020-03-05T11:59:59", "pulse", 121.0),
    Fact(A, "2020-03-04T08:00:00", "pulse", 80.0),
    Fact(A, "2020-03-05T12:00:00", "lactate", 9.0),  # at the index: not known yet
    Fact(A, "2020-03-01T09:30:00", "lactate", 2.5),
    Fact(A, "2020-03-05T01:00:00", "heparin"),
    Fact(B, "2019-05-05T17:00:00", "heart failure"),
    Fact(A, "2020-03-07T17:00:00", "heart failure"),  # coded at discharge, after the scan
    Fact(B, "2020-03-05T11:00:00", "angiography"),
)
FEATURES = {
    "heart rate (/min)": (121.0, np.nan),
    "lactate (mmol/L)": (2.5, np.nan),
    "drug: heparin": (1.0, 0.0),
    "ICD-10 I50.9": (0.0, 1.0),
    "CT angiography, chest": (0.0, 1.0),
}


def imported(kind: str, tmp_path: Path, facts: Any = FACTS, **options: Any) -> Any:
    """The cohort made of the facts by one importer, and its report."""
    if kind in WITH_STUDIES:
        import_, write = WITH_STUDIES[kind]
        report = import_(write(tmp_path / kind, facts, index=INDEX), tmp_path / "out", **options)
        return load_cohort(tmp_path / "out"), report
    import_, write = IMPORTERS[kind]
    studies = write_studies(tmp_path / "list.csv", [(A, INDEX), (B, INDEX)])
    report = import_(write(tmp_path / kind, facts), tmp_path / "out", studies=studies, **options)
    return load_cohort(tmp_path / "out"), report


def column(frame: pd.DataFrame, name: str) -> list[float]:
    """Of the one column whose name begins so."""
    (found,) = [each for each in frame.columns if each.startswith(name)]
    return [float(value) for value in frame[found]]


@pytest.mark.parametrize("kind", IMPORTERS)
def test_a_record_becomes_a_cohort_with_its_people_filled_in(kind: str, tmp_path: Path) -> None:
    cohort, report = imported(kind, tmp_path, followed_days=60)
    studies = cohort.studies
    assert list(studies["sex"]) == ["F", "M"]
    np.testing.assert_allclose(studies["age_years"], [70.08, 48.68], atol=0.01)
    assert list(studies["label"]) == [0.0, 1.0]
    assert report.filled["birth_date"] == 2
    assert json.loads((tmp_path / "out" / "import_report.json").read_text())["importer"] == kind
    frame = extract(cohort).frame()
    for name, expected in FEATURES.items():
        np.testing.assert_array_equal(column(frame, name), expected, err_msg=name)


@pytest.mark.parametrize("kind", WITH_STUDIES)
def test_those_that_name_their_studies_give_the_same_features(kind: str, tmp_path: Path) -> None:
    frame = extract(imported(kind, tmp_path)[0]).frame()
    for name, expected in FEATURES.items():
        found = UNNAMED.get(name, name) if kind == "csv" else name
        np.testing.assert_array_equal(column(frame, found), expected, err_msg=name)


@pytest.mark.parametrize("kind", [*IMPORTERS, *WITH_STUDIES])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    drawn=st.lists(
        st.tuples(
            st.sampled_from([A, B]),
            st.sampled_from([-200_000, -86_401, -3_600, -1, 0, 0, 1, 60, 86_400, 400_000]),
            st.sampled_from(list(WHAT)),
            st.floats(1, 300, width=32),
        ),
        max_size=12,
    )
)
def test_nothing_at_or_after_the_scan_reaches_a_feature(
    kind: str, tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, str, float]]
) -> None:
    """Whatever lies at or after the index may change at will: features are those of what lies before."""
    index = pd.Timestamp(INDEX)
    facts = [
        Fact(patient, (index + pd.Timedelta(seconds=after)).isoformat(), what, value)
        for patient, after, what, value in drawn
    ]
    anchor = [Fact(patient, "2019-01-01T08:00:00", "pulse", 70.0) for patient in PATIENTS]
    before = [fact for fact in facts if pd.Timestamp(fact.time) < index]
    frames = []
    for chosen in (facts, before):
        cohort, _ = imported(kind, tmp_path_factory.mktemp("leak"), [*anchor, *chosen])
        record = extract(cohort)
        # A stay that is open at the index is known by then, though the fact that comes with its end is not.
        visits = [column.name for column in record.columns if column.family == "visit"]
        frames.append(record.frame().drop(columns=visits))
    for name in set(frames[0].columns) | set(frames[1].columns):
        one, other = (frame.get(name) for frame in frames)
        if one is None or other is None:  # a mark that is set for nobody has no column
            left = one if other is None else other
            assert left is not None
            assert not left.astype(float).fillna(0).any(), name
        else:
            pd.testing.assert_series_equal(one, other, check_names=False)


@pytest.mark.parametrize("kind", IMPORTERS)
def test_what_cannot_be_used_is_left_out_and_counted(kind: str, tmp_path: Path) -> None:
    facts = [*FACTS, FACTS[0], Fact(A, "1900-01-01T00:00:00", "pulse", 60.0)]
    _, report = imported(kind, tmp_path, facts)
    left_out = report.events.left_out
    assert left_out["a time of 1900 or before"] >= 1
    assert left_out["told twice"] >= 1
    assert report.events.written == len(pd.read_parquet(tmp_path / "out" / "events.parquet"))
    events = pd.read_parquet(tmp_path / "out" / "events.parquet")
    assert events.equals(events.sort_values(["subject_id", "time"], na_position="first", kind="stable"))


@pytest.mark.parametrize("kind", IMPORTERS)
def test_the_table_of_studies_goes_before_the_source(kind: str, tmp_path: Path) -> None:
    import_, write = IMPORTERS[kind]
    source = write(tmp_path / "source", FACTS)
    (tmp_path / "list.csv").write_text(
        f"study_id,patient_id,index_time,age_years,sex,died\nx,{A},{INDEX},51,M,1\ny,{B},{INDEX},52,,0\n"
    )
    import_(source, tmp_path / "out", studies=tmp_path / "list.csv")
    studies = load_cohort(tmp_path / "out").studies
    assert list(studies.index) == ["x", "y"]
    assert list(studies["age_years"]) == [51.0, 52.0]
    assert list(studies["sex"]) == ["M", "M"]
    assert list(studies["label"]) == [1.0, 0.0]


@pytest.mark.parametrize("kind", IMPORTERS)
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("patient_id\n11\n", "lacks index_time"),
        ("patient_id,index_time\n", "no rows"),
        (f"patient_id,index_time\nX7,{INDEX}\n", "not a whole number|no event of any"),
        (f"patient_id,index_time\n999,{INDEX}\n", "no event of any patient"),
        ("patient_id,index_time\n11,yesterday\n", "index_time is not a possible"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(kind: str, tmp_path: Path, table: str, message: str) -> None:
    import_, write = IMPORTERS[kind]
    source = write(tmp_path / "source", FACTS)
    (tmp_path / "list.csv").write_text(table)
    with pytest.raises((CohortError, RecordError), match=message):
        import_(source, tmp_path / "out", studies=tmp_path / "list.csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", IMPORTERS)
def test_a_damaged_source_is_told_and_leaves_the_earlier_cohort(kind: str, tmp_path: Path) -> None:
    _, report = imported(kind, tmp_path)
    before = (tmp_path / "out" / "events.parquet").read_bytes()
    victim = next((tmp_path / kind).rglob(VICTIMS[kind]))
    content = victim.read_bytes()
    victim.write_bytes(content[: len(content) // 2] if kind == "meds" else b"SMITH^JOHN\n\xff\xfe")
    with pytest.raises(RecordError) as refusal:
        IMPORTERS[kind][0](tmp_path / kind, tmp_path / "out", studies=tmp_path / "list.csv")
    assert "SMITH" not in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)
    assert (tmp_path / "out" / "events.parquet").read_bytes() == before
    assert report.studies == 2


def test_another_cohort_is_not_overwritten(tmp_path: Path) -> None:
    imported("meds", tmp_path)
    with pytest.raises(CohortError, match="holds another cohort"):
        import_omop(write_omop(tmp_path / "omop", FACTS), tmp_path / "out", studies=tmp_path / "list.csv")


def test_blood_pressures_in_words_become_two_numbers(tmp_path: Path) -> None:
    source = write_meds(tmp_path / "source", FACTS)
    row = {
        "subject_id": [A, A],
        "time": pd.to_datetime(["2020-03-05T08:00"] * 2),
        "code": ["Blood Pressure", "BMI"],
    }
    frame = pd.DataFrame({**row, "numeric_value": np.float32([np.nan] * 2), "text_value": ["127/48", "31.5"]})
    frame.to_parquet(source / "data" / "more.parquet")
    import_meds(source, tmp_path / "out", studies=write_studies(tmp_path / "list.csv", [(A, INDEX)]))
    events = pd.read_parquet(tmp_path / "out" / "events.parquet").set_index("code")["numeric_value"]
    assert events["Blood Pressure//SYSTOLIC"] == 127
    assert events["Blood Pressure//DIASTOLIC"] == 48
    assert events["BMI"] == 31.5


def test_omop_as_parquet_in_capitals_is_the_same(tmp_path: Path) -> None:
    studies = write_studies(tmp_path / "list.csv", [(A, INDEX), (B, INDEX)])
    events = []
    for suffix in (".csv", ".parquet"):
        source = write_omop(tmp_path / suffix[1:], FACTS, suffix=suffix)
        import_omop(source, tmp_path / f"out{suffix}", studies=studies)
        events.append(pd.read_parquet(tmp_path / f"out{suffix}" / "events.parquet"))
    pd.testing.assert_frame_equal(*events)


def test_a_mere_date_is_known_when_its_day_is_over(tmp_path: Path) -> None:
    """A measurement dated on the day of the scan, without an hour, may be of after it."""
    source = write_omop(tmp_path / "source", [*FACTS, Fact(A, "2020-03-05T00:00:00", "pulse", 40.0)])
    import_omop(source, tmp_path / "out", studies=write_studies(tmp_path / "list.csv", [(A, INDEX)]))
    frame = extract(load_cohort(tmp_path / "out")).frame()
    assert column(frame, "heart rate") == [121.0]
    events = duckdb.sql(
        f"SELECT time FROM '{tmp_path / 'out' / 'events.parquet'}' WHERE numeric_value = 40"
    ).fetchall()
    assert str(events[0][0]) == "2020-03-06 00:00:00"


def test_rows_without_a_date_are_no_timeless_facts(tmp_path: Path) -> None:
    source = write_omop(tmp_path / "source", [*FACTS, Fact(A, "2019-01-01T08:00:00", "angiography")])
    table = source / "measurement.csv"
    table.write_text(table.read_text().replace("2020-03-04 08:00:00", "gestern"))
    studies = write_studies(tmp_path / "list.csv", [(A, INDEX)])
    report = import_omop(source, tmp_path / "out", studies=studies)
    assert report.notes["left out: measurement, rows without a date"] == 1
    events = pd.read_parquet(tmp_path / "out" / "events.parquet")
    assert events["time"].notna().all()
    table.write_text(table.read_text().replace("2020-", "MMXX-"))
    with pytest.raises(RecordError, match="rows have no date that is one"):
        import_omop(source, tmp_path / "out", studies=studies)


def test_a_table_in_two_formats_is_refused(tmp_path: Path) -> None:
    source = write_omop(tmp_path / "source", FACTS)
    pd.read_csv(source / "person.csv").to_parquet(source / "person.parquet")
    with pytest.raises(RecordError, match="table person in several formats"):
        import_omop(source, tmp_path / "out", studies=write_studies(tmp_path / "list.csv", [(A, INDEX)]))


@pytest.mark.parametrize("kind", IMPORTERS)
def test_a_source_and_a_folder_of_other_things_are_left_alone(kind: str, tmp_path: Path) -> None:
    import_, write = IMPORTERS[kind]
    source = write(tmp_path / "source", FACTS)
    studies = write_studies(tmp_path / "list.csv", [(A, INDEX)])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for out in (source, source / "out", tmp_path / "mine"):
        before = sorted(path for path in tmp_path.rglob("*"))
        with pytest.raises(CohortError, match=r"lies inside it|something else"):
            import_(source, out, studies=studies)
        assert sorted(path for path in tmp_path.rglob("*")) == before


def test_both_exports_of_one_hospital_give_the_same_values(test_data: Path, tmp_path: Path) -> None:
    """MIMIC-IV's demo in MEDS and in OMOP: 104 emergency admissions, every diagnosis code that both have."""
    meds, omop = test_data / "mimic_iv_demo_meds", test_data / "mimic_iv_demo_omop"
    admissions = duckdb.sql(f"""
        SELECT subject_id, person_id, time + INTERVAL 12 HOUR AS index_time
        FROM read_parquet('{meds}/data/**/*.parquet')
        JOIN read_csv('{omop}/person.csv') ON subject_id = person_source_value
        WHERE starts_with(code, 'HOSPITAL_ADMISSION//EW EMER') ORDER BY ALL
    """).df()
    assert len(admissions) == 104
    records = []
    for name, source, import_ in (("subject_id", meds, import_meds), ("person_id", omop, import_omop)):
        rows = admissions[[name, "index_time"]].rename(columns={name: "patient_id"})
        rows.to_csv(tmp_path / f"{name}.csv", index=False, date_format="%Y-%m-%dT%H:%M:%S")
        import_(source, tmp_path / name, studies=tmp_path / f"{name}.csv", followed_days=365)
        records.append(load_cohort(tmp_path / name))
    one, other = records
    assert list(one.studies["sex"]) == list(other.studies["sex"])
    assert (one.studies["age_years"] - other.studies["age_years"]).abs().max() < 0.5  # OMOP has the year alone
    raw = [extract(cohort) for cohort in records]
    keys = [{c.key for c in record.columns if c.key.startswith("diagnosis//ICD")} for record in raw]
    both = sorted(keys[0] & keys[1])
    assert len(both) == 526  # all of OMOP's; V and Z codes are in its table of observations, which is not here
    for key in both:
        values = [record.numbers(record.place(key) or 0) for record in raw]
        np.testing.assert_array_equal(*values, err_msg=key)


@pytest.mark.parametrize("year", ["1700", "2345", "x"])
def test_a_birth_that_can_be_of_nobody_is_left_blank_and_counted(tmp_path: Path, year: str) -> None:
    source = write_omop(tmp_path / "omop", FACTS)
    people = pd.read_csv(source / "person.csv", dtype=str)
    people.loc[0, "year_of_birth"] = year
    people.to_csv(source / "person.csv", index=False)
    studies = write_studies(tmp_path / "list.csv", [(A, INDEX), (B, INDEX)])
    report = import_omop(source, tmp_path / "out", studies=studies)
    assert report.notes["births that cannot be at the scan, left blank"] == 1
    ages = load_cohort(tmp_path / "out").studies["age_years"]
    assert np.isnan(ages.iloc[0])
    assert ages.iloc[1] == pytest.approx(48.68, abs=0.01)


def test_births_of_records_that_were_moved_to_the_future_are_kept(tmp_path: Path) -> None:
    source = write_omop(tmp_path / "omop", FACTS)
    people = pd.read_csv(source / "person.csv", dtype=str)
    people.assign(year_of_birth="2120").to_csv(source / "person.csv", index=False)
    studies = write_studies(tmp_path / "list.csv", [(A, "2180-03-05T12:00:00")])
    report = import_omop(source, tmp_path / "out", studies=studies)
    assert "births that cannot be at the scan, left blank" not in report.notes
    assert load_cohort(tmp_path / "out").studies["age_years"].iloc[0] == pytest.approx(60.08, abs=0.05)


@pytest.mark.parametrize("kind", IMPORTERS)
def test_one_event_in_the_future_makes_no_survivor(kind: str, tmp_path: Path) -> None:
    """Its date is a slip; without it nobody was followed for 30 days."""
    slip = Fact(A, "2102-03-01T08:00:00", "pulse", 70.0)
    cohort, report = imported(kind, tmp_path, [*FACTS, slip])
    assert np.isnan(cohort.studies["label"].iloc[0])
    assert report.events.left_out["a time in the future"] >= 1


@pytest.mark.parametrize("damage", ["schema", "cut", "empty"])
def test_one_bad_file_of_many_is_told_by_its_place(tmp_path: Path, damage: str) -> None:
    source = write_meds(tmp_path / "meds", FACTS)
    victim = source / "data" / "train" / "0.parquet"
    if damage == "schema":
        pd.DataFrame({"a": [1]}).to_parquet(victim)
    else:
        victim.write_bytes(victim.read_bytes()[:100] if damage == "cut" else b"")
    studies = write_studies(tmp_path / "list.csv", [(A, INDEX), (B, INDEX)])
    with pytest.raises(RecordError, match="File 2 of 2 of the dataset"):
        import_meds(source, tmp_path / "out", studies=studies)
    assert not (tmp_path / "out").exists()
