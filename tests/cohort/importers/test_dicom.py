"""Importing DICOM: each row finds its one scan by its key, or is listed with the reason; never a guess."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.cohort.importers import DicomImport, check_import, import_dicom, import_source, read_studies_table
from pefuse.errors import CohortError, StorageError

IDENTIFIERS = ("ACC", "PAT", "1.2.840", "SMITH")


def image(
    path: str, study: str, *, kind: str = "CT", accession: str = "", patient: str = "", date: str = ""
) -> dict:
    return {
        "path": path,
        "kind": kind,
        "study_uid": f"1.2.840.{study}" if study else "",
        "patient_id": patient,
        "accession_number": accession,
        "study_date": date,
        "modality": kind if len(kind) == 2 else kind[-2:] if "modality" in kind else "",
    }


def write_table(path: Path, rows: Sequence[dict[str, str]]) -> Path:
    """A table with the given cells; what a cohort needs besides is filled in."""
    filled = [
        {
            "patient_id": str(7 + i),
            "index_time": "2018-03-05T14:30",
            "age_years": "60",
            "sex": "F",
            "died": "0",
            **row,
        }
        for i, row in enumerate(rows)
    ]
    pd.DataFrame(filled).fillna("").to_csv(path, index=False)
    return path


class Import:
    """One tree and one output folder; each call imports a table from an index."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "SMITH" / "tree"
        self.out = folder / "out"

    def __call__(
        self, images: list[dict], rows: Sequence[dict[str, str]], *, source: str = "here", **record: Path
    ) -> DicomImport:
        table = read_studies_table(write_table(self.folder / "table.csv", rows))
        return import_dicom(
            pd.DataFrame(images, dtype=object), table, self.out, root=self.root, source=source, **record
        )

    @property
    def unmatched(self) -> pd.DataFrame:
        return pd.read_csv(self.out / "unmatched.csv", dtype=str, keep_default_na=False)

    def listed(self, study_id: str) -> list[str]:
        return os.fsdecode((self.out / "scans" / f"{study_id}.files").read_bytes()).splitlines()


@pytest.fixture
def imported(tmp_path: Path) -> Import:
    return Import(tmp_path)


@pytest.mark.parametrize(
    ("row", "scan"),
    [
        ({"accession_number": "ACC1"}, "a"),
        ({"study_instance_uid": "1.2.840.2"}, "b"),
        ({"dicom_patient_id": "PAT3"}, "c"),
        ({"dicom_patient_id": "PAT4", "study_date": "2016-01-02"}, "d"),
        ({"dicom_patient_id": "PAT4", "study_date": "20160102"}, "d"),
        # The first key that is filled counts, whatever the others say.
        ({"accession_number": "ACC1", "study_instance_uid": "1.2.840.2"}, "a"),
        ({"accession_number": "", "study_instance_uid": "1.2.840.2", "dicom_patient_id": "PAT3"}, "b"),
    ],
)
def test_each_kind_of_key_finds_its_study(imported: Import, row: dict[str, str], scan: str) -> None:
    images = [
        image("a", "1", accession="ACC1"),
        image("b", "2", accession="ACC2"),
        image("c", "3", patient="PAT3", date="20180305"),
        image("d", "4", patient="PAT4", date="2016.01.02"),
        image("e", "5", patient="PAT4", date="20180305"),
    ]

    found = imported(images, [row])

    assert found.matched == 1
    assert imported.listed("S00001") == [str(imported.root / scan)]
    assert found.studies_without_row == {"no row names it": 4}


def test_what_is_written_is_a_cohort_and_its_lists_hold_all_files_of_a_study(imported: Import) -> None:
    """Its own columns, no keys and nothing else of the user's table; a study's other objects come along."""
    images = [image(f"x/{i}", "1", accession="ACC1") for i in range(3)]
    images += [image("x/report", "1", kind="DICOM of modality SR", accession="ACC1"), image("y", "")]

    found = imported(images, [{"accession_number": "ACC1", "name": "SMITH"}, {"accession_number": "ACC9"}])

    studies = load_cohort(imported.out).studies
    assert list(studies.index) == ["S00001", "S00002"]
    assert list(studies["ct"]) == ["scans/S00001.files", ""]
    assert imported.listed("S00001") == [str(imported.root / name) for name in ("x/0", "x/1", "x/2", "x/report")]
    assert (imported.out / "studies.csv").read_text().splitlines()[0] == (
        "study_id,patient_id,index_time,age_years,sex,died,ct"
    )
    assert found.files == 5
    assert found.files_by_kind == {"CT": 4, "DICOM of modality SR": 1}
    assert found.dicom_studies == 1
    assert json.loads((imported.out / "import_report.json").read_text())["matched"] == 1


