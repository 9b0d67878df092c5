"""Cells: one model on one fold with one seed, trained once and kept in `cells/<key>/`.

A cell's folder appears whole or not at all, so `kill -9` at any moment costs at most the cell at work. Its
manifest holds a digest of everything that decides its numbers, and the hash of each file; a finished cell is used
again only if all of it is still the same, and trained again otherwise.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from pefuse.errors import RunError
from pefuse.models.boosting import BoostedTrees
from pefuse.storage import atomic_folder, write_json

__all__ = ["CellKey", "CellResult", "CellStore", "Stages", "digest"]


@dataclass(frozen=True, kw_only=True, order=True)
class CellKey:
    """Which model, trained on which fold, from which seed.

    `part` is -1 for the fold itself. From 0 on: the fold's training part without this part of it, which the cell
    judges in the place of the test studies (late fusions that learn, where no other fold can give them their
    examples).
    """

    model: str
    seed: int
    fold: int
    part: int = -1

    def __str__(self) -> str:
        part = f"-part{self.part}" if self.part >= 0 else ""
        return f"{self.model}-seed{self.seed}-fold{self.fold}{part}"


@dataclass(frozen=True, kw_only=True)
class Stages:
    """What a network made of all cases at the start, in the middle and at the end of its training: (N, E) each.

    Rows are those of the predictions. `middle` is None where the first epoch was the best one; `middle_epoch`
    counts as `best_epoch` does.
    """

    start: NDArray[np.float32]
    middle: NDArray[np.float32] | None
    end: NDArray[np.float32]
    middle_epoch: int | None


@dataclass(frozen=True, kw_only=True)
class CellResult:
    """What training a cell gave.

    `predictions` has the columns study_id, split, logit, risk (training cases included). `embedding` holds, for
    all those cases in the same order, the vectors `(N, E)` that fusion starts from. `state` are the network's
    tensors, `description` what is needed to build it again (JSON). `history` has one row an epoch (or a round).
    `stages` are kept of one cell a model.
    """

    predictions: pd.DataFrame
    history: pd.DataFrame | None = None
    best_epoch: int | None = None
    trees: BoostedTrees | None = None
    embedding: NDArray[np.float32] | None = None
    stages: Stages | None = None
    state: dict[str, NDArray[Any]] | None = None
    description: dict[str, Any] | None = None
    importance: pd.DataFrame | None = None


class CellStore:
    """The cells of one run."""

    def __init__(self, run: Path) -> None:
        self.folder = run / "cells"

    def finished(self, key: CellKey, wanted_digest: str) -> bool:
        """Whether this very cell is there, undamaged: same model, fold, seed, settings and data."""
        folder = self.folder / str(key)
        try:
            manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            same = manifest["status"] == "finished" and manifest["digest"] == wanted_digest
            return bool(same and all(_sha256(folder / name) == known for name, known in manifest["files"].items()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def save(self, key: CellKey, result: CellResult, *, cell_digest: str, seconds: float) -> None:
        """Keep a finished cell; an older one of the same key gives way."""
        target = self.folder / str(key)
        if target.exists():
            shutil.rmtree(target)
        with atomic_folder(target) as folder:
            result.predictions.to_csv(folder / "predictions.csv", index=False)
            if result.history is not None:
                result.history.to_csv(folder / "history.csv", index=False)
            if result.trees is not None:
                result.trees.save(folder / "trees.json")
            if result.embedding is not None:
                _save_arrays({"embedding": result.embedding}, folder / "embedding.safetensors")
            if result.stages is not None:
                _save_arrays(_stage_arrays(result.stages), folder / "stages.safetensors")
            if result.state is not None:
                _save_arrays(result.state, folder / "model.safetensors")
            if result.description is not None:
                write_json(folder / "model.json", result.description)
            if result.importance is not None:
                result.importance.to_csv(folder / "importance.csv", index=False)
            write_json(
                folder / "manifest.json",
                {
                    "model": key.model,
                    "seed": key.seed,
                    "fold": key.fold,
                    "part": key.part,
                    "status": "finished",
                    "digest": cell_digest,
                    "seconds": round(seconds, 3),
                    "best_epoch": result.best_epoch,
                    "files": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
                },
            )

    def predictions(self, key: CellKey) -> pd.DataFrame:
        """Columns study_id, split, logit, risk."""
        return pd.read_csv(self._file(key, "predictions.csv"), dtype={"study_id": str})

    def embedding(self, key: CellKey) -> dict[str, NDArray[np.float32]]:
        """Each study's vector `(E,)`."""
        return dict(zip(self.predictions(key)["study_id"], self.vectors(key), strict=True))

    def vectors(self, key: CellKey) -> NDArray[np.float32]:
        """The embeddings `(N, E)`, in the order of `predictions`."""
        vectors: NDArray[np.float32] = load_file(self._file(key, "embedding.safetensors"))["embedding"]
        return vectors

    def has_embedding(self, key: CellKey) -> bool:
        """Whether the cell's model has an embedding: scores, trees and late fusion have none."""
        return (self.folder / str(key) / "embedding.safetensors").exists()

    def stages(self, key: CellKey) -> Stages | None:
        """The embeddings in the course of training; None where they were not kept."""
        path = self.folder / str(key) / "stages.safetensors"
        if not path.exists():
            return None
        arrays = load_file(path)
        middle = arrays.get("middle")
        epoch = int(arrays["middle_epoch"]) if middle is not None else None
        return Stages(start=arrays["start"], middle=middle, end=arrays["end"], middle_epoch=epoch)

    def description(self, key: CellKey) -> dict[str, Any]:
        """What is needed to build the model again, but its weights."""
        description: dict[str, Any] = json.loads(self._file(key, "model.json").read_text(encoding="utf-8"))
        return description

    def model(self, key: CellKey) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The network's description and tensors."""
        return self.description(key), load_file(self._file(key, "model.safetensors"))

    def trees(self, key: CellKey) -> BoostedTrees:
        """The fitted trees."""
        return BoostedTrees.load(self._file(key, "trees.json"))

    def collect(self, keys: Sequence[CellKey]) -> pd.DataFrame:
        """Predictions of all these cells, with the columns model, seed and fold added."""
        parts = [
            self.predictions(key).assign(model=key.model, seed=key.seed, fold=key.fold)
            for key in keys
            if (self.folder / str(key) / "predictions.csv").exists()
        ]
        return pd.concat(parts, ignore_index=True)

    def _file(self, key: CellKey, name: str) -> Path:
        path = self.folder / str(key) / name
        if not path.exists():
            raise RunError(f"Cell {key} lacks its {name}: remove the cell's folder and run again.")
        return path


def _stage_arrays(stages: Stages) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"start": stages.start, "end": stages.end}
    if stages.middle is not None:
        arrays |= {"middle": stages.middle, "middle_epoch": np.array(stages.middle_epoch, dtype=np.int64)}
    return arrays


def _save_arrays(arrays: Mapping[str, NDArray[Any]], path: Path) -> None:
    # Not `save_file`, whose files nobody but their owner may read.
    path.write_bytes(save({name: np.asarray(value, order="C") for name, value in arrays.items()}))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """A short hash of anything that JSON can hold."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]
