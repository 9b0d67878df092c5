"""XGBoost and TabNet of pefuse on SUPPORT2 (death in hospital), beside scikit-learn's and pytorch-tabnet's.

    python benchmarks/support2.py SUPPORT2.csv [--folds 5] [--preset demo]

Five stratified folds, the same for all; a fifth of each training part is for validation (early stopping). Columns
that tell of what came later are left out, each with its reason. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pefuse import api
from pefuse.cohort import load_cohort

LEFT_OUT = {
    "sno": "a number of the case",
    "death": "the outcome, later",
    "d.time": "how long the patient was followed",
    "slos": "the length of the stay, known when it is over",
    "charges": "of the whole stay",
    "totcst": "of the whole stay",
    "totmcst": "of the whole stay",
    "avtisst": "an average over days up to the 25th",
    "sfdm2": "how the patient was two months later",
    "surv2m": "a model's prediction of survival, made of the same data",
    "surv6m": "a model's prediction of survival",
    "prg2m": "a physician's prediction of survival",
    "prg6m": "a physician's prediction of survival",
    "dnr": "decided during the stay, often shortly before death",
    "dnrday": "decided during the stay",
}
Split = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]  # rows to train, validate, test


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--preset", default="demo")
    options = parser.parse_args()
    table = pd.read_csv(options.table, skipinitialspace=True)
    died = table.pop("hospdead").to_numpy()
    features = table.drop(columns=list(LEFT_OUT))
    aucs: dict[str, list[float]] = {}
    for split in splits(died, options.folds):
        for name, risk in risks(features, died, split, options.preset).items():
            aucs.setdefault(name, []).append(float(roc_auc_score(died[split[2]], risk)))
    print(as_markdown(aucs, studies=len(died), deaths=int(died.sum()), columns=features.shape[1]))


def splits(died: NDArray[np.int64], folds: int) -> list[Split]:
    found = []
    for rest, test in StratifiedKFold(folds, shuffle=True, random_state=0).split(died, died):
        train, validation = train_test_split(rest, test_size=0.2, random_state=0, stratify=died[rest])
        found.append((np.sort(train), np.sort(validation), test))
    return found


def risks(
    features: pd.DataFrame, died: NDArray[np.int64], split: Split, preset: str
) -> dict[str, NDArray[np.float64]]:
    """Of each model the risks of the test rows."""
    ours = of_pefuse(features, died, split, preset)
    others: dict[str, Callable[[pd.DataFrame, NDArray[np.int64], Split], NDArray[np.float64]]] = {
        "scikit-learn HistGradientBoosting": of_boosting,
        "pytorch-tabnet": of_pytorch_tabnet,
    }
    return {**ours, **{name: fit(features, died, split) for name, fit in others.items()}}


def of_pefuse(
    features: pd.DataFrame, died: NDArray[np.int64], split: Split, preset: str
) -> dict[str, NDArray[np.float64]]:
    names = np.empty(len(died), dtype=object)
    for name, rows in zip(("train", "validation", "test"), split, strict=True):
        names[rows] = name
    studies = pd.DataFrame({"study_id": [f"s{i}" for i in range(len(died))], "patient_id": np.arange(len(died))})
    studies = studies.assign(
        index_time="2000-01-01T00:00:00",
        ct="",
        age_years=features["age"].to_numpy(),
        sex=features["sex"].to_numpy(),
        died=died,
        split=names,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "cohort")
        folder.mkdir()
        studies.to_csv(folder / "studies.csv", index=False)
        table = features.drop(columns=["age", "sex"])
        table.insert(0, "study_id", studies["study_id"])
        table.to_csv(folder / "features.csv", index=False)
        run = Path(name, "run")
        api.compare(load_cohort(folder), ["xgboost", "tabnet"], out=run, preset=preset)
        found = pd.read_csv(run / "predictions.csv")
    test = found[found["split"] == "test"].set_index("study_id")
    order = studies["study_id"].to_numpy()[split[2]]
    labels = {"xgboost": "pefuse: XGBoost", "tabnet": "pefuse: TabNet"}
    return {labels[m]: test[test["model"] == m].loc[order, "risk"].to_numpy() for m in labels}


def of_boosting(features: pd.DataFrame, died: NDArray[np.int64], split: Split) -> NDArray[np.float64]:
    """Its own part for early stopping is taken from training and validation rows together."""
    rest, test = np.concatenate(split[:2]), split[2]
    typed = features.astype(dict.fromkeys(features.select_dtypes(["object", "string"]).columns, "category"))
    model = HistGradientBoostingClassifier(categorical_features="from_dtype", early_stopping=True, random_state=0)
    risk: NDArray[np.float64] = model.fit(typed.iloc[rest], died[rest]).predict_proba(typed.iloc[test])[:, 1]
    return risk


def of_pytorch_tabnet(features: pd.DataFrame, died: NDArray[np.int64], split: Split) -> NDArray[np.float64]:
    """The library's defaults; numbers imputed and scaled, texts as one column a level, fitted on training rows."""
    from pytorch_tabnet.tab_model import TabNetClassifier

    texts = list(features.select_dtypes(["object", "string"]).columns)
    numbers = [name for name in features.columns if name not in texts]
    prepared = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
    )
    train, validation, test = split
    matrix = prepared.fit(features.iloc[train]).transform(features).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TabNetClassifier(verbose=0, seed=0)
        model.fit(
            matrix[train],
            died[train],
            eval_set=[(matrix[validation], died[validation])],
            eval_metric=["auc"],
        )
        risk: NDArray[np.float64] = model.predict_proba(matrix[test])[:, 1]
    return risk


def as_markdown(aucs: dict[str, list[float]], *, studies: int, deaths: int, columns: int) -> str:
    best = np.array(aucs["scikit-learn HistGradientBoosting"])
    lines = [
        f"SUPPORT2: {studies} patients, {deaths} deaths in hospital, {columns} columns; "
        f"{len(best)} folds; {datetime.date.today().isoformat()}, {len(os.sched_getaffinity(0))} cores, Python "
        f"{platform.python_version()}.",
        "",
        "| model | AUC, mean of folds | lowest to highest fold | less HistGradientBoosting, 95 % interval |",
        "|---|---|---|---|",
    ]
    for name, each in aucs.items():
        values = np.array(each)
        difference = values - best
        # Student's t over folds: folds share training rows, so that it is somewhat too narrow.
        half = 2.776 * difference.std(ddof=1) / np.sqrt(len(values)) if len(values) == 5 else float("nan")
        lines.append(
            f"| {name} | {values.mean():.3f} | {values.min():.3f} to {values.max():.3f} | "
            f"{difference.mean():+.3f} ± {half:.3f} |"
        )
    lines += ["", "Left out:", *(f"- `{name}`: {reason}" for name, reason in LEFT_OUT.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
