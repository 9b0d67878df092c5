"""The examples do what they say: a reader will start from them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import pefuse

EXAMPLES = Path(__file__).parents[1] / "examples"


def run_python(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """A fresh interpreter, as a reader would have it, working in `folder`."""
    words = [sys.executable, *(str(argument) for argument in arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_from_python_ends_with_a_report(tmp_path: Path) -> None:
    done = run_python(EXAMPLES / "from_python.py", "out", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "40 simulated studies, 12 deaths" in done.stdout  # 30 % of 40
    assert done.stdout.splitlines()[-1] == f"Report: {Path('out') / 'run' / 'report.html'}"
    page = (tmp_path / "out" / "run" / "report.html").read_text(encoding="utf-8")
    assert "simulated" in page.lower()
    assert "research use only" in page.lower()
    predictions = pd.read_csv(tmp_path / "out" / "run" / "predictions.csv")
    assert {"xgboost", "sanet", "tabnet", "intermediate-sanet"} <= set(predictions["model"])
    assert predictions["risk"].between(0, 1).all()


@pytest.mark.slow
def test_a_script_as_the_readme_shows_it_ends(tmp_path: Path) -> None:
    """Without `if __name__ == "__main__"`: worker processes must not run the user's script again."""
    text = (EXAMPLES.parent / "README.md").read_text(encoding="utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    code = code.replace('"COHORT"', repr(str(EXAMPLES / "record_only"))).replace("intermediate-sanet", "xgboost")
    (tmp_path / "script.py").write_text(f"print('began')\n{code}", encoding="utf-8")
    done = run_python("script.py", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("began") == 1
    assert "xgboost" in done.stdout


@pytest.mark.slow
def test_the_record_only_cohort_runs_from_its_folder_alone(tmp_path: Path) -> None:
    """Local codes, Fahrenheit and no scans: still three models, each judged on the same studies of 2018."""
    done = run_python(
        "-m", "pefuse", "compare", EXAMPLES / "record_only", "--out", "run", "--preset", "demo",
        "--models", "pesi,spesi,xgboost", "--folds", "3", "--json",
        folder=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["run"] == "run"
    predictions = pd.read_csv(tmp_path / "run" / "predictions.csv")
    test = predictions[predictions["split"] == "test"]
    assert set(test["model"]) == {"pesi", "spesi", "xgboost"}
    assert test.groupby("model")["study_id"].nunique().eq(20).all()


@pytest.mark.parametrize(
    ("study_id", "points"),
    [
        ("S040", 56 + 10 + 30 + 20),  # a man of 56 with cancer, at 96.7 °F, which is 35.9 °C
        ("S041", 51 + 30 + 20),  # a woman of 51 with cancer and a saturation of 88 %
        ("S059", 85 + 10 + 10 + 20),  # a man of 85 with heart failure and a pulse of 111
        (
            "S029",
            65 + 30 + 10 + 20,
        ),  # a woman of 65, cancer, heart failure, pulse 120; 96.8 °F is 36.0 °C, not below
    ],
)
def test_pesi_of_the_record_only_cohort_is_the_sum_by_hand(study_id: str, points: int) -> None:
    """The example's own codes and units reach the score."""
    ehr = pytest.importorskip("pefuse.ehr", exc_type=ImportError)
    cohort = pefuse.load_cohort(EXAMPLES / "record_only")

    scores = ehr.clinical_scores(cohort, list(cohort.studies.index))

    assert scores.loc[study_id, "pesi_points"] == points
