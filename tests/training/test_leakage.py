"""No leak: with labels shuffled nothing can be learned, and nothing is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.evaluation import auroc
from pefuse.training import compare, resolve_config
from pefuse.types import Cohort

STUDIES = 600


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    """600 studies of five years with a ready table: 3 of 30 features tell who dies."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(STUDIES, 30))
    died = (features[:, :3].sum(axis=1) + rng.normal(size=STUDIES) > 2).astype(int)
    ids = [f"S{number:04d}" for number in range(STUDIES)]
    studies = pd.DataFrame(
        {
            "study_id": ids,
            "patient_id": np.arange(STUDIES) + 1000,
            "index_time": [f"{2014 + number % 5}-03-01T08:00:00" for number in range(STUDIES)],
            "ct": "",
            "age_years": rng.integers(30, 90, STUDIES),
            "sex": rng.choice(["F", "M"], STUDIES),
            "died": died,
        }
    )
    folder = tmp_path_factory.mktemp("leak")
    studies.to_csv(folder / "studies.csv", index=False)
    (folder / "cohort.yaml").write_text("name: leak\nhorizon_days: 30\n")
    table = pd.DataFrame(features, columns=[f"feature {number}" for number in range(30)])
    table.insert(0, "study_id", ids)
    table.to_csv(folder / "features.csv", index=False)
    return load_cohort(folder)


def auc_of_models(cohort: Cohort, out: Path) -> dict[str, float]:
    config = resolve_config("demo", overrides=["models=[xgboost, tabnet]", "folds=2", "tabnet.screen=16"])
    table = compare(cohort, out=out, config=config).predictions.table
    test = table[table["split"] == "test"]
    mean = test.groupby(["model", "study_id"])[["label", "risk"]].mean()
    return {
        model: auroc(group["label"].to_numpy(), group["risk"].to_numpy()) for model, group in mean.groupby(level=0)
    }


def shuffled(cohort: Cohort) -> Cohort:
    studies = cohort.studies.copy()
    studies["label"] = np.random.default_rng(1).permutation(studies["label"])
    return Cohort(**{**vars(cohort), "studies": studies})


@pytest.mark.slow
def test_true_labels_are_learned_and_shuffled_ones_give_chance(cohort, tmp_path):
    """120 test studies with about 20 deaths: the SD of the AUC by chance is about 0.07."""
    true, chance = auc_of_models(cohort, tmp_path / "true"), auc_of_models(shuffled(cohort), tmp_path / "shuffled")

    assert min(true.values()) > 0.85
    assert all(0.3 < auc < 0.7 for auc in chance.values())
