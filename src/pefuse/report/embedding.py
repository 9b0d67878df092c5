"""What networks made of the studies in the course of training, from `embeddings/<model>.npz`.

Of one fusion and the two encoders that it starts from, of the first fold and seed: in another fold or seed the
same numbers mean something else.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pefuse.errors import RunError
from pefuse.report.names import ABLATED, model_name, sorted_models
from pefuse.report.run_folder import RunFolder

__all__ = ["STAGES", "FollowedModel", "Stage", "encoder_names", "followed_models", "has_networks", "read_followed"]

STAGES = ("start", "middle", "end")
IMAGE_ENCODERS = {"intermediate-swin": "swin", "mbt": "swin"}  # of the other fusions: SANet
ENCODERS = ("sanet", "swin", "tabnet")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A network's vectors at one time of its training.

    `cases` has one row a study, in the order of `vectors` `(N, E)`: study_id, split, label. `epochs` were trained
    by then; None = not known. `unusable` counts studies left out, whose vector held what is no number.
    """

    name: str
    epochs: int | None
    cases: pd.DataFrame = field(repr=False)
    vectors: NDArray[np.float64] = field(repr=False)
    unusable: int = 0


@dataclass(frozen=True, kw_only=True)
class FollowedModel:
    """The stages that are known of one model, in one fold and from one seed; old runs know the end only."""

    model: str
    seed: int
    fold: int
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)


def has_networks(models: Sequence[str]) -> bool:
    """Whether one of the models has embeddings: scores, trees and late fusions have none."""
    return any(_has_embedding(name) for name in models)


def followed_models(models: Sequence[str], *, reference: str | None) -> list[str]:
    """An encoder of the scans, one of the records, and a fusion of both, as far as `models` has them.

    The fusion is the reference, or where that is none the first one in the order of Table 1.
    """
    fusions = [name for name in sorted_models(list(models)) if _is_fusion(name)]
    chosen = next((name for name in (reference, ABLATED, *fusions) if name in fusions), None)
    wanted = encoder_names(chosen) if chosen else _first_encoders(models)
    return [name for name in (*wanted, *([chosen] if chosen else [])) if name in models]


def encoder_names(fusion: str) -> tuple[str, str]:
    """The encoders of scan and record that a fusion starts from."""
    name = model_name(fusion)
    width = next((part for part in name.variant.split("-") if part.startswith("dim")), "")
    suffix = f"-{width}" if width else ""
    return f"{IMAGE_ENCODERS.get(name.base, 'sanet')}{suffix}", f"tabnet{suffix}"


def read_followed(run: RunFolder, folder: Path, model: str) -> FollowedModel | None:
    """The stages of a model; None where the run kept no embeddings of it.

    Raises:
        RunError: the file is damaged.
    """
    path = folder / "embeddings" / f"{model}.npz"
    if not path.is_file():
        return None
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return _followed(run, model, {name: file[name] for name in file.files})
    except (
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise RunError(f"The embeddings of {model_name(model).label} are damaged: run `compare` again.") from error


def _has_embedding(name: str) -> bool:
    return _is_fusion(name) or model_name(name).base in ENCODERS


def _is_fusion(name: str) -> bool:
    """Trees as a head learn no vector."""
    known = model_name(name)
    return known.family == "joint" and "xgboost" not in known.variant.split("-")


def _first_encoders(models: Sequence[str]) -> tuple[str, ...]:
    ordered = sorted_models([name for name in models if model_name(name).base in ENCODERS])
    scans = [name for name in ordered if model_name(name).modality == "ct"]
    records = [name for name in ordered if model_name(name).modality == "ehr"]
    return (*scans[:1], *records[:1])


def _followed(run: RunFolder, model: str, arrays: dict[str, NDArray[Any]]) -> FollowedModel:
    seed, fold = int(arrays["seed"][0]), int(arrays["fold"][0])
    own = (arrays["seed"] == seed) & (arrays["fold"] == fold)
    known = {"study_id": arrays["study_id"][own], "split": arrays["split"][own]}
    cases = pd.DataFrame({name: values.astype(str) for name, values in known.items()}).set_index("study_id")
    labels = run.predictions.drop_duplicates("study_id").set_index("study_id")["label"]
    cases["label"] = labels.reindex(cases.index)
    trained = {"start": 0, "middle": _middle(arrays), "end": _end(run, model, seed, fold)}
    stages = []
    for name in STAGES:
        ids, vectors = arrays.get(f"{name}_study_id"), arrays.get(f"{name}_embedding")
        if name == "end" and vectors is None:
            ids, vectors = arrays["study_id"][own], arrays["embedding"][own]
        if ids is not None and vectors is not None:
            stages.append(_stage(name, trained[name], cases, ids.astype(str), vectors.astype(np.float64)))
    return FollowedModel(model=model, seed=seed, fold=fold, stages=tuple(stages))


def _stage(
    name: str, epochs: int | None, known: pd.DataFrame, ids: NDArray[np.str_], vectors: NDArray[np.float64]
) -> Stage:
    if vectors.ndim != 2 or len(vectors) != len(ids) or vectors.shape[1] == 0:
        raise ValueError(f"vectors of the shape {vectors.shape} of {len(ids)} studies")
    cases = known.reindex(ids).rename_axis("study_id").reset_index()
    usable = np.isfinite(vectors).all(axis=1) & cases["label"].isin([0, 1]).to_numpy()
    return Stage(
        name=name,
        epochs=epochs,
        cases=cases[usable].reset_index(drop=True),
        vectors=vectors[usable],
        unusable=int((~usable).sum()),
    )


def _middle(arrays: dict[str, NDArray[Any]]) -> int | None:
    return int(arrays["middle_epoch"]) + 1 if "middle_epoch" in arrays else None


def _end(run: RunFolder, model: str, seed: int, fold: int) -> int | None:
    found = (cell.best_epoch for cell in run.cells if (cell.model, cell.seed, cell.fold) == (model, seed, fold))
    best = next(found, None)
    return None if best is None else best + 1
