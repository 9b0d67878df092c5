"""`pefuse check` at the door: what it says, and how it ends."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest

from pefuse.cli.door import run


@pytest.fixture(autouse=True)
def _loud(monkeypatch: pytest.MonkeyPatch) -> None:
    door = importlib.import_module("pefuse.cli.door")
    monkeypatch.setattr(door, "_silence_libraries", lambda: None)  # tests keep their warnings


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Two studies: one whose scan is not there, one without."""
    folder = tmp_path / "cohort"
    folder.mkdir()
    rows = ["study_id,patient_id,index_time,ct,age_years,sex,died"]
    rows += ["s1,7,2018-03-05T14:30,scans/gone,60,F,0", "s2,8,2018-03-06T14:30,,61,M,1"]
    (folder / "studies.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


def test_quarantined_studies_are_a_finding_with_a_status_of_its_own(
    cohort: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(cohort), "--grid", "32", "--jobs", "1"]) == 2

    said = capsys.readouterr().out
    assert "2 studies, 1 quarantined, 0 worrying, 0 fine, 1 without scan." in said
    assert "There is nothing at the scan" in (cohort / "check.html").read_text(encoding="utf-8")


def test_json_counts_and_names_the_page(cohort: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "pages" / "look.html"

    assert run(["check", str(cohort), "--out", str(page), "--grid", "32", "--jobs", "1", "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert {finding["topic"] for finding in found.pop("findings")} == {"joins"}
    assert found == {
        "page": str(page),
        "studies": 2,
        "quarantined": 1,
        "worrying": 0,
        "fine": 0,
        "without_scan": 1,
    }
    assert page.is_file()


@pytest.mark.parametrize("options", [["--grid", "4"], ["--jobs", "0"], ["--out", "."]])
def test_what_cannot_be_is_refused_in_one_line(
    cohort: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(cohort), *options]) == 1

    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("Error: ")


def test_a_folder_that_is_no_cohort_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["check", str(tmp_path / "nowhere")]) == 1

    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "no such cohort folder" in line
    assert str(tmp_path) not in line
