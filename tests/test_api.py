"""The calls that a Python user starts with."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import pefuse
from pefuse.types import PREDICTION_COLUMNS, Predictions


def predictions(model: str, split: str, labels: list[int], risks: list[float], *, fold: int = 0) -> pd.DataFrame:
    """Rows as a run has them, one study each."""
    risk = np.asarray(risks)
    table = pd.DataFrame(
        {
            "study_id": [f"{split}{number}" for number in range(len(labels))],
            "patient_id": range(len(labels)),
            "model": model,
            "seed": 0,
            "fold": fold,
            "split": split,
            "label": labels,
            "logit": np.log(risk / (1 - risk)),
            "risk": risk,
        }
    )
    return table[list(PREDICTION_COLUMNS)]


def test_evaluate_gives_each_models_auc_and_rates_on_the_test_studies() -> None:
    """Test: of 2 × 3 pairs 5 are ranked right, AUC 5/6. Youden on validation: half-way between 0.5 and 0.6.

    On the test studies risks of at least 0.55 are 0.9 (died), 0.7 (survived): sensitivity 1/2, specificity 2/3.
    """
    table = pd.concat(
        [
            predictions("tabnet", "validation", [0, 0, 1], [0.1, 0.5, 0.6]),
            predictions("tabnet", "test", [1, 1, 0, 0, 0], [0.9, 0.5, 0.7, 0.4, 0.1]),
        ]
    )

    result = pefuse.evaluate(Predictions(table=table))

    assert list(result.index) == ["tabnet"]
    row = result.loc["tabnet"]
    assert (row["studies"], row["deaths"]) == (5, 2)
    assert row["auc"] == pytest.approx(5 / 6)
    assert row["auc_low"] < 5 / 6 <= row["auc_high"]
    assert row["sensitivity"] == pytest.approx(1 / 2)
    assert row["specificity"] == pytest.approx(2 / 3)


def test_evaluate_averages_the_risks_of_the_folds_models() -> None:
    """Each fold alone ranks some pair wrong; their means, 0.55 and 0.5 against 0.45 and 0.4, none."""
    table = pd.concat(
        [
            predictions("sanet", "test", [1, 1, 0, 0], [0.8, 0.2, 0.3, 0.1], fold=0),
            predictions("sanet", "test", [1, 1, 0, 0], [0.3, 0.8, 0.6, 0.7], fold=1),
        ]
    )

    assert pefuse.evaluate(Predictions(table=table)).loc["sanet", "auc"] == 1.0


def test_evaluate_says_nothing_of_what_cannot_be_told() -> None:
    """All survived: there is no AUC, and it is not 0.5."""
    table = predictions("sanet", "test", [0, 0, 0], [0.3, 0.2, 0.1])

    row = pefuse.evaluate(Predictions(table=table)).loc["sanet"]

    assert pd.isna(row["auc"])
    assert (row["studies"], row["deaths"]) == (3, 0)


def test_importing_pefuse_imports_nothing_heavy() -> None:
    """A script that only loads a cohort must not wait for torch."""
    code = (
        "import sys, pefuse; first = set(sys.modules); pefuse.load_cohort; "
        "sys.exit(' '.join(sorted({'torch', 'pandas', 'numpy'} & first | {'torch'} & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
