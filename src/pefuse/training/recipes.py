"""How each kind of model of the zoo is trained on one fold: one function a kind, read top-down.

Every recipe gets the same fold data and returns a `CellResult` with logits and risks of all its cases. Logits of
networks that were trained with weighted deaths are moved back by ln(weight) (models.md 7.4), so that risks are
probabilities at the training fold's prevalence and not at one half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from pefuse.models.boosting import BoostedTrees
from pefuse.models.fusion import IntermediateFusion
from pefuse.models.late import WeightedAverage
from pefuse.models.sanet import SANet, SANetConfig
from pefuse.models.tabnet import TabNet, TabNetConfig
from pefuse.models.zoo import Kind, Row, model_row
from pefuse.training.cells import CellKey, CellResult, CellStore
from pefuse.training.config import RunConfig
from pefuse.training.data import Batch, CaseSource
from pefuse.training.folddata import SPLITS, FoldData
from pefuse.training.loop import LoopConfig, Task, positive_weight, predict_logits, train, weighted_bce

__all__ = ["RECIPES", "CellContext", "train_cell"]


@dataclass(frozen=True, kw_only=True)
class CellContext:
    """What a recipe may use: settings, the fold's data, finished cells, and the device."""

    config: RunConfig
    data: FoldData
    scores: pd.DataFrame  # clinical scores by study_id
    store: CellStore
    fabric: Fabric


def train_cell(key: CellKey, context: CellContext) -> CellResult:
    """Train one cell. The same key, settings and data give the same bits on a CPU."""
    row = model_row(key.model)
    # One stream a cell: what ran before in this process must not matter.
    torch.manual_seed(_cell_seed(key))
    return RECIPES[row.kind](row, key, context)


def _cell_seed(key: CellKey) -> int:
    return int(np.random.SeedSequence([key.seed, key.fold]).generate_state(1)[0])


# --- clinical scores ---------------------------------------------------------------------------------------------


