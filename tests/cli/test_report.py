"""`pefuse report` with `--format`, `--subgroup` and `--prevalence`, through the door."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pefuse.cli import main


@pytest.fixture
def run(tmp_path):
    """The least that a report can be made of: one model, 40 studies."""
    random = np.random.default_rng(0)
    died = np.arange(40) % 4 == 0
    table = pd.DataFrame(
        {
            "study_id": [f"S{place:03d}" for place in range(40)],
            "patient_id": range(40),
            "model": "xgboost",
            "seed": 0,
            "fold": 0,
            "split": np.where(np.arange(40) < 12, "train", np.where(np.arange(40) < 24, "validation", "test")),
            "label": died.astype(int),
            "logit": 0.0,
            "risk": np.clip(0.2 + 0.3 * died + 0.1 * random.normal(size=40), 0.01, 0.99),
        }
    )
    table.to_csv(tmp_path / "predictions.csv", index=False)
    return tmp_path


def door(capsys, *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and error of the CLI."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    out, err = capsys.readouterr()
    return ended.value.code or 0, out, err


def test_other_formats_stand_beside_the_page_and_are_named(run, capsys):
    code, out, _ = door(capsys, "report", str(run), "--format", "md,pdf", "--json")

    assert code == 0
    assert json.loads(out)["other_formats"] == [str(run / "report.md"), str(run / "report.pdf")]
    assert (run / "report.md").read_text().startswith("# Death within 30 days")
    assert (run / "report.pdf").read_bytes().startswith(b"%PDF")
    assert (run / "report.html").exists()


def test_an_unknown_format_is_one_line(run, capsys):
    code, _, err = door(capsys, "report", str(run), "--format", "docx")

    assert code == 1
    assert 'There is no format "docx": there are html, md, tex, pdf.' in err
    assert not (run / "report.html").exists()


def test_subgroups_and_another_mortality_are_on_the_page(run, capsys):
    scanner = [f"scanner {place % 2}" for place in range(40)]
    pd.DataFrame({"study_id": [f"S{place:03d}" for place in range(40)], "scanner": scanner}).to_csv(
        run / "subgroups.csv", index=False
    )
    code, _, _ = door(capsys, "report", str(run), "--subgroup", "scanner", "--prevalence", "0.02", "--json")
    page = (run / "report.html").read_text(encoding="utf-8")

    assert code == 0
    assert "PPV, 2 % die" in page
    assert "scanner 1" in page


def test_an_unknown_subgroup_is_one_line(run, capsys):
    code, _, err = door(capsys, "report", str(run), "--subgroup", "scanner")

    assert code == 1
    assert "There is no column 'scanner' to make subgroups of." in err
    assert len(err.strip().splitlines()) == 1