def test_study_ids_of_the_table_are_kept(imported: Import) -> None:
    imported([image("a", "1", accession="ACC1")], [{"study_id": "pe7", "accession_number": "ACC1"}])

    assert imported.listed("pe7") == [str(imported.root / "a")]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"accession_number": "ACC9"}, "no DICOM study has this accession number"),
        ({"study_instance_uid": "1.2.840.9"}, "no DICOM study has this StudyInstanceUID"),
        ({"dicom_patient_id": "PAT1"}, "no DICOM study has this patient on this date"),
        ({"accession_number": ""}, "the row has no key"),
        ({"accession_number": "ACC3"}, "the DICOM study with this accession number has no CT image"),
        ({"accession_number": "ACC1"}, "ambiguous: 2 DICOM studies have this accession number"),
    ],
)
def test_a_row_without_a_scan_is_listed_with_the_reason(
    imported: Import, row: dict[str, str], reason: str
) -> None:
    images = [
        image("a", "1", accession="ACC1", patient="PAT1", date="20170101"),
        image("b", "2", accession="ACC1"),
        image("c", "3", kind="DICOM of modality CR", accession="ACC3"),
    ]

    found = imported(images, [row])

    assert found.rows_without_scan == {reason: 1}
    rows = imported.unmatched.query("what == 'row'")
    assert rows[["study_id", "reason"]].to_numpy().tolist() == [["S00001", reason]]
    assert load_cohort(imported.out).studies["ct"].tolist() == [""]


def test_two_rows_that_name_one_study_are_both_left_without(imported: Import) -> None:
    found = imported(
        [image("a", "1", accession="ACC1"), image("b", "2", accession="ACC2")],
        [{"accession_number": "ACC1"}, {"study_instance_uid": "1.2.840.1"}, {"accession_number": "ACC2"}],
    )

    assert found.matched == 1
    assert found.rows_without_scan == {"ambiguous: another row names the same DICOM study": 2}
    assert found.studies_without_row == {"ambiguous: 2 rows name it": 1}


def test_an_xray_of_the_same_day_is_nobodys_scan(imported: Import) -> None:
    found = imported(
        [
            image("a", "1", patient="PAT1", date="20180305"),
            image("b", "2", kind="DICOM of modality CR", patient="PAT1", date="20180305"),
        ],
        [{"dicom_patient_id": "PAT1"}],
    )

    assert imported.listed("S00001") == [str(imported.root / "a")]
    assert found.studies_without_row == {"no CT image": 1}


def test_a_study_without_a_row_is_listed_by_a_hash(imported: Import) -> None:
    """The first 16 hexadecimal digits of the UID's SHA-256."""
    images = [image("a", "1", accession="ACC1"), image("b", "1", kind="DICOM of modality SR")]

    imported(images, [{"accession_number": "ACC9"}])

    (row,) = imported.unmatched.query("what == 'DICOM study'").to_dict("records")
    assert row == {
        "what": "DICOM study",
        "study_id": "",
        "dicom_study": "f9a13599155b7052",
        "files": "2",
        "modalities": "CT SR",
        "reason": "no row names it",
    }


def test_a_scan_of_another_day_is_counted(imported: Import) -> None:
    """The key says it is the one; that its date differs may be de-identification, or the wrong scan."""
    found = imported(
        [image("a", "1", accession="ACC1", date="20190101"), image("b", "2", accession="ACC2", date="20180305")],
        [{"accession_number": "ACC1"}, {"accession_number": "ACC2"}],
    )

    assert found.scans_on_another_day == 1


def test_no_identifier_stands_in_what_may_be_shown(imported: Import) -> None:
    """Only the lists of files and the index have them."""
    images = [
        image("SMITH1", "1", accession="ACC1", patient="PAT1", date="20170101"),
        image("SMITH2", "2", accession="ACC2") | {"modality": "SMITH^JOHN"},
    ]

    imported(images, [{"accession_number": "ACC1", "dicom_patient_id": "PAT1"}, {"accession_number": "ACC7"}])

    for name in ("studies.csv", "unmatched.csv", "import_report.json", "cohort.yaml"):
        text = (imported.out / name).read_text()
        assert [word for word in IDENTIFIERS if word in text] == []


def test_the_same_import_again_takes_in_what_is_new_and_leaves_the_users_cohort_yaml(imported: Import) -> None:
    rows = [{"accession_number": "ACC1"}, {"accession_number": "ACC2"}]
    imported([image("a", "1", accession="ACC1")], rows)
    (imported.out / "cohort.yaml").write_text("name: ours\nhorizon_days: 90\n")
    (imported.out / "prepared").mkdir()
    (imported.out / ".partial-import-killed").mkdir()

    found = imported([image("b", "2", accession="ACC2")], rows)

    assert found.matched == 1
    assert load_cohort(imported.out).studies["ct"].tolist() == ["", "scans/S00002.files"]
    assert load_cohort(imported.out).horizon_days == 90
    assert sorted(path.name for path in imported.out.iterdir()) == [
        "cohort.yaml", "import_report.json", "prepared", "scans", "studies.csv", "unmatched.csv",
    ]  # fmt: skip
    assert [path.name for path in (imported.out / "scans").iterdir()] == ["S00002.files"]


