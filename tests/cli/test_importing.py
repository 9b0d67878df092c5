"""`pefuse import dicom` at the door: from a flat shuffled folder to prepared scans, and what it says."""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pefuse.cli.door import run
from pefuse.cohort import load_cohort
from pefuse.ct import load_prepared, read_to_grid

IDENTIFIERS = ("ACC", "SECRET", "PAT", "1.2.3.", "19500101", "2018")
TABLE = """patient_id,index_time,age_years,sex,died,accession_number,study_instance_uid,dicom_patient_id
1,2018-03-05T14:30,60,F,0,ACC0,,
2,2018-03-05T14:30,61,M,1,,1.2.3.1,
3,2018-03-05T14:30,62,F,0,,,PAT2
4,2018-03-05T14:30,63,M,1,ACC9,,
"""


@pytest.fixture(autouse=True)
def _loud(monkeypatch: pytest.MonkeyPatch) -> None:
    door = importlib.import_module("pefuse.cli.door")
    monkeypatch.setattr(door, "_silence_libraries", lambda: None)  # tests keep their warnings


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    path = Path(__file__).parents[1] / "ct" / "synthetic.py"
    spec = importlib.util.spec_from_file_location("pefuse_tests_cli_synthetic", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def studies(synthetic: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four studies, one folder each."""
    folder = tmp_path_factory.mktemp("studies")
    for number in range(4):

        def identify(i: int, dataset: Dataset, number: int = number) -> None:
            dataset.AccessionNumber, dataset.StudyDate = f"ACC{number}", "20180305"

        synthetic.SeriesWriter(
            hu=synthetic.chest_hu(seed=number),
            patient=f"PAT{number}",
            study_uid=f"1.2.3.{number}",
            series_uid=f"1.2.3.{number}.1",
            edit=identify,
        ).write(folder / str(number))
    return folder


@pytest.fixture
def flat(studies: Path, tmp_path: Path) -> Path:
    """All files of all studies in one folder, in random order, without endings; other files among them."""
    files = sorted(path for path in studies.rglob("*") if path.is_file())
    folder = tmp_path / "SECRET" / "flat"
    folder.mkdir(parents=True)
    for name, place in enumerate(np.random.default_rng(5).permutation(len(files))):
        (folder / f"{name:05d}").write_bytes(files[place].read_bytes())
    (folder / "DICOMDIR").write_bytes(files[0].read_bytes())
    (folder / "notes.txt").write_text("SECRET")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "studies.csv"
    path.write_text(TABLE)
    return path


def arguments(tree: Path, out: Path, table: Path, *options: str) -> list[str]:
    return ["import", "dicom", str(tree), str(out), "--studies", str(table), "--jobs", "1", *options]


def test_a_flat_shuffled_folder_becomes_a_cohort_that_can_be_prepared(
    flat: Path, studies: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each study's volume is what its own folder would have given."""
    out = tmp_path / "out"

    assert run(arguments(flat, out, table)) == 0
    said = capsys.readouterr()
    assert "3 of 4 studies have a scan." in said.out
    assert "161 files, 160 of them CT images; 4 DICOM studies" in said.out
    assert "1  no DICOM study has this accession number" in said.out
    assert "DICOM studies without a row: 1" in said.out
    assert [word for word in IDENTIFIERS if word in (said.out + said.err).replace(str(out), "")] == []
    assert (out / "index.parquet").is_file()

    assert run(["prepare", str(out), "--grid", "24", "--jobs", "1"]) == 0
    prepared = load_prepared(out / "prepared-24")
    assert prepared.available == ("S00001", "S00002", "S00003")
    for number, study_id in enumerate(prepared.available):
        expected = read_to_grid(studies / str(number), grid=24).volume.hu
        assert (np.load(out / "prepared-24" / "volumes" / f"{study_id}.npy") == expected).all()


def test_the_same_command_again_goes_on_and_takes_in_a_mended_table(
    flat: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(arguments(flat, out, table)) == 0
    index = (out / "index.parquet").stat().st_mtime_ns
    table.write_text(TABLE.replace("ACC9", "ACC3"))
    capsys.readouterr()

    assert run(arguments(flat, out, table, "--json")) == 0
    found = json.loads(capsys.readouterr().out)

    assert found["matched"] == 4
    assert found["rows_without_scan"] == found["studies_without_row"] == {}
    assert (out / "index.parquet").stat().st_mtime_ns == index


def test_a_table_of_which_nothing_matches_ends_with_an_error_and_the_reasons(
    flat: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table.write_text("patient_id,index_time,age_years,sex,died,accession_number\n1,2018-03-05T14:30,60,F,0,NONE\n")
    assert run(arguments(flat, tmp_path / "out", table)) == 1
    assert "No row of the table of studies has a scan" in capsys.readouterr().err
    assert "no DICOM study has this accession number" in (tmp_path / "out" / "unmatched.csv").read_text()


def test_an_archive_and_a_list_of_paths_are_taken_too(
    studies: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, listed = tmp_path / "export.tar.gz", tmp_path / "files.txt"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(studies, "export")
    listed.write_text("\n".join(str(path) for path in studies.rglob("*") if path.is_file()))

    for tree, out in ((archive, tmp_path / "of_archive"), (listed, tmp_path / "of_list")):
        assert run(arguments(tree, out, table, "--json")) == 0
        assert json.loads(capsys.readouterr().out)["matched"] == 3
        cohort = load_cohort(out)
        (first, *_) = (cohort.folder / "scans" / "S00001.files").read_text().splitlines()
        assert (cohort.folder / "scans" / first).is_file()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tree": "gone"}, "nothing at TREE"),
        ({"tree": "studies.csv"}, "neither an archive nor a list"),
        ({"out": "SECRET/flat/out"}, "OUT lies inside TREE"),
        ({"table": "gone.csv"}, "no such table of studies"),
        ({"options": "--events gone.csv"}, "file after --events is not there"),
        ({"options": "--jobs 0"}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_before_files_are_read(
    change: dict[str, str],
    message: str,
    flat: Path,
    table: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    paths = {"tree": flat, "out": tmp_path / "out", "table": table}
    paths |= {name: tmp_path / value for name, value in change.items() if name in paths}

    assert run(arguments(*paths.values(), *change.get("options", "").split())) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert "SECRET" not in line
    assert not (tmp_path / "out").exists()


def test_an_unsafe_archive_is_refused_in_one_line(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = tmp_path / "SECRET.tar"
    with tarfile.open(archive, "w") as packed:
        packed.add(table, "../outside")

    assert run(arguments(archive, tmp_path / "out", table)) == 1

    (line,) = capsys.readouterr().err.splitlines()
    assert "leads out of it" in line
    assert "SECRET" not in line
    assert not (tmp_path / "outside").exists()


def test_scans_are_joined_to_a_record_by_the_keys_of_its_table(flat: Path, tmp_path: Path, capsys) -> None:
    """First the record, by a table with keys; then the scans, by the cohort that it became."""
    table = tmp_path / "list.csv"
    table.write_text(
        "study_id,patient_id,index_time,accession_number\na,7,2018-03-05T14:30,ACC0\nb,8,2018-03-05T14:30,\n"
    )
    rows = [
        {"resourceType": "Patient", "id": key, "gender": "female", "birthDate": "1950-02-03"} for key in ("7", "8")
    ] + [
        {
            "resourceType": "Observation",
            "status": "final",
            "subject": {"reference": "Patient/7"},
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "effectiveDateTime": time,
            "valueQuantity": {"value": 88, "code": "/min"},
        }
        for time in ("2018-03-05T14:00:00", "2018-06-05T14:00:00")
    ]
    source = tmp_path / "export.ndjson"
    source.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    record, out = tmp_path / "record", tmp_path / "out"
    assert run(["import", "fhir", str(source), str(record), "--studies", str(table)]) == 0
    assert "ACC0" not in (record / "studies.csv").read_text()
    assert run(["import", "dicom", str(flat), str(out), "--record", str(record), "--jobs", "1"]) == 0
    said = capsys.readouterr()
    assert "1 of 2 studies have a scan." in said.out
    cohort = load_cohort(out)
    assert cohort.studies["ct"].tolist() == ["scans/a.files", ""]
    np.testing.assert_array_equal(cohort.studies["label"], load_cohort(record).studies["label"])
    assert cohort.events is not None
    assert not (out / "scan_keys.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "Name the studies with --studies"),
        (["--record", "{record}", "--studies", "{record}"], "by --record alone"),
        (["--record", "{record}", "--events", "{record}"], "by --record alone"),
        (["--record", "{nowhere}"], "holds no cohort"),
        (["--record", "{record}"], "has no keys of scans"),
    ],
)
def test_a_record_that_cannot_be_joined_is_told(
    flat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    record = tmp_path / "record"
    record.mkdir()
    (record / "studies.csv").write_text(
        "study_id,patient_id,index_time,ct,age_years,sex,died\na,7,2018-03-05,,60,F,0\n"
    )
    given = [each.format(record=record, nowhere=tmp_path / "nowhere") for each in options]
    assert run(["import", "dicom", str(flat), str(tmp_path / "out"), *given]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