def _score(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """Nothing is trained: points in place of a logit, the class's published mortality as the risk."""
    parts = []
    for split in SPLITS:
        ids = context.data.studies(split, scan=False, record=True)
        table = context.scores.loc[list(ids)]
        known = table[f"{row.name}_points"].notna()
        parts.append(
            pd.DataFrame(
                {
                    "study_id": table.index[known],
                    "split": split,
                    "logit": table.loc[known, f"{row.name}_points"].to_numpy(dtype=float),
                    "risk": table.loc[known, f"{row.name}_risk"].to_numpy(dtype=float),
                }
            )
        )
    return CellResult(predictions=pd.concat(parts, ignore_index=True))


# --- boosted trees -----------------------------------------------------------------------------------------------


def _trees(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """XGBoost on unscaled features, missing values left missing; stopped early on validation."""
    data = context.data
    ids = {split: data.studies(split, scan=False, record=True) for split in SPLITS}
    values = {split: data.features(ids[split], scaled=False) for split in SPLITS}
    trees = BoostedTrees(context.config.xgboost)
    trees.fit(
        values["train"].values,
        data.label_array(ids["train"]),
        values["validation"].values,
        data.label_array(ids["validation"]),
        seed=_cell_seed(key),
        threads=torch.get_num_threads(),
    )
    logits = {split: trees.logits(values[split].values) for split in SPLITS}
    return CellResult(
        predictions=_predictions(ids, logits),
        importance=_importance(values["train"].names, trees.importance()),
    )


# --- single-modality networks ------------------------------------------------------------------------------------


def _scan(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """SANet from scratch on the scans."""
    settings = context.config.sanet
    module = SANet(settings.network).to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    task = Task(
        loss=lambda net, batch, weight: weighted_bce(net(batch.image).logit, batch.label, weight),
        logit=lambda net, batch: net(batch.image).logit,
    )
    sources = {
        split: context.data.source(split, scan=True, record=False, augmentation=settings.augmentation)
        for split in SPLITS
    }
    return _train_encoder(
        module, task, sources, settings.loop, key, context,
        embed=lambda net, batch: net(batch.image).embedding,
        description={
            "architecture": "sanet",
            "network": asdict(settings.network),
            "scan": asdict(context.data.normalisation),
        },
    )  # fmt: skip


def _record(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """TabNet on the scaled features."""
    settings = context.config.tabnet
    sources = {split: context.data.source(split, scan=False, record=True) for split in SPLITS}
    width = sources["train"].ehr.shape[1]  # type: ignore[union-attr]
    network = replace(settings.network, input_dim=width)
    module = TabNet(network)

    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.ehr)
        # The sparsity term is a negative entropy: subtracting it asks for few features a step.
        return weighted_bce(output.logit, batch.label, weight) - settings.sparsity_weight * output.sparsity_loss

    task = Task(loss=loss, logit=lambda net, batch: net(batch.ehr).logit)
    result = _train_encoder(
        module, task, sources, settings.loop, key, context,
        embed=lambda net, batch: net(batch.ehr).embedding,
        description={
            "architecture": "tabnet",
            "network": asdict(network),
            "record": context.data.preparation.to_json(),
        },
    )  # fmt: skip
    names = [column.name for column in context.data.preparation.columns]
    return replace(result, importance=_importance(names, _mask_importance(module, sources["test"])))


def _train_encoder(
    module: nn.Module,
    task: Task,
    sources: dict[str, CaseSource],
    loop: LoopConfig,
    key: CellKey,
    context: CellContext,
    *,
    embed: Callable[[nn.Module, Batch], Tensor],
    description: dict[str, object],
) -> CellResult:
    history = train(
        module,
        task,
        training=sources["train"],
        validation=sources["validation"],
        config=loop,
        seed=_cell_seed(key),
        fabric=context.fabric,
    )
    shift = math.log(positive_weight(sources["train"].labels))
    module.to(context.fabric.device)
    logits = {
        split: predict_logits(module, task, source, fabric=context.fabric, batch_size=loop.batch_size) - shift
        for split, source in sources.items()
    }
    embedding_task = replace(task, logit=embed)
    vectors = [
        predict_logits(module, embedding_task, source, fabric=context.fabric, batch_size=loop.batch_size)
        for source in sources.values()
    ]
    ids = {split: source.study_ids for split, source in sources.items()}
    return CellResult(
        predictions=_predictions(ids, logits),
        history=history,
        embedding=np.concatenate(vectors),
        state=_state(module),
        description={**description, "logit_shift": shift},
    )


def _mask_importance(module: TabNet, source: CaseSource) -> NDArray[np.float64]:
    """TabNet's own importance `(D,)`: masks weighted by each step's share in the decision, summed over cases."""
    module.eval()
    with torch.inference_mode():
        total = sum(module.importance(module(batch.ehr)).double().sum(0) for batch in source.batches(256))
    values: NDArray[np.float64] = total.numpy()  # type: ignore[union-attr]
    return values / max(values.sum(), 1e-12)


# --- fusion ------------------------------------------------------------------------------------------------------


def _late(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """Average of the single modalities' risks; the weights are fitted on the validation part."""
    members = [
        context.store.predictions(replace(key, model=need)).set_index("study_id") for need in row.needs
    ]
    ids = {split: context.data.studies(split, scan=True, record=True) for split in SPLITS}
    risks = {
        split: np.stack([member.loc[list(ids[split]), "risk"].to_numpy() for member in members], axis=1)
        for split in SPLITS
    }
    average = WeightedAverage().fit(risks["validation"], context.data.label_array(ids["validation"]))
    fused = {split: np.clip(average.predict(risks[split]), 1e-7, 1 - 1e-7) for split in SPLITS}
    logits = {split: np.log(risk / (1 - risk)).astype(np.float32) for split, risk in fused.items()}
    return CellResult(
        predictions=_predictions(ids, logits),
        description={"architecture": "late-average", "members": list(row.needs), **average.to_json()},
    )


def _intermediate(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """Both encoders' embeddings, reduced, into a TabNet head; then, where asked, everything end to end."""
    raise RuntimeError


# --- shared ------------------------------------------------------------------------------------------------------


def _predictions(
    ids: dict[str, tuple[str, ...]], logits: dict[str, NDArray[np.float32]]
) -> pd.DataFrame:
    return pd.concat(
        [
            pd.DataFrame(
                {"study_id": ids[split], "split": split, "logit": logits[split], "risk": expit(logits[split])}
            )
            for split in SPLITS
        ],
        ignore_index=True,
    )


def _importance(names: Sequence[str], values: NDArray[np.float64]) -> pd.DataFrame:
    """Features that were used at all, most important first."""
    table = pd.DataFrame({"feature": names, "importance": values})
    return table[table["importance"] > 0].sort_values("importance", ascending=False, kind="stable")


def _state(module: nn.Module) -> dict[str, NDArray[np.generic]]:
    return {name: value.detach().cpu().numpy() for name, value in module.state_dict().items()}


RECIPES: dict[Kind, Callable[[Row, CellKey, CellContext], CellResult]] = {
    "score": _score,
    "trees": _trees,
    "record": _record,
    "scan": _scan,
    "late": _late,
    "intermediate": _intermediate,
}
