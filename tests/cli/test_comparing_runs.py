"""`pefuse report` with several runs: what it prints and writes, and what it refuses in one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.cli.door import run


def write_run(folder: Path, *, seed: int, models: tuple[str, ...] = ("xgboost", "sanet")) -> Path:
    """90 studies of which every sixth died, 60 of them to test with; risks drawn from the seed."""
    random, parts = np.random.default_rng(seed), []
    died = (np.arange(90) % 6 == 0).astype(int)
    for model in models:
        logit = died + random.normal(size=90)
        parts.append(
            pd.DataFrame(
                {
                    "study_id": [f"S{number:03d}" for number in range(90)],
                    "patient_id": np.arange(90),
                    "model": model,
                    "seed": 0,
                    "fold": 0,
                    "split": np.where(np.arange(90) < 30, "validation", "test"),
                    "label": died,
                    "logit": logit,
                    "risk": 1 / (1 + np.exp(-logit)),
                }
            )
        )
    folder.mkdir()
    pd.concat(parts).to_csv(folder / "predictions.csv", index=False)
    return folder


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    return [str(write_run(tmp_path / name, seed=seed)) for seed, name in enumerate(("first", "second"))]


def test_two_runs_are_compared_on_a_page_in_the_current_folder(runs, tmp_path, capsys) -> None:
    assert run(["report", *runs]) == 0

    printed = capsys.readouterr().out
    assert f"A: {runs[0]}" in printed
    assert "B against A" in printed
    assert "are of one cohort and are compared on 60 test studies that both have, with 10 deaths" in printed
    assert "Research use only" in printed
    assert printed.rstrip().endswith("Comparison: comparison.html")
    assert (tmp_path / "comparison.html").is_file()
    assert not (tmp_path / "first" / "report.html").exists()


def test_the_page_goes_where_out_says_and_json_tells_the_numbers(runs, tmp_path, capsys) -> None:
    page = tmp_path / "pages" / "mine.html"

    assert run(["report", *runs, "--out", str(page), "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert told["page"] == str(page)
    assert told["comparisons"][0]["relation"] == "paired"
    assert {row["model"] for row in told["comparisons"][0]["models"]} == {"xgboost", "sanet"}
    assert len(pd.read_csv(page.with_suffix(".csv"))) == 2


def test_one_run_has_its_page_in_its_own_folder(runs, tmp_path, capsys) -> None:
    assert run(["report", runs[0]]) == 0

    assert (tmp_path / "first" / "report.html").is_file()
    assert not (tmp_path / "comparison.html").exists()
    assert "Table 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--format", "md"], "--format are for the report of one run"),
        (["--subgroup", "site"], "--format are for the report of one run"),
        (["--prevalence", "0.2"], "--format are for the report of one run"),
        (["first"], "Runs A and C, in the order that you named them, are the same run"),
        (["nowhere"], "Run C, in the order that you named them: There is no such run folder"),
        (["stranger"], "Runs A and C have no model in common"),
        (["--out", "page.txt"], "does not end in .html"),
    ],
)
def test_what_cannot_be_compared_is_told_in_one_line(runs, tmp_path, capsys, more, message) -> None:
    write_run(tmp_path / "stranger", seed=7, models=("mbt",))

    assert run(["report", *runs, *more]) == 1

    told = capsys.readouterr()
    assert message in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert told.out == ""
    assert str(tmp_path) not in told.err
    assert not (tmp_path / "comparison.html").exists()


def test_out_for_one_run_is_refused(runs, capsys) -> None:
    assert run(["report", runs[0], "--out", "page.html"]) == 1
    assert "--out is for several runs" in capsys.readouterr().err
