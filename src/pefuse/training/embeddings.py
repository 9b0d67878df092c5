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
    """
    store = CellStore(run)
    models: dict[str, list[CellKey]] = {}
    for key in keys:
        if store.has_embedding(key):
            models.setdefault(key.model, []).append(key)
    for model, own in models.items():
        with atomic_file(run / "embeddings" / f"{model}.npz") as partial:
            np.savez_compressed(partial, allow_pickle=False, **_gathered(store, own))


def _gathered(store: CellStore, keys: Sequence[CellKey]) -> dict[str, np.ndarray]:
    tables = [store.predictions(key).assign(seed=key.seed, fold=key.fold) for key in keys]
    columns = {
        name: np.concatenate([table[name].to_numpy(kind) for table in tables])
        for name, kind in {"study_id": str, "split": str, "seed": np.int64, "fold": np.int64}.items()
    }
    return {**columns, "embedding": np.concatenate([store.vectors(key) for key in keys])}
