"""From rows of a run to one number a study and model, on test studies that all models judged.

Folds and seeds are averaged as evaluation/ensemble.py says. A clinical score is judged by its points. A study that
some model could not judge, for want of a scan or a record, would make two rows of a table speak of different
patients: it is kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pefuse.evaluation import auroc, mean_by_study
from pefuse.report.names import CLINICAL_SCORES, sorted_models
from pefuse.report.run_folder import RunFolder

__all__ = ["ModelScores", "collect_scores"]


@dataclass(frozen=True, kw_only=True)
class ModelScores:
    """One model's scores, a row a study.

    `test`, `own_test` and `validation` are indexed by study_id with the columns label (0/1), risk (probability)
    and score (what cases are ranked by: the risk, or a clinical score's points). `test` has the studies that all
    models judged, `own_test` all that this one did. `fold_aucs` has one row a seed and fold: the AUC of that
    single model on `test`. `problem` says why the model cannot be judged on test; "" = it can.
    """

    name: str
    test: pd.DataFrame = field(repr=False)
    own_test: pd.DataFrame = field(repr=False)
    validation: pd.DataFrame = field(repr=False)
    fold_aucs: pd.DataFrame = field(repr=False)
    problem: str = ""


def collect_scores(run: RunFolder) -> list[ModelScores]:
    """All models of a run in the order of a table, ideal predictors of a simulated cohort last."""
    names = sorted_models([str(name) for name in run.predictions["model"].unique()])
    common = _common(run.predictions)
    return [_of_model(run.predictions, name, common) for name in names] + _of_ideals(run, common)


def _common(predictions: pd.DataFrame) -> pd.Index:
    """Test studies that every model judged; one that judged less than half of all takes none from the others."""
    test = predictions[predictions["split"] == "test"]
    common = set(test["study_id"])
    enough = len(common) / 2
    for _, rows in test.groupby("model", sort=True):
        judged = set(rows["study_id"])
        if len(judged) >= enough:
            common &= judged
    shared: pd.Index = pd.Index(sorted(common), dtype="str")
    return shared


def _of_model(predictions: pd.DataFrame, name: str, common: pd.Index) -> ModelScores:
    rows = predictions[predictions["model"] == name]
    rows = rows.assign(score=rows["logit"] if name in CLINICAL_SCORES else rows["risk"])
    test = rows[rows["split"] == "test"]
    shared = test[test["study_id"].isin(common)]
    return ModelScores(
        name=name,
        test=mean_by_study(shared, "risk", "score"),
        own_test=mean_by_study(test, "risk", "score"),
        validation=mean_by_study(rows[rows["split"] == "validation"], "risk", "score"),
        fold_aucs=_fold_aucs(shared),
        problem=_problem(shared),
    )


def _of_ideals(run: RunFolder, common: pd.Index) -> list[ModelScores]:
    """The ideal predictors, on the same studies as the models."""
    if run.ideal.empty:
        return []
    labels = {
        str(split): rows.groupby("study_id", sort=True)["label"].first()
        for split, rows in run.predictions.groupby("split")
        if split != "train"
    }
    return [
        _of_ideal(run.ideal[f"ideal_risk_{seen}"], f"ideal-{seen}", labels, common)
        for seen in ("ct", "ehr", "both")
    ]


def _of_ideal(
    risk: pd.Series[float], name: str, labels: dict[str, pd.Series[float]], common: pd.Index
) -> ModelScores:
    def on(split: str) -> pd.DataFrame:
        label = labels.get(split, pd.Series(dtype=np.float64))
        known = risk.reindex(label.index).dropna()
        return pd.DataFrame({"label": label.reindex(known.index), "risk": known, "score": known})

    own = on("test")
    test = own[own.index.isin(common)]
    nothing = pd.DataFrame({"seed": [], "fold": [], "auc": []})
    return ModelScores(
        name=name,
        test=test,
        own_test=own,
        validation=on("validation"),
        fold_aucs=nothing,
        problem=_problem(test),
    )


def _fold_aucs(test: pd.DataFrame) -> pd.DataFrame:
    aucs = [
        {"seed": seed, "fold": fold, "auc": auroc(rows["label"], rows["score"])}
        for (seed, fold), rows in test.groupby(["seed", "fold"], sort=True)
        if not _problem(rows)
    ]
    return pd.DataFrame(aucs, columns=["seed", "fold", "auc"])


def _problem(rows: pd.DataFrame) -> str:
    """Why these rows cannot be judged; "" = they can."""
    if rows.empty:
        return "no predictions for test studies"
    if unknown := int((~np.isfinite(rows[["risk", "score"]].to_numpy(dtype=np.float64))).any(axis=1).sum()):
        return f"{unknown} of its test predictions are not numbers"
    if rows["label"].nunique() < 2:
        outcome = "died" if rows["label"].iloc[0] == 1 else "survived"
        return f"all its test studies {outcome}, so nothing can be ranked"
    return ""