def test_another_cohort_is_not_touched(imported: Import) -> None:
    """Neither an import from elsewhere, nor a cohort that no import made."""
    rows, images = [{"accession_number": "ACC1"}], [image("a", "1", accession="ACC1")]
    imported(images, rows)
    before = {path: path.stat().st_mtime_ns for path in imported.out.rglob("*")}

    with pytest.raises(CohortError, match="holds another cohort"):
        imported(images, rows, source="elsewhere")
    assert {path: path.stat().st_mtime_ns for path in imported.out.rglob("*")} == before

    (imported.out / "import_report.json").unlink()
    with pytest.raises(CohortError, match="holds another cohort"):
        imported(images, rows)


def test_a_failure_leaves_the_earlier_cohort(imported: Import, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full while the lists are written; and a record that breaks the contract."""
    rows, images = [{"accession_number": "ACC1"}], [image("a", "1", accession="ACC1")]
    imported(images, rows)
    before = {path.name: path.stat().st_mtime_ns for path in imported.out.iterdir()}

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(StorageError, match="disk is full"):
            imported(images, rows)
    bad = imported.folder / "events.csv"
    bad.write_text("subject_id,time\n")
    with pytest.raises(CohortError, match=r"events\.csv lacks the columns code, numeric_value"):
        imported(images, rows, events=bad)

    assert {path.name: path.stat().st_mtime_ns for path in imported.out.iterdir()} == before


def test_the_record_is_copied_in(imported: Import) -> None:
    events, codes = imported.folder / "export.CSV", imported.folder / "ours.csv"
    events.write_text("subject_id,time,code,numeric_value\n7,2018-03-01T00:00,LAB//lactate,2\n")
    codes.write_text("code,concept\nTMP,temperature\n")

    imported([image("a", "1")], [{"accession_number": "ACC1"}], events=events, codes=codes)

    cohort = load_cohort(imported.out)
    assert cohort.events == imported.out / "events.csv"
    assert cohort.codes["code"].tolist() == ["TMP"]


def test_a_record_left_out_the_second_time_is_gone(imported: Import) -> None:
    events = imported.folder / "events.csv"
    events.write_text("subject_id,time,code,numeric_value\n")
    imported([image("a", "1")], [{"accession_number": "ACC1"}], events=events)

    imported([image("a", "1")], [{"accession_number": "ACC1"}])

    assert load_cohort(imported.out).events is None


def test_files_inside_the_cohort_folder_are_listed_relative_to_the_list(imported: Import) -> None:
    imported.root = imported.out / "unpacked"

    imported([image("a/\udcff", "1", accession="ACC1")], [{"accession_number": "ACC1"}])

    assert imported.listed("S00001") == ["../unpacked/a/\udcff"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"died": "1"}], "no column to find scans by: it needs one or more of accession_number"),
        ([{"accession_number": "ACC1", "ct": "x"}], "has a column ct"),
        ([{"dicom_patient_id": "PAT1", "study_date": "5.3.2018"}], "study S00001: study_date is no date"),
        ([{"accession_number": "ACC1", "patient_id": "SMITH"}], "study S00001: patient_id is not a whole number"),
        ([{"accession_number": "ACC1", "last_followup": ""}], "'last_follow_up'"),
        ([{"accession_number": "ACC1", "study_id": "a/b"}], "not fit to name a file"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path, rows: list[dict[str, str]], message: str) -> None:
    with pytest.raises(CohortError, match=message) as caught:
        read_studies_table(write_table(tmp_path / "table.csv", rows))
    assert [word for word in IDENTIFIERS if word in str(caught.value)] == []


def test_a_table_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CohortError, match="no such table"):
        read_studies_table(tmp_path / "SMITH.csv")


def test_the_source_tells_two_places_apart_and_names_none(tmp_path: Path) -> None:
    assert import_source(tmp_path) == import_source(tmp_path / "a" / "..")
    assert import_source(tmp_path) != import_source(tmp_path / "a")
    assert len(import_source(tmp_path)) == 16


UNREADABLE = "a file or folder that could not be read"


def test_what_could_not_be_read_beside_one_study_is_listed_with_it(imported: Import) -> None:
    """It may be a slice: `prepare` then refuses the study. Beside two studies it could be either's."""
    images = [
        image("one/a", "1", accession="ACC1"),
        image("one/b", "", kind=UNREADABLE),
        image("both/a", "2", accession="ACC2"),
        image("both/b", "3", accession="ACC3"),
        image("both/c", "", kind=UNREADABLE),
    ]
    found = imported(images, [{"accession_number": "ACC1"}, {"accession_number": "ACC2"}])
    assert [os.path.basename(path) for path in imported.listed("S00001")] == ["a", "b"]
    assert [os.path.basename(path) for path in imported.listed("S00002")] == ["a"]
    assert found.files_by_kind[UNREADABLE] == 2


def test_a_scan_of_another_day_is_listed(imported: Import) -> None:
    found = imported([image("a", "1", accession="ACC1", date="20190101")], [{"accession_number": "ACC1"}])
    assert found.scans_on_another_day == 1
    assert imported.unmatched["study_id"].tolist() == ["S00001"]
    assert "on another day" in imported.unmatched["reason"][0]


def test_events_of_another_form_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text("patient,when\n")
    with pytest.raises(CohortError, match="lacks the columns subject_id"):
        check_import(tmp_path / "out", source="here", events=tmp_path / "events.csv", codes=None)
