"""Models in a table: their order, the names that people read, and what the paper reported for them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal

import pandas as pd

__all__ = [
    "ABLATED",
    "CLINICAL_SCORES",
    "Family",
    "Modality",
    "ModelName",
    "model_name",
    "published_table1",
    "published_table2",
    "published_table3",
    "sorted_models",
    "variant_label",
]

Family = Literal["score", "single", "late", "joint", "ideal", "other"]
Modality = Literal["ct", "ehr", "both"]

CLINICAL_SCORES = frozenset({"pesi", "spesi"})
ABLATED = "intermediate-sanet"  # the model that Table 3 takes apart


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """How a model is shown; `modality` is what it sees, `rank` its place in a table.

    `variant` is what follows the base's name, such as "nmf" or "fc-dim256"; "" for the base itself.
    """

    name: str
    label: str
    family: Family
    modality: Modality
    rank: int
    base: str = ""
    variant: str = ""


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
_SPELLED = {
    "none": "no reduction",
    "pca": "PCA",
    "sparse-pca": "sparse PCA",
    "nmf": "NMF",
    "mlle": "modified LLE",
    "spectral": "spectral embedding",
    "bilinear": "bilinear attention",
    "tabnet": "TabNet head",
    "fc": "FC layer",
    "cnn1d": "1D-CNN",
    "xgboost": "XGBoost head",
    "dim64": "d = 64",
    "dim256": "d = 256",
    "dim1024": "d = 1024",
}


def model_name(name: str) -> ModelName:
    """A model's place and label. A variant stands behind its base (`intermediate-sanet-pca`), a stranger last."""
    fitting = [rank for rank, row in enumerate(_KNOWN) if name == row[0] or name.startswith(f"{row[0]}-")]
    if not fitting:
        return ModelName(name=name, label=name, family="other", modality="both", rank=len(_KNOWN))
    rank = max(fitting, key=lambda index: len(_KNOWN[index][0]))
    base, label, family, modality = _KNOWN[rank]
    variant = name.removeprefix(base).removeprefix("-")
    if variant:
        label += ", " + variant_label(variant)
    return ModelName(
        name=name, label=label, family=family, modality=modality, rank=rank, base=base, variant=variant
    )


def variant_label(variant: str) -> str:
    """`sparse-pca-fc` as people read it."""
    words, rest = [], variant
    while rest:
        known = [word for word in _SPELLED if rest == word or rest.startswith(f"{word}-")]
        word = max(known, key=len) if known else rest.split("-")[0]
        words.append(_SPELLED.get(word, word))
        rest = rest.removeprefix(word).removeprefix("-")
    return ", ".join(words)


def sorted_models(names: list[str]) -> list[str]:
    """Names in the order of a table: the paper's, variants behind their base, strangers last, by name."""
    return sorted(set(names), key=lambda name: (model_name(name).rank, name))


@cache
def published_table1() -> pd.DataFrame:
    """Table 1 of Cahan et al. 2023, indexed by model; its confusion matrices rebuilt from 10 deaths among 72."""
    return _published("published_table1.csv").set_index("model")


@cache
def published_table2() -> pd.DataFrame:
    """Its Table 2, AUCs indexed by model and subgroup; the multimodal model is `intermediate-sanet`."""
    return _published("published_table2.csv").set_index(["model", "group"])


@cache
def published_table3() -> pd.DataFrame:
    """Its Table 3, indexed by variant; `significant` 1 = marked there (Kolmogorov-Smirnov)."""
    return _published("published_table3.csv").set_index("variant")


def _published(name: str) -> pd.DataFrame:
    with resources.as_file(resources.files("pefuse.report") / name) as path:
        return pd.read_csv(path)
