"""INSPECT as its schema is published, with every trap in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK

from pefuse.cohort import load_cohort
from pefuse.cohort.importers import import_inspect
from pefuse.ct import read_scan
from pefuse.ehr import extract
from pefuse.errors import RecordError

from ...ct.synthetic import chest_hu

MINUTES_A_DAY = 1440
# impression, person, image, time, 1_month_mortality, days to death or end, embolism, split
ROWS = [
    ("100", "1", "PE100.nii.gz", "2015-03-05T10:00:00", "FALSE", 400, "TRUE", "train"),
    ("101", "1", "PE101", "2016-03-05 10:00:00", "TRUE", 12, "TRUE", "train"),
    ("102", "2", "PE102", "2015-06-05T10:00:00", "CENSORED", 9, "TRUE", "valid"),
    ("103", "3", "PE103", "", "FALSE", 300, "TRUE", "test"),  # no time
    ("104", "4", "PE104", "2015-07-01T10:00:00", "FALSE", 200, "FALSE", "test"),  # suspected, not confirmed
    ("105", "5", "PE105", "2015-08-01T10:00:00", "FALSE", 90, "TRUE", "test"),  # doubled, in agreement
    ("105", "5", "PE105", "2015-08-01T10:00:00", "FALSE", 90, "TRUE", "test"),
    ("106", "6", "PE106", "2015-09-01T10:00:00", "TRUE", 2, "TRUE", "test"),  # doubled, in contradiction
    ("106", "6", "PE106", "2015-09-02T10:00:00", "TRUE", 2, "TRUE", "test"),
    ("107", "7", "PE107a", "2015-10-01T10:00:00", "FALSE", 60, "TRUE", "test"),  # a localizer and a scan
    ("107", "7", "PE107b", "2015-10-01T10:00:00", "FALSE", 60, "TRUE", "test"),
    ("108", "8", "", "2015-11-01T10:00:00", "FALSE", 60, "TRUE", "test"),  # no image
]


def write_release(
    folder: Path, *, unit: float = MINUTES_A_DAY, rows: list[tuple[object, ...]] | None = None
) -> Path:
    names = ("impression_id", "person_id", "image_id", "procedure_DATETIME", "died", "tte", "pe", "split")
    frame = pd.DataFrame(ROWS if rows is None else rows, columns=list(names))
    folder.mkdir()
    mapping = frame[["impression_id", "person_id", "image_id", "procedure_DATETIME"]]
    mapping.to_csv(folder / "study_mapping_20250611.tsv", sep="\t", index=False)
    labels = frame.drop_duplicates("impression_id")
    pd.DataFrame(
        {
            "impression_id": labels["impression_id"],
            "pe_positive": labels["pe"],
            "1_month_mortality": labels["died"],
            "tte_mortality": labels["tte"] * unit,
        }
    ).to_csv(folder / "labels_20250611.tsv", sep="\t", index=False)
    frame[["impression_id", "person_id", "split"]].to_csv(folder / "splits_20250611.tsv", sep="\t", index=False)
    images = [("PE107a", 2), ("PE107b", 300), ("PE100.nii.gz", 250)]
    pd.DataFrame(images, columns=["image_id", "num_slices"]).to_csv(
        folder / "series_metadata_20250611.tsv", sep="\t", index=False
    )
    (folder / "CTPA").mkdir()
    for image in ("PE100", "PE101", "PE102", "PE104", "PE105", "PE107a", "PE107b"):
        (folder / "CTPA" / f"{image}.nii.gz").write_bytes(b"")
    write_events(folder / "meds_omop_inspect")
    return folder


def write_events(folder: Path) -> None:
    """As the release has them: codes with one slash, no deaths, an event after the scan."""
    rows = [
        (person, time, code, value)
        for person in range(1, 9)
        for time, code, value in (
            ("1950-01-01", "MEDS_BIRTH", None),
            ("1950-01-01", "Gender/F", None),
            ("2014-12-31T08:00:00", "LOINC/8867-4", 88.0),
            ("2014-12-31T08:00:00", "ICD10CM/I50.9", None),
            ("2019-01-01T08:00:00", "LOINC/8867-4", 199.0),
        )
    ]
    frame = pd.DataFrame(rows, columns=["subject_id", "time", "code", "numeric_value"])
    frame["time"] = pd.to_datetime(frame["time"], format="ISO8601").astype("datetime64[us]")
    (folder / "data").mkdir(parents=True)
    (folder / "metadata").mkdir()
    frame.astype({"numeric_value": "float32"}).to_parquet(folder / "data" / "0.parquet")
    pd.DataFrame({"code": ["LOINC/8867-4"], "description": ["Heart rate"]}).to_parquet(
        folder / "metadata" / "codes.parquet"
    )


def test_every_trap_is_handled_and_counted(tmp_path: Path) -> None:
    report = import_inspect(write_release(tmp_path / "inspect"), tmp_path / "out")
    studies = load_cohort(tmp_path / "out").studies
    assert list(studies.index) == ["I100", "I101", "I102", "I104", "I105", "I107", "I108"]
    np.testing.assert_array_equal(studies["label"], [0, 1, np.nan, 0, 0, 0, 0])
    assert list(studies["split"]) == ["train", "train", "validation", "test", "test", "test", "test"]
    assert set(studies["sex"]) == {"F"}
    assert [bool(ct) for ct in studies["ct"]] == [True] * 6 + [False]
    assert report.notes == {
        "impressions": 9,
        "left out: rows of one impression contradict each other": 1,
        "left out: no time": 1,
        "rows of splits told twice": 3,
        "censored before 30 days": 1,
        "images that are localizers": 1,
        "studies without an image": 1,
        "unit of tte_mortality, by the labels": "minutes",
    }


def test_the_image_is_the_scan_and_not_its_localizer(tmp_path: Path) -> None:
    import_inspect(write_release(tmp_path / "inspect"), tmp_path / "out")
    lists = {path.stem: path.read_text() for path in (tmp_path / "out" / "scans").iterdir()}
    assert lists["I107"].strip().endswith("PE107b.nii.gz")
    assert lists["I100"].strip().endswith("PE100.nii.gz")
    assert len(lists) == 6


def test_an_image_is_read_through_its_list(tmp_path: Path) -> None:
    chest = chest_hu()
    folder = write_release(tmp_path / "inspect")
    image = SimpleITK.GetImageFromArray(chest)
    image.SetSpacing((6.0, 6.0, 6.0))
    SimpleITK.WriteImage(image, str(folder / "CTPA" / "PE100.nii.gz"))
    import_inspect(folder, tmp_path / "out")
    cohort = load_cohort(tmp_path / "out")
    ct = cohort.study("I100").ct
    assert ct is not None
    volume, report = read_scan(ct)
    np.testing.assert_array_equal(volume.hu, chest)
    assert report.source == "image file"


def test_only_confirmed_embolism_if_asked_for(tmp_path: Path) -> None:
    report = import_inspect(write_release(tmp_path / "inspect"), tmp_path / "out", require_pe=True)
    assert "I104" not in load_cohort(tmp_path / "out").studies.index
    assert report.notes["left out: no embolism in the report"] == 1


def test_features_are_of_before_each_scan(tmp_path: Path) -> None:
    import_inspect(write_release(tmp_path / "inspect"), tmp_path / "out")
    frame = extract(load_cohort(tmp_path / "out")).frame()
    assert set(frame["heart rate (/min)"]) == {88.0}
    assert set(frame["ICD-10 I50.9"]) == {1.0}


@pytest.mark.parametrize(("unit", "name"), [(86400, "seconds"), (1440, "minutes"), (24, "hours"), (1, "days")])
def test_the_unit_of_times_is_found_by_the_labels(tmp_path: Path, unit: float, name: str) -> None:
    report = import_inspect(write_release(tmp_path / "inspect", unit=unit), tmp_path / "out")
    assert report.notes["unit of tte_mortality, by the labels"] == name


def test_times_that_contradict_the_labels_in_every_unit_are_refused(tmp_path: Path) -> None:
    rows = [(*row[:5], 400 if row[4] == "TRUE" else 3, *row[6:]) for row in ROWS]
    with pytest.raises(RecordError, match="agrees with 1_month_mortality in no unit"):
        import_inspect(write_release(tmp_path / "inspect", rows=rows), tmp_path / "out")


def test_a_patient_in_two_splits_is_refused(tmp_path: Path) -> None:
    rows = [(*row[:7], "test") if row[0] == "101" else row for row in ROWS]
    with pytest.raises(RecordError, match="1 patients in more than one"):
        import_inspect(write_release(tmp_path / "inspect", rows=rows), tmp_path / "out")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "labels_20250611.tsv").unlink(), "one table labels_\\*.tsv, and here are 0"),
        (lambda folder: (folder / "labels_20250611.tsv").write_text("a\tb\n1\t2\n"), "lacks impression_id"),
        (lambda folder: (folder / "splits_20250611.tsv").write_bytes(b"\xff\xfe\x00"), "splits cannot be read"),
        (lambda folder: next(folder.rglob("0.parquet")).unlink(), "unpack meds_omop_inspect"),
        (lambda folder: next(folder.rglob("0.parquet")).write_bytes(b"PAR1"), "damaged"),
    ],
)
def test_a_release_that_is_not_whole_is_refused(tmp_path: Path, damage: object, message: str) -> None:
    folder = write_release(tmp_path / "inspect")
    damage(folder)  # type: ignore[operator]
    with pytest.raises(RecordError, match=message):
        import_inspect(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_that_name_the_person_too_are_read_and_unknown_ones_counted(tmp_path: Path) -> None:
    folder = write_release(tmp_path / "inspect")
    path = folder / "labels_20250611.tsv"
    labels = pd.read_csv(path, sep="\t", dtype=str)
    labels.loc[0, "1_month_mortality"] = "JA"
    labels.assign(person_id="1").to_csv(path, sep="\t", index=False)
    report = import_inspect(folder, tmp_path / "out")
    assert report.notes["labels that are none of TRUE, FALSE and CENSORED"] == 1
    assert np.isnan(load_cohort(tmp_path / "out").studies.loc["I100", "label"])
