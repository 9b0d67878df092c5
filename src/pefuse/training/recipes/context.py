"""What a recipe may use, and how what it gives is put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from pefuse.ehr import ScoreValues
from pefuse.training.cells import CellKey, CellResult, CellStore
from pefuse.training.config import RunConfig
from pefuse.training.data import Batch, CaseSource
from pefuse.training.folddata import SPLITS, FoldData
from pefuse.training.loop import History, predict, train
from pefuse.training.recipes.stages import stages_of
from pefuse.training.snapshots import Snapshots

__all__ = [
    "CellContext",
    "Embed",
    "cell_seed",
    "importance_table",
    "network_result",
    "predictions_table",
    "train_on",
]

Embed = Callable[[nn.Module, Batch], tuple[Tensor, Tensor]]  # a batch's logits (B,) and embeddings (B, E)


@dataclass(frozen=True, kw_only=True)
class CellContext:
    """What a recipe may use: settings, the fold's data, finished cells, and the device."""

    config: RunConfig
    data: FoldData
    scores: ScoreValues | None  # what clinical scores are counted from
    store: CellStore
    fabric: Fabric
    out_of_fold: Mapping[str, Sequence[CellKey]]  # by need: cells whose held-out studies cover the training part
    pretrained: Path | None = None  # Swin's
    followed: bool = False  # embeddings of the start and the middle of training are kept too

    def snapshots(self) -> Snapshots | None:
        """For the training of one network; None where it is not followed."""
        return Snapshots() if self.followed else None


def cell_seed(key: CellKey) -> int:
    """Of everything random in a cell."""
    parts = [key.seed, key.fold] if key.part < 0 else [key.seed, key.fold, key.part]
    return int(np.random.SeedSequence(parts).generate_state(1)[0])


def train_on(
    module: nn.Module, sources: Mapping[str, CaseSource], key: CellKey, context: CellContext, **settings: Any
) -> History:
    """Train on the fold's training part, watched by its validation part."""
    return train(
        module,
        training=sources["train"],
        validation=sources["validation"],
        seed=cell_seed(key),
        fabric=context.fabric,
        **settings,
    )


def network_result(
    module: nn.Module,
    sources: Mapping[str, CaseSource],
    context: CellContext,
    *,
    embed: Embed,
    shift: float,
    history: History,
    batch_size: int,
    state: dict[str, NDArray[Any]],
    description: dict[str, object],
    snapshots: Snapshots | None = None,
) -> CellResult:
    """Logits and embeddings of all cases, in one pass; with `snapshots` those of earlier weights too."""

    def both(net: nn.Module, batch: Batch) -> Tensor:
        logit, embedding = embed(net, batch)
        return torch.cat([logit[:, None], embedding], dim=1)

    outputs = {
        split: predict(module, both, source, fabric=context.fabric, batch_size=batch_size)
        for split, source in sources.items()
    }
    embedding = np.concatenate([output[:, 1:] for output in outputs.values()])
    stages = None if snapshots is None else stages_of(
        module, sources,
        vectors=lambda net, batch: embed(net, batch)[1],
        snapshots=snapshots,
        best_epoch=history.best_epoch,
        end=embedding,
        fabric=context.fabric,
        batch_size=batch_size,
    )  # fmt: skip
    return CellResult(
        predictions=predictions_table(
            {split: source.study_ids for split, source in sources.items()},
            {split: output[:, 0] - shift for split, output in outputs.items()},
        ),
        history=history_table(history),
        best_epoch=history.best_epoch,
        embedding=embedding,
        stages=stages,
        state=state,
        description={**description, "logit_shift": shift},
    )


def history_table(history: History) -> pd.DataFrame:
    """One row an epoch."""
    return pd.DataFrame([asdict(epoch) for epoch in history.epochs])


def predictions_table(
    ids: Mapping[str, tuple[str, ...]], logits: Mapping[str, NDArray[np.floating]]
) -> pd.DataFrame:
    """Columns study_id, split, logit, risk of all parts of a fold."""
    return pd.concat(
        [
            pd.DataFrame(
                {"study_id": ids[split], "split": split, "logit": logits[split], "risk": expit(logits[split])}
            )
            for split in SPLITS
        ],
        ignore_index=True,
    )


def importance_table(names: Sequence[str], values: NDArray[np.float64]) -> pd.DataFrame:
    """Features that were used at all, most important first."""
    table = pd.DataFrame({"feature": names, "importance": values})
    return table[table["importance"] > 0].sort_values("importance", ascending=False, kind="stable")
