"""`pefuse score`: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from pefuse.cli.door import run

STUDIES = """study_id,patient_id,index_time,ct,age_years,sex,died
a,1,2018-03-05T12:00,,60,F,0
b,2,2018-03-05T12:00,,70,M,1
"""
EVENTS = """subject_id,time,code,numeric_value
1,2018-03-05T08:00,VITAL//heart_rate,112
2,2018-03-05T08:00,VITAL//spo2,88
"""


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    (tmp_path / "cohort").mkdir()
    (tmp_path / "cohort" / "studies.csv").write_text(STUDIES)
    (tmp_path / "cohort" / "events.csv").write_text(EVENTS)
    return tmp_path / "cohort"


def test_scores_of_all_are_counted_and_written(cohort: Path, tmp_path: Path, capsys) -> None:
    assert run(["score", str(cohort), "--scores", "pesi, spesi", "--out", str(tmp_path / "scores.csv")]) == 0
    printed = capsys.readouterr().out
    assert "pesi: 2 of 2 studies have it (1 II, 1 III)." in printed
    assert "  1 without pulse" in printed
    table = pd.read_csv(tmp_path / "scores.csv", index_col="study_id")
    assert table["pesi_points"].tolist() == [80, 100]
    assert table.loc["b", "pesi_part_oxygen_saturation"] == 20


def test_the_points_of_one_study_are_listed(cohort: Path, capsys) -> None:
    assert run(["score", str(cohort), "--study", "b"]) == 0
    printed = capsys.readouterr().out
    assert "b, pesi: 100 points, class III, 4 parts missing" in printed
    assert "oxygen saturation (SpO2): 88 %" in printed
    assert run(["score", str(cohort), "--study", "b", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"]["spesi"]["points"] == 1
    assert sum(part["points"] or 0 for part in told["scores"]["pesi"]["parts"]) == 100


def test_json_of_all(cohort: Path, capsys) -> None:
    assert run(["score", str(cohort), "--scores", "bova", "--missing", "refuse", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["scores"][0]["with_score"] == 0
    assert told["scores"][0]["missing_parts"]["troponin"] == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--scores", "apache"], "There is no score 'apache'"),
        (["--study", "c"], "does not have study c"),
        (["--missing", "guess"], "missing is 'guess'"),
        (["--missing", "impute"], "score_missing=impute"),
        (["--scores", ","], "names no score"),
    ],
)
def test_what_cannot_be_is_told_in_one_line(cohort: Path, capsys, options: list[str], message: str) -> None:
    assert run(["score", str(cohort), *options]) == 1
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_file_of_another_kind_is_not_overwritten(cohort: Path, tmp_path: Path, capsys) -> None:
    before = (cohort / "events.csv").read_bytes()
    for place in (cohort / "events.csv", cohort / "studies.csv", cohort):
        assert run(["score", str(cohort), "--out", str(place)]) == 1
        assert "name a" in capsys.readouterr().err
    assert (cohort / "events.csv").read_bytes() == before
    for _ in range(2):  # its own may be made again
        assert run(["score", str(cohort), "--out", str(tmp_path / "scores.csv")]) == 0


def test_a_lag_is_a_length_of_time(cohort: Path, capsys) -> None:
    assert run(["score", str(cohort), "--scores", "SPESI", "--lag", "6h"]) == 0
    assert "2 without pulse" in capsys.readouterr().out
    assert run(["score", str(cohort), "--lag", "soon"]) == 1
    assert "--lag is 'soon'" in capsys.readouterr().err
