"""CSV in: a mapping is guessed, corrected and followed; what is not certain is asked, never guessed silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from pefuse.cohort import load_cohort
from pefuse.cohort.importers import guess_mapping, import_csv
from pefuse.ehr import clinical_scores, extract
from pefuse.errors import CohortError, RecordError, UsageError

GERMAN = (
    "PatNr;CT_Datum;Alter;Geschlecht;Verstorben;Heart Rate (/min);Lactate (mmol/L);Bemerkung\n"
    "A-12;05.03.2019 14:30;71;w;nein;118;2,5;Müller\n"
    "B-7;25.04.2019 09:05;50;m;ja;90;0,9;\n"
)
ENGLISH = (
    "patient_id,index_time,age_years,sex,died,pulse\n"
    "7,2019-03-05T14:30,71,F,0,118\n"
    "8,2019-04-25 09:05:10,50,M,1,90\n"
)


def write(folder: Path, text: str, *, encoding: str = "utf-8-sig", name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode(encoding))
    return path


def mapping_of(folder: Path, **changes: Any) -> Path:
    content = {
        "studies": {
            "file": "table.csv",
            "columns": {name: name for name in ("patient_id", "index_time", "age_years", "sex", "died")},
        },
        "features": [{"column": "pulse", "concept": "heart_rate", "unit": "/min"}],
        **changes,
    }
    path = folder / "mapping.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-8", "cp1252"])
def test_a_german_export_of_excel_goes_through_by_its_guess(tmp_path: Path, encoding: str) -> None:
    table = write(tmp_path, GERMAN, encoding=encoding)
    guessed = guess_mapping(table, tmp_path / "m.yaml")
    assert guessed["form"] == {
        "encoding": "cp1252" if encoding == "cp1252" else "utf-8",
        "separator": ";",
        "decimal": ",",
        "dates": "day-first",
    }
    report = import_csv(tmp_path / "m.yaml", tmp_path / "out")
    cohort = load_cohort(tmp_path / "out")
    assert list(cohort.studies["index_time"].astype(str)) == ["2019-03-05 14:30:00", "2019-04-25 09:05:00"]
    assert list(cohort.studies["sex"]) == ["F", "M"]
    assert list(cohort.studies["label"]) == [0.0, 1.0]
    assert list(cohort.studies["patient_id"]) == [1, 2]  # A-12 and B-7 stay behind
    assert report.notes["patients numbered anew"] == 2
    record = extract(cohort)
    np.testing.assert_allclose(record.frame()["Lactate (mmol/L)"], [2.5, 0.9])


@pytest.mark.parametrize(
    ("dates", "asked"),
    [
        (("05.03.2019", "04.04.2019"), "ask"),
        (("25.03.2019", "04.04.2019"), "day-first"),
        (("03/25/2019", "04/04/2019"), "month-first"),
        (("2019-03-25", "2019-04-04"), "iso"),
        (("25.03.2019", "04.25.2019"), "ask"),
    ],
)
def test_an_order_of_dates_that_is_not_certain_is_asked(
    tmp_path: Path, dates: tuple[str, str], asked: str
) -> None:
    text = "patient_id,index_time\n" + "".join(f"{i},{date}\n" for i, date in enumerate(dates))
    table = write(tmp_path, text)
    form: Any = guess_mapping(table, tmp_path / "m.yaml")["form"]
    assert form["dates"] == asked
    if asked == "ask":
        with pytest.raises(UsageError, match=r"asks for form\.dates: is 03/04/2019"):
            import_csv(tmp_path / "m.yaml", tmp_path / "out")


def test_units_that_no_name_tells_are_asked(tmp_path: Path) -> None:
    table = write(tmp_path, "patient_id,index_time,age,died,lactate\n1,2019-03-25,60,0,2.5\n")
    guess_mapping(table, tmp_path / "m.yaml")
    with pytest.raises(UsageError, match="asks for the unit of 'lactate'"):
        import_csv(tmp_path / "m.yaml", tmp_path / "out")


def test_a_mapping_is_not_overwritten(tmp_path: Path) -> None:
    table = write(tmp_path, ENGLISH)
    mapping = mapping_of(tmp_path)
    with pytest.raises(UsageError, match="there already"):
        guess_mapping(table, mapping)


def test_wide_features_become_a_table_of_features(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH)
    import_csv(mapping_of(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out" / "events.parquet").exists()
    assert list(pd.read_csv(tmp_path / "out" / "features.csv").columns) == ["study_id", "pulse"]
    np.testing.assert_allclose(extract(load_cohort(tmp_path / "out")).frame()["pulse (/min)"], [118.0, 90.0])


EVENTS = (
    "who,when,what,how much,in\n"
    "7,2019-03-05 14:29,2524-7,3.1,mmol/L\n"
    "7,2019-03-05 14:30,2524-7,9.9,mmol/L\n"  # at the index
    "7,2019-03-05,2524-7,8.8,mmol/L\n"  # a mere date: known when its day is over
    "8,2019-04-24 10:00,2524-7,<0.5,mmol/L\n"  # no number
    "8,sometime,2524-7,1.0,mmol/L\n"
    "9,2019-01-01 10:00,2524-7,1.0,mmol/L\n"  # of nobody
)
LABS = {
    "file": "labs.csv",
    "system": "LOINC",
    "columns": {"patient_id": "who", "time": "when", "code": "what", "value": "how much", "unit": "in"},
}


def test_long_tables_become_events_beside_wide_features(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH)
    write(tmp_path, EVENTS, name="labs.csv")
    report = import_csv(mapping_of(tmp_path, events=[LABS]), tmp_path / "out")
    assert report.notes["labs.csv: left out, no time, or one that is none"] == 1
    assert report.notes["labs.csv: left out, of patients without a study"] == 1
    frame = extract(load_cohort(tmp_path / "out")).frame()
    np.testing.assert_allclose(frame["lactate (mmol/L)"], [3.1, np.nan])
    np.testing.assert_allclose(frame["heart rate (/min)"], [118.0, 90.0])
    events = pd.read_parquet(tmp_path / "out" / "events.parquet")
    assert "<0.5" in set(events["text_value"])
    assert report.events.written == 6


@pytest.mark.parametrize(
    ("table", "changes", "error", "message"),
    [
        (ENGLISH.replace("2019-04-25 09:05:10", "25.04.2019"), {}, CohortError, "row 3: index_time is no date"),
        (ENGLISH.replace("8,", ",", 1).replace("7,2019", ",2019"), {}, CohortError, "row 2: it names no patient"),
        (ENGLISH.split("\n")[0] + "\n", {}, CohortError, "no rows"),
        (ENGLISH, {"features": [{"column": "puls"}]}, RecordError, "no column 'puls'"),
        (ENGLISH, {"form": {"separator": ";"}}, RecordError, "is the separator right"),
        (ENGLISH, {"form": {"dates": "dayfirst"}}, UsageError, "form.dates"),
        (ENGLISH, {"form": {"encoding": "utf-16"}}, RecordError, "not of the encoding"),
        (ENGLISH, {"colour": "red"}, UsageError, "colour"),
        (ENGLISH, {"events": [LABS]}, RecordError, "'labs.csv' that is not beside it"),
        (
            ENGLISH,
            {"studies": {"file": "table.csv", "columns": {"wann": "index_time"}}},
            UsageError,
            "no column 'wann'",
        ),
    ],
)
def test_what_cannot_be_followed_is_refused(
    tmp_path: Path, table: str, changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    write(tmp_path, table)
    with pytest.raises(error, match=message):
        import_csv(mapping_of(tmp_path, **changes), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_most_times_in_another_order_are_a_wrong_order(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH)
    write(
        tmp_path, EVENTS.replace("2019-03-05 ", "05.03.2019 ").replace("2019-04-24", "24.04.2019"), name="labs.csv"
    )
    with pytest.raises(RecordError, match="times are no dates in the order iso"):
        import_csv(mapping_of(tmp_path, events=[LABS]), tmp_path / "out")


def test_a_thousand_separator_and_a_decimal_comma(tmp_path: Path) -> None:
    write(
        tmp_path,
        "patient_id;index_time;sex;age_years;died;platelets\n7;05.03.2019;F;71,5;0;1.234,5\n",
        name="table.csv",
    )
    path = mapping_of(
        tmp_path,
        form={"separator": ";", "decimal": ",", "dates": "day-first"},
        features=[{"column": "platelets", "unit": "10^9/L"}],
    )
    import_csv(path, tmp_path / "out")
    cohort = load_cohort(tmp_path / "out")
    assert cohort.studies["age_years"].iloc[0] == 71.5
    assert cohort.features is not None
    assert cohort.features["platelets"].iloc[0] == 1234.5


def test_ids_as_excel_writes_them_join(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH.replace("\n7,", "\n7.0,").replace("\n8,", "\n8.0,"))
    write(tmp_path, EVENTS, name="labs.csv")
    report = import_csv(mapping_of(tmp_path, events=[LABS]), tmp_path / "out")
    assert report.patients_without_events == 0


def test_a_table_of_events_of_nobody_is_refused(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH)
    write(tmp_path, EVENTS.replace("\n7,", "\n07,").replace("\n8,", "\n08,"), name="labs.csv")
    with pytest.raises(RecordError, match="no row of a patient of the table of studies"):
        import_csv(mapping_of(tmp_path, events=[LABS]), tmp_path / "out")


def test_utf_16_is_known_by_its_mark(tmp_path: Path) -> None:
    table = write(tmp_path, GERMAN, encoding="utf-16")
    form: Any = guess_mapping(table, tmp_path / "m.yaml")["form"]
    assert form["encoding"] == "utf-16"
    import_csv(tmp_path / "m.yaml", tmp_path / "out")
    assert list(load_cohort(tmp_path / "out").studies["sex"]) == ["F", "M"]


def test_a_row_with_other_cells_is_told_by_its_number(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH + "9,2019-01-01,60,F,0,80,more,and more\n")
    with pytest.raises(RecordError) as refusal:
        import_csv(mapping_of(tmp_path), tmp_path / "out")
    assert "row 4" in str(refusal.value)
    assert str(tmp_path) not in str(refusal.value)


def test_columns_that_must_be_there_are_asked_where_no_name_tells_them(tmp_path: Path) -> None:
    table = write(tmp_path, "who,when,lactate (mmol/L)\n1,2019-03-25,2.5\n")
    guessed: Any = guess_mapping(table, tmp_path / "m.yaml")
    assert guessed["studies"]["columns"] == dict.fromkeys(("patient_id", "index_time", "age_years", "died"), "ask")
    assert [feature["column"] for feature in guessed["features"]] == ["who", "lactate (mmol/L)"]
    with pytest.raises(UsageError, match="asks which column is patient_id"):
        import_csv(tmp_path / "m.yaml", tmp_path / "out")


def test_a_header_alone_is_no_table_to_guess_from(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="a header and no rows"):
        guess_mapping(write(tmp_path, "patient_id,index_time\n"), tmp_path / "m.yaml")
    assert not (tmp_path / "m.yaml").exists()


LIONC = {"file": "e.csv", "system": "LIONC", "columns": {"patient_id": "a", "time": "b", "code": "c"}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"features": [{"column": "pulse", "concept": "heart_rate", "unit": "furlong"}]},
            "'pulse': no conversion is known from 'furlong' to /min, the unit of heart_rate",
        ),
        (
            {"features": [{"column": "pulse", "concept": "hart_rate"}]},
            r"'pulse': there is no concept 'hart_rate'; is it heart_rate\?",
        ),
        ({"features": [{"column": "pulse", "concept": "xyzzy"}]}, "there is no concept 'xyzzy': leave it out"),
        ({"form": {"encoding": "latin-99"}}, "there is no encoding 'latin-99'"),
        ({"events": [LIONC]}, r"there is no system of codes 'LIONC' \(is it LOINC\?\)"),
    ],
)
def test_slips_in_a_mapping_are_told(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    write(tmp_path, ENGLISH)
    with pytest.raises(UsageError, match=message):
        import_csv(mapping_of(tmp_path, **changes), tmp_path / "out")


def test_a_local_system_is_taken_with_a_table_of_its_codes(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH)
    write(tmp_path, "who,when,what,how much\n7,2019-03-05 14:00,L1,3\n", name="labs.csv")
    write(tmp_path, "code,concept,kind,unit,description\nOURLAB//L1,lactate,lab,mmol/L,\n", name="codes.csv")
    columns = {"patient_id": "who", "time": "when", "code": "what", "value": "how much"}
    events = [{"file": "labs.csv", "system": "OURLAB", "columns": columns}]
    import_csv(mapping_of(tmp_path, events=events, features=[], codes="codes.csv"), tmp_path / "out")
    assert extract(load_cohort(tmp_path / "out")).frame()["lactate (mmol/L)"].tolist()[0] == 3.0


UGLY = (
    "Fall;Pat-ID;Name;Geb.-Datum;CT Datum;Geschlecht;Verstorben (30d);Puls;RR syst.;Tumor;Bemerkung\n"
    + "".join(
        f"F{i};P{i};Müller{i}, Jörg;28.0{i}.1950;2{i}.04.2019 10:0{i};w;nein;{80 + i};1{i}0;"
        f"{'ja' if i % 2 else 'nein'};Text Nummer {i}\n"
        for i in range(1, 8)
    )
)


def test_who_it_is_when_it_was_and_the_outcome_are_no_features(tmp_path: Path) -> None:
    guessed: Any = guess_mapping(write(tmp_path, UGLY, encoding="cp1252"), tmp_path / "m.yaml")
    assert guessed["studies"]["columns"]["birth_date"] == "Geb.-Datum"
    assert guessed["studies"]["columns"]["died"] == "Verstorben (30d)"
    assert [feature["column"] for feature in guessed["features"]] == ["Puls", "RR syst.", "Tumor"]
    assert [feature.get("concept") for feature in guessed["features"]] == ["heart_rate", "systolic_bp", "cancer"]
    text = (tmp_path / "m.yaml").read_text()
    assert "#   Name\n#   Bemerkung\n" in text
    assert "Müller" not in text


def test_a_title_above_the_header_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="first line is no header: 3 of its cells are empty"):
        guess_mapping(write(tmp_path, "Export aus KIS;;;\na;b;c;d\n1;2;3;4\n"), tmp_path / "m.yaml")


@pytest.mark.parametrize("with_events", [False, True])
def test_a_comorbidity_in_words_is_there_or_not(tmp_path: Path, with_events: bool) -> None:
    """N is no cancer, though a text stands in the cell."""
    head = "patient_id,index_time,age_years,sex,died,cancer\n"
    write(tmp_path, f"{head}7,2019-03-05T14:30,60,F,0,N\n8,2019-03-05T14:30,60,F,1,Ja\n")
    write(tmp_path, "who,when,what\n7,2019-03-01,2524-7\n8,2019-03-01,2524-7\n", name="e.csv")
    event = {"file": "e.csv", "system": "LOINC", "columns": {"patient_id": "who", "time": "when", "code": "what"}}
    changes: dict[str, Any] = {"features": [{"column": "cancer", "concept": "cancer"}]}
    import_csv(mapping_of(tmp_path, **changes, **({"events": [event]} if with_events else {})), tmp_path / "out")
    scores = clinical_scores(load_cohort(tmp_path / "out"))
    assert scores["pesi_part_cancer"].tolist() == [0.0, 30.0]


def test_a_comorbidity_in_other_words_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "patient_id,index_time,age_years,sex,died,cancer\n7,2019-03-05T14:30,60,F,0,maybe\n")
    with pytest.raises(UsageError, match="'cancer': 1 cells say neither yes nor no"):
        import_csv(mapping_of(tmp_path, features=[{"column": "cancer", "concept": "cancer"}]), tmp_path / "out")


def test_cells_that_are_no_number_leave_the_column_one_of_numbers(tmp_path: Path) -> None:
    head = "patient_id,index_time,age_years,sex,died,troponin,ward\n"
    rows = [
        f"{i},2019-03-05T14:30,60,F,0,{value},{ward}\n"
        for i, (value, ward) in enumerate((("14", "A"), ("<3", "B"), ("22", "A"), ("hemolysed", "A")))
    ]
    write(tmp_path, head + "".join(rows))
    features = [{"column": "troponin", "concept": "troponin_t", "unit": "ng/L"}, {"column": "ward"}]
    report = import_csv(mapping_of(tmp_path, features=features), tmp_path / "out")
    assert report.notes == {"troponin: left blank, cells that are no number": 2}
    frame = extract(load_cohort(tmp_path / "out")).frame()
    np.testing.assert_array_equal(frame["troponin (ng/L)"], [14.0, np.nan, 22.0, np.nan])
    assert frame["ward"].tolist() == ["A", "B", "A", "A"]


def test_points_in_a_file_said_to_have_commas_are_no_thousands(tmp_path: Path) -> None:
    """99.7 is not 997; 1.234,5 is a number."""
    head = "patient_id;index_time;age_years;sex;died;x\n"
    rows = [f"{i};2019-03-05T14:30;60;F;0;{value}\n" for i, value in enumerate(("99.7", "1.234,5", "2,5", "7"))]
    write(tmp_path, head + "".join(rows))
    form = {"separator": ";", "decimal": ","}
    report = import_csv(mapping_of(tmp_path, form=form, features=[{"column": "x"}]), tmp_path / "out")
    frame = extract(load_cohort(tmp_path / "out")).frame()
    np.testing.assert_array_equal(frame["x"], [np.nan, 1234.5, 2.5, 7.0])
    assert report.notes == {"x: left blank, cells that are no number": 1}


def test_the_outcome_is_not_a_feature_too(tmp_path: Path) -> None:
    write(tmp_path, ENGLISH)
    with pytest.raises(UsageError, match="'died' among the features and as died"):
        import_csv(mapping_of(tmp_path, features=[{"column": "died"}]), tmp_path / "out")


def test_a_column_with_points_in_a_file_said_to_have_commas_refuses_it(tmp_path: Path) -> None:
    head = "patient_id;index_time;age_years;sex;died;x\n"
    write(tmp_path, head + "".join(f"{i};2019-03-05T14:30;60;F;0;{i}.7\n" for i in range(4)))
    mapping = mapping_of(tmp_path, form={"separator": ";", "decimal": ","}, features=[{"column": "x"}])
    with pytest.raises(RecordError, match=r"'x': 4 of 4 cells are numbers with a point, and form.decimal"):
        import_csv(mapping, tmp_path / "out")
