"""Models in a table: their order, the names that people read, and what the paper reported for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import pandas as pd

__all__ = ["CLINICAL_SCORES", "Family", "Modality", "ModelName", "model_name", "published", "sorted_models"]

Family = Literal["score", "single", "late", "joint", "ideal", "other"]
Modality = Literal["ct", "ehr", "both"]

CLINICAL_SCORES = frozenset({"pesi", "spesi"})


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """How a model is shown; `modality` is what it sees, `rank` its place in a table."""

    name: str
    label: str
    family: Family
    modality: Modality
    rank: int


_KNOWN: tuple[tuple[str, str, Family, Modality], ...] = (
    ("pesi", "PESI", "score", "ehr"),
    ("spesi", "sPESI", "score", "ehr"),
    ("xgboost", "XGBoost (record)", "single", "ehr"),
    ("tabnet", "TabNet (record)", "single", "ehr"),
    ("sanet", "SANet (scan)", "single", "ct"),
    ("swin", "Swin UNETR (scan)", "single", "ct"),
    ("late-average", "Late average", "late", "both"),
    ("late-vote", "Late vote", "late", "both"),
    ("late-tabnet", "Late TabNet", "late", "both"),
    ("late-xgboost", "Late XGBoost", "late", "both"),
    ("early", "Early fusion", "joint", "both"),
    ("intermediate-sanet", "Intermediate SANet", "joint", "both"),
    ("intermediate-swin", "Intermediate Swin", "joint", "both"),
    ("mbt", "MBT", "joint", "both"),
    ("ideal-ct", "Ideal (scan)", "ideal", "ct"),
    ("ideal-ehr", "Ideal (record)", "ideal", "ehr"),
    ("ideal-both", "Ideal (both)", "ideal", "both"),
)
_SPELLED = {"pca": "PCA", "nmf": "NMF", "mlle": "MLLE", "fc": "FC", "cnn1d": "1D-CNN", "xgboost": "XGBoost"}


def model_name(name: str) -> ModelName:
    """A model's place and label. A variant stands behind its base (`intermediate-sanet-pca`), a stranger last."""
    fitting = [rank for rank, row in enumerate(_KNOWN) if name == row[0] or name.startswith(f"{row[0]}-")]
    if not fitting:
        return ModelName(name=name, label=name, family="other", modality="both", rank=len(_KNOWN))
    rank = max(fitting, key=lambda index: len(_KNOWN[index][0]))
    base, label, family, modality = _KNOWN[rank]
    variant = name.removeprefix(base).removeprefix("-")
    if variant:
        label += ", " + " ".join(_SPELLED.get(word, word) for word in variant.split("-"))
    return ModelName(name=name, label=label, family=family, modality=modality, rank=rank)


def sorted_models(names: list[str]) -> list[str]:
    """Names in the order of a table: the paper's, variants behind their base, strangers last, by name."""
    return sorted(set(names), key=lambda name: (model_name(name).rank, name))


@cache
def published() -> pd.DataFrame:
    """Table 1 of Cahan et al. 2023, indexed by model; its confusion matrices rebuilt from 10 deaths among 72."""
    with resources.as_file(resources.files("pefuse.report") / "published.csv") as path:
        return pd.read_csv(path).set_index("model")
