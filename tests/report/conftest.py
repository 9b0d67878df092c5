"""A run folder as training leaves it, made up from a seed: signals of known strength, no model behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

MODELS = {  # name: how strongly it separates deaths from survivors
    "pesi": 1.2,
    "spesi": 1.0,
    "xgboost": 1.8,
    "tabnet": 1.6,
    "sanet": 1.3,
    "late-average": 2.0,
    "intermediate-sanet": 2.6,
}
LEARNT = ("tabnet", "sanet", "intermediate-sanet")
PATIENT_IDS_START = 7_300_000_001  # easy to find, should one ever reach a page

MakeRun = Callable[..., Path]


def logistic(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def make_studies(*, development: int, test: int, mortality: float) -> pd.DataFrame:
    count = development + test
    died = np.zeros(count, dtype=int)
    died[: round(development * mortality)] = 1
    died[development : development + round(test * mortality * 1.3)] = 1
    return pd.DataFrame(
        {
            "study_id": [f"S{index:04d}" for index in range(count)],
            "patient_id": PATIENT_IDS_START + np.arange(count),
            "label": died,
            "test": np.arange(count) >= development,
        }
    )


def make_predictions(
    studies: pd.DataFrame,
    *,
    models: dict[str, float],
    folds: int,
    seeds: int,
    shortcut: str,
    random: np.random.Generator,
) -> pd.DataFrame:
    """Rows of every model, seed and fold; the model `shortcut` is far better in development than in test."""
    development = studies.index[~studies["test"]]
    fold_of = pd.Series(np.arange(len(development)) % folds, index=random.permutation(development))
    parts = []
    for model, strength in models.items():
        pull = pd.Series(strength, index=studies.index)
        if model == shortcut:
            pull = pull.where(studies["test"], 5.0).where(~studies["test"], 0.1)
        common = random.normal(size=len(studies)) + pull * studies["label"]
        for seed in range(seeds):
            for fold in range(folds):
                raw = common + 0.4 * random.normal(size=len(studies))
                validation = fold_of.index[fold_of == fold]
                split = pd.Series("train", index=studies.index)
                split[validation] = "validation"
                split[studies["test"]] = "test"
                logit, risk = score_or_logit(model, raw if model not in ("pesi", "spesi") else common)
                parts.append(
                    studies.assign(model=model, seed=seed, fold=fold, split=split, logit=logit, risk=risk).drop(
                        columns="test"
                    )
                )
    table = pd.concat(parts, ignore_index=True)
    return table[["study_id", "patient_id", "model", "seed", "fold", "split", "label", "logit", "risk"]]


def score_or_logit(model: str, raw: pd.Series) -> tuple[pd.Series, pd.Series]:
    if model == "pesi":
        points = (90 + 22 * raw).round().clip(lower=20)
        return points, pd.cut(points, [0, 65, 85, 105, 125, 999], labels=[0.01, 0.03, 0.05, 0.09, 0.18]).astype(
            float
        )
    if model == "spesi":
        points = (0.9 + 0.9 * raw).round().clip(0, 6)
        return points, pd.Series(np.where(points >= 1, 0.109, 0.01), index=points.index)
    return 1.6 * raw - 2.4, logistic(1.6 * raw - 2.4)


@pytest.fixture(scope="session")
def make_run(tmp_path_factory: pytest.TempPathFactory) -> MakeRun:
    """Write a run folder: `make_run(test=72, models=..., shortcut="sanet", simulated=True, ...)`."""

    def make(
        *,
        development: int = 286,
        test: int = 72,
        mortality: float = 0.1,
        models: dict[str, float] | None = None,
        folds: int = 5,
        seeds: int = 1,
        shortcut: str = "",
        simulated: bool = True,
        bare: bool = False,
        seed: int = 0,
    ) -> Path:
        random = np.random.default_rng(seed)
        run = tmp_path_factory.mktemp("run")
        studies = make_studies(development=development, test=test, mortality=mortality)
        chosen = models or MODELS
        predictions = make_predictions(
            studies, models=chosen, folds=folds, seeds=seeds, shortcut=shortcut, random=random
        )
        predictions.to_csv(run / "predictions.csv", index=False)
        if not bare:
            write_surroundings(run, studies, chosen, folds=folds, seeds=seeds, simulated=simulated, random=random)
        return run

    return make


def write_surroundings(
    run: Path,
    studies: pd.DataFrame,
    models: dict[str, float],
    *,
    folds: int,
    seeds: int,
    simulated: bool,
    random: np.random.Generator,
) -> None:
    """Everything beside the predictions."""
    development, test = studies[~studies["test"]], studies[studies["test"]]
    half = len(studies) + 3
    summary = {
        "name": "made-up cohort",
        "simulated": simulated,
        "horizon_days": 30,
        "studies": half,
        "labelled": len(studies),
        "deaths": int(studies["label"].sum()),
        "by_split": {"development": counts(development), "test": counts(test)},
        "by_year": {
            str(2012 + year): {"studies": len(part), "deaths": int(part["label"].sum())}
            for year, part in development.groupby(np.arange(len(development)) % 6)
        }
        | {"2018": {"studies": len(test), "deaths": int(test["label"].sum())}},
        "folds": folds,
        "flow": [
            {
                "step": "studies in the cohort",
                "studies": half,
                "deaths": int(studies["label"].sum()),
                "left_out": 0,
            },
            {
                "step": "outcome known at the horizon",
                "studies": len(studies),
                "deaths": int(studies["label"].sum()),
                "left_out": 3,
            },
        ],
    }
    (run / "cohort.json").write_text(json.dumps(summary))
    settings = {
        "preset": "demo",
        "folds": folds,
        "ablations": any(name.startswith("intermediate-sanet-") for name in models),
        "scan": {"grid": 48, "cache": "/home/someone/data/volumes"},
    }
    (run / "config.yaml").write_text(yaml.safe_dump(settings))
    people = pd.DataFrame(
        {
            "study_id": studies["study_id"],
            "sex": np.where(np.arange(len(studies)) % 2 == 0, "F", "M"),
            "age_years": random.uniform(25, 95, len(studies)).round(1),
            "year": np.where(studies["test"], 2018, 2015),
            "site": "",
        }
    )
    people.to_csv(run / "studies.csv", index=False)
    environment = {
        "pefuse": "0.1.0",
        "python": "3.11.2",
        "packages": {"numpy": "2.4.6", "torch": "2.13.0"},
        "machine": "x86_64, Linux",
        "cores": 2,
        "memory_gib": 23.4,
        "seeds": list(range(seeds)),
        "preset": "demo",
        "seconds": {"data": 41.2, "models": 190.7},
    }
    (run / "environment.json").write_text(json.dumps(environment))
    pd.DataFrame(
        {
            "study_id": ["S9001", "S9002", "S9003"],
            "step": ["series", "geometry", "read"],
            "reason": [
                "No series covers the chest: the longest is 42 mm, at least 150 mm are needed.",
                "Slice gaps run from 1 to 6 mm; one gap is needed (within 0.1 mm).",
                "Slice 17 of 120 is cut off in /data/hospital/archive/17.dcm.",
            ],
            "remedy": [
                "Leave the study out.",
                "A slice is probably missing: export it again.",
                "Export it again.",
            ],
        }
    ).to_csv(run / "quarantine.csv", index=False)
    if simulated:
        write_ideal(run, studies, random)
    for model in LEARNT:
        if model in models:
            for seed in range(seeds):
                for fold in range(folds):
                    write_cell(run, model, seed, fold, random)


def counts(table: pd.DataFrame) -> dict[str, float]:
    return {
        "studies": len(table),
        "patients": len(table),
        "deaths": int(table["label"].sum()),
        "age_mean": 65.4,
        "age_sd": 15.2,
        "female_share": 0.537,
    }


def write_ideal(run: Path, studies: pd.DataFrame, random: np.random.Generator) -> None:
    table = pd.DataFrame({"study_id": studies["study_id"]})
    for seen, strength in (("ct", 1.7), ("ehr", 2.1), ("both", 3.2)):
        table[f"ideal_risk_{seen}"] = logistic(strength * studies["label"] + random.normal(size=len(studies)) - 2)
    table.to_csv(run / "ideal.csv", index=False)
    (run / "truth.json").write_text(json.dumps({"ideal_auc": {"ct": 0.881, "ehr": 0.923, "both": 0.979}}))


def write_cell(run: Path, model: str, seed: int, fold: int, random: np.random.Generator) -> None:
    folder = run / "cells" / f"{model}-seed{seed}-fold{fold}"
    folder.mkdir(parents=True)
    epochs = np.arange(1, 26)
    noise = random.normal(scale=0.02, size=(3, epochs.size))
    validation_loss = 0.42 + 0.6 * np.exp(-epochs / 5) + 0.004 * epochs + noise[1]
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "train_loss": 0.2 + 0.8 * np.exp(-epochs / 7) + noise[0],
            "validation_loss": validation_loss,
            "validation_auc": np.clip(0.9 - 0.4 * np.exp(-epochs / 6) + noise[2], 0, 1),
        }
    )
    history.to_csv(folder / "history.csv", index=False)
    manifest = {
        "model": model,
        "seed": seed,
        "fold": fold,
        "status": "finished",
        "digest": "0",
        "seconds": 12.3,
        "best_epoch": int(epochs[validation_loss.argmin()]),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    if model != "sanet":
        names = [
            "lactate (latest), mmol/L",
            "oxygen saturation, %",
            "age, years",
            "heart rate, /min",
            "troponin, ng/L",
        ]
        names += [f"medication: class {index}" for index in range(30)]
        names.append("comorbidity: malignant neoplasm of trachea, bronchus and lung with metastases")
        share = random.dirichlet(np.linspace(3, 0.1, len(names)))
        pd.DataFrame({"feature": names, "importance": share}).to_csv(folder / "importance.csv", index=False)
