"""The verb `explain`: what belongs to a run and what to a bundle, and what is said where either is mixed up."""

from __future__ import annotations

import pytest

from pefuse.cli.door import run as pefuse


@pytest.fixture
def a_run(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "predictions.csv").write_text("study_id\n")
    return str(tmp_path / "run")


@pytest.fixture
def a_bundle(tmp_path):
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text("{}")
    return str(tmp_path / "bundle")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "name its cohort with --cohort"),
        (["--cohort", "C", "--ct", "S"], "are of a bundle"),
        (["--cohort", "C", "--age", "60"], "are of a bundle"),
        (["--cohort", "C", "--method", "magic"], "one of grad-cam, hires-cam, layer-cam"),
    ],
)
def test_a_run_is_asked_for_what_a_run_needs(a_run, capsys, options, words):
    assert pefuse(["explain", a_run, *options]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "folder for the results with --out"),
        (["--out", "O", "--cohort", "C"], "are of a run"),
        (["--out", "O", "--study", "S1"], "are of a run"),
    ],
)
def test_a_bundle_is_asked_for_what_a_patient_needs(a_bundle, capsys, options, words):
    assert pefuse(["explain", a_bundle, *options]) == 1
    assert words in capsys.readouterr().err


def test_a_folder_that_is_neither_is_refused_in_one_line(tmp_path, capsys):
    assert pefuse(["explain", str(tmp_path)]) == 1

    error = capsys.readouterr().err
    assert "neither a run nor a bundle" in error
    assert error.count("\n") == 1
    assert str(tmp_path) not in error
