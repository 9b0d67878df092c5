"""`embeddings/<model>.npz`: what each model makes of each study, gathered from its cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pefuse.storage import atomic_file
from pefuse.training.cells import CellKey, CellStore

__all__ = ["write_embeddings"]


def write_embeddings(run: Path, keys: Iterable[CellKey]) -> None:
    """Write a file for each model that has embeddings: one row a study, seed and fold, training studies too.

    Its arrays: `study_id`, `split` (text), `seed`, `fold` (int64) of N rows, and `embedding` `(N, E)` float32. The
    spaces of two folds or seeds are not the same: compare rows within one.

    Of networks the cases of the first rows' seed and fold once more, in the course of training: `start_study_id`,
    `start_embedding`, and so with `middle` and `end` (docs/models.md). They are absent where the cell did not keep
    them, those of the middle where the first epoch was the best one. `middle_epoch` counts from 0.
    """
    store = CellStore(run)
    models: dict[str, list[CellKey]] = {}
    for key in keys:
        if store.has_embedding(key):
            models.setdefault(key.model, []).append(key)
    for model, own in models.items():
        with atomic_file(run / "embeddings" / f"{model}.npz") as partial:
            np.savez_compressed(partial, allow_pickle=False, **_gathered(store, own), **_stages(store, own[0]))


def _gathered(store: CellStore, keys: Sequence[CellKey]) -> dict[str, np.ndarray]:
    tables = [store.predictions(key).assign(seed=key.seed, fold=key.fold) for key in keys]
    columns = {
        name: np.concatenate([table[name].to_numpy(kind) for table in tables])
        for name, kind in {"study_id": str, "split": str, "seed": np.int64, "fold": np.int64}.items()
    }
    return {**columns, "embedding": np.concatenate([store.vectors(key) for key in keys])}


def _stages(store: CellStore, key: CellKey) -> dict[str, np.ndarray]:
    stages = store.stages(key)
    if stages is None:
        return {}
    ids = store.predictions(key)["study_id"].to_numpy(str)
    known = {"start": stages.start, "middle": stages.middle, "end": stages.end}
    arrays: dict[str, np.ndarray] = {}
    for name, vectors in known.items():
        if vectors is not None:
            arrays |= {f"{name}_study_id": ids, f"{name}_embedding": vectors}
    if stages.middle_epoch is not None:
        arrays["middle_epoch"] = np.array(stages.middle_epoch, dtype=np.int64)
    return arrays
