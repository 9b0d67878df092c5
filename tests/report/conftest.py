"""A run folder as training leaves it, made up from a seed: signals of known strength, no model behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK
import yaml
from matplotlib.image import imsave

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


AddExplanations = Callable[..., tuple[str, ...]]

STRUCTURES = {  # name: its share of the volume
    "right ventricle": 0.01,
    "left ventricle": 0.01,
    "pulmonary trunk": 0.005,
    "inferior vena cava": 0.002,
    "right atrium": 0.008,
}


@pytest.fixture(scope="session")
def add_explanations() -> AddExplanations:
    """Put explanations into a run, as `pefuse explain` does: four cases, one of each kind."""

    def add(
        run: Path, *, side: int = 16, grasp: float = 4.0, control: float = 1.0, noise: float = 20.0, seed: int = 0
    ) -> tuple[str, ...]:
        """`grasp` and `control`: how much more heat than volume lies in the strained structures."""
        random = np.random.default_rng(seed)
        predictions = pd.read_csv(run / "predictions.csv")
        of_model = predictions[(predictions["model"] == "intermediate-sanet") & (predictions["split"] == "test")]
        risks = of_model.groupby("study_id").agg(label=("label", "first"), risk=("risk", "mean"))
        threshold = float(risks["risk"].median())
        cases = {}
        for kind, label, called in (
            ("missed death", 1, False),
            ("false alarm", 0, True),
            ("found death", 1, True),
            ("rightly low", 0, False),
        ):
            fitting = risks[(risks["label"] == label) & ((risks["risk"] >= threshold) == called)]
            for study_id, row in fitting.head(1).iterrows():
                cases[str(study_id)] = made_up_case(str(study_id), row, kind=kind, called=called)
        folder = run / "explanations"
        for study_id, case in cases.items():
            write_case(folder / "cases" / study_id, case, side=side, noise=noise, random=random)
        summary = {"format": 1, "model": "intermediate-sanet", "threshold": threshold, "layer": "stage-3"}
        summary |= {"method": "layer-cam", "through": "the model's risk", "simulated": True, "cases": list(cases)}
        (folder / "summary.json").write_text(json.dumps(summary))
        write_truths(folder, list(risks.index), grasp=grasp, control=control, random=random)
        return tuple(cases)

    return add


def made_up_case(study_id: str, row: pd.Series, *, kind: str, called: bool) -> dict:
    risk = float(row["risk"])
    lactate = {"name": "lactate", "value": 5.1, "unit": "mmol/L", "text": "lactate 5.1 mmol/L", "share": 0.21}
    missing = {"name": "troponin", "value": None, "unit": "ng/L", "text": "troponin not measured", "share": 0.1}
    structures = [
        {"structure": name, "heat_share": 0.1, "volume_share": share} for name, share in STRUCTURES.items()
    ]
    return {
        "study_id": study_id,
        "label": int(row["label"]),
        "risk": risk,
        "called": called,
        "kind": kind,
        "scan_alone": 0.2,
        "record_alone": None,
        "without_scan": risk / 2,
        "without_record": risk,
        "features": [
            lactate | {"steps": [0.2, 0.01, 0.0], "usual": "1.4 (0.9 to 2.1)"},
            missing | {"steps": [0.1, 0.0, 0.0], "usual": ""},
        ],
        "heat": {
            "slices": [6, 8],
            "peak_index": [8, 4, 12],
            "peak_mm": [30.0, -41.2, 7.0],
            "structures": structures,
        },
    }


def write_case(folder: Path, case: dict, *, side: int, noise: float, random: np.random.Generator) -> None:
    """A bright cube in the patient's left front, the heat in it: whoever mixes up sides or axes is found out."""
    folder.mkdir(parents=True)
    hu = np.full((side, side, side), -800.0)
    half, quarter = side // 2, side // 4
    hu[half : half + quarter, quarter:half, half + quarter :] = 300
    hu += random.normal(0, noise, hu.shape)
    heat = np.zeros((side, side, side), np.uint8)
    heat[half + 1, quarter + 1, half + quarter + 1] = 255
    heat[half, quarter, half + quarter] = 128
    affine_of = 320 / side
    for name, values in (("ct", hu.round().astype(np.int16)), ("heat", heat)):
        image = SimpleITK.GetImageFromArray(values)
        image.SetSpacing([affine_of] * 3)
        image.SetOrigin([-150.0, -170.0, 40.0])
        SimpleITK.WriteImage(image, str(folder / f"{name}.nii.gz"))
    imsave(folder / "slices.png", random.random((20, 40)), cmap="gray")
    (folder / "case.json").write_text(json.dumps(case))


def write_truths(
    folder: Path, study_ids: list[str], *, grasp: float, control: float, random: np.random.Generator
) -> None:
    rows = []
    for study_id in study_ids:
        for method, times in (("layer-cam", grasp), ("layer-cam randomised", control)):
            for name, volume in STRUCTURES.items():
                more = 1.0 if name == "left ventricle" else times
                heat = min(1.0, volume * more * float(random.uniform(0.8, 1.2)))
                rows.append(
                    ("intermediate-sanet", study_id, method, name, heat, volume, int(random.random() < heat))
                )
    columns = ["model", "study_id", "method", "structure", "heat_share", "volume_share", "hit"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "heat_truth.csv", index=False)
    pd.DataFrame(
        [
            {"model": "tabnet", "method": method, "k": k, "precision": precision, "chance": 0.2}
            for method, precision in (("masks", 0.8), ("masks randomised", 0.2))
            for k in (5, 10)
        ]
    ).to_csv(folder / "record_truth.csv", index=False)
