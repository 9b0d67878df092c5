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


def test_without_a_death_in_the_test_set_the_terminal_says_why_there_are_dashes(run, capsys):
    table = pd.read_csv(run / "predictions.csv")
    table.loc[table["split"] == "test", "label"] = 0
    pd.concat([table, table.assign(model="tabnet")]).to_csv(run / "predictions.csv", index=False)
    code, out, _ = door(capsys, "report", str(run))

    assert code == 0
    said = (
        "Not judged: XGBoost (record), TabNet (record): all its test studies survived, so nothing can be ranked."
    )
    assert said in " ".join(out.split())
    assert said in (run / "report.html").read_text()


def test_a_model_that_gives_everyone_the_same_risk_is_told(run, capsys):
    table = pd.read_csv(run / "predictions.csv")
    pd.concat([table, table.assign(model="tabnet", risk=0.1)]).to_csv(run / "predictions.csv", index=False)
    code, out, _ = door(capsys, "report", str(run))

    said = "All its risks are equal, so that it ranks no patient: TabNet (record)."
    assert code == 0
    assert said in " ".join(out.split())
    assert said in (run / "report.html").read_text()
