"""How each kind of model of the zoo is trained on one fold: one function a kind, read top-down.

Every recipe gets the same fold data and returns a `CellResult` with logits and risks of all its cases. Logits of
networks that were trained with weighted deaths are moved back by ln(weight), so that risks are
probabilities at the training fold's prevalence and not at one half.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import cast

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor, nn

from pefuse.models.boosting import BoostedTrees
from pefuse.models.config import config_to_json
from pefuse.models.fusion import EndToEndFusion, IntermediateConfig, IntermediateFusion
from pefuse.models.late import WeightedAverage
from pefuse.models.reduction import PcaConfig, PcaReduction
from pefuse.models.restore import network_arrays, restore_sanet, restore_tabnet
from pefuse.models.sanet import SANet
from pefuse.models.screening import screen_columns
from pefuse.models.tabnet import TabNet, importance, with_frozen_statistics
from pefuse.models.zoo import Kind, Row, model_row
from pefuse.training.cells import CellKey, CellResult, CellStore
from pefuse.training.config import Intermediate, RunConfig
from pefuse.training.data import Batch, CaseSource
from pefuse.training.folddata import SPLITS, FoldData
from pefuse.training.loop import History, LoopConfig, Task, positive_weight, predict, train, weighted_bce

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
    """Train one cell. The same key, settings and data give the same bits on a CPU.

    Raises:
        RunError: too few studies of the fold have what the model takes.
    """
    row = model_row(key.model)
    if row.kind != "score":
        context.data.check_enough(scan=row.scan, record=row.record)
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
    config = replace(context.config.xgboost, seed=_cell_seed(key), threads=torch.get_num_threads())
    trees = BoostedTrees(config).fit(
        values["train"].values,
        data.label_array(ids["train"]),
        validation=(values["validation"].values, data.label_array(ids["validation"])),
    )
    logits = {split: trees.predict_logit(values[split].values) for split in SPLITS}
    rounds = {
        "train_loss": trees.training_loss,
        "validation_loss": trees.validation_loss,
        "validation_auc": trees.validation_auc,
    }
    return CellResult(
        predictions=_predictions(ids, logits),
        history=pd.DataFrame(rounds).rename_axis("epoch").reset_index(),
        best_epoch=trees.rounds_kept - 1,
        trees=trees,
        description={"architecture": "boosted-trees", "record": data.preparation.to_json()},
        importance=_importance(values["train"].names, trees.gain()),
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
        embed=_image_embedding,
        description={
            "architecture": "sanet",
            "network": config_to_json(settings.network),
            "scan": asdict(context.data.normalisation),
        },
    )  # fmt: skip


def _record(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """TabNet on the scaled features that pass the screening."""
    settings = context.config.tabnet
    sources = {split: context.data.source(split, scan=False, record=True) for split in SPLITS}
    columns = screen_columns(_ehr(sources["train"]), sources["train"].labels, keep=settings.screen)
    sources = _screened(sources, columns, dropout=settings.dropout)
    network = replace(settings.network, input_dim=len(columns))
    module = TabNet(network)

    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.ehr)
        task_loss = weighted_bce(output.logit, batch.label, weight)
        return task_loss + settings.sparsity_weight * cast(Tensor, output.sparsity_loss)

    task = Task(loss=loss, logit=lambda net, batch: net(batch.ehr).logit)
    result = _train_encoder(
        module, task, sources, settings.loop, key, context,
        embed=_record_embedding,
        description={
            "architecture": "tabnet",
            "network": config_to_json(network),
            "record": context.data.preparation.to_json(),
            "columns": columns.tolist(),
        },
    )  # fmt: skip
    names = [context.data.preparation.columns[column].name for column in columns]
    return replace(result, importance=_importance(names, _mask_importance(module, sources["test"])))


def _image_embedding(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    output = net(batch.image)
    return output.logit, output.embedding


def _record_embedding(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    output = net(batch.ehr)
    return output.logit, output.embedding


def _ehr(source: CaseSource) -> NDArray[np.float32]:
    assert source.ehr is not None
    return source.ehr


def _screened(
    sources: dict[str, CaseSource], columns: NDArray[np.intp], *, dropout: float
) -> dict[str, CaseSource]:
    return {
        split: replace(source, ehr=_ehr(source)[:, columns], ehr_dropout=dropout)
        for split, source in sources.items()
    }


def _train_encoder(
    module: nn.Module,
    task: Task,
    sources: dict[str, CaseSource],
    loop: LoopConfig,
    key: CellKey,
    context: CellContext,
    *,
    embed: Callable[[nn.Module, Batch], tuple[Tensor, Tensor]],
    description: dict[str, object],
) -> CellResult:
    history = _train_on(module, task, sources, loop, key, context)
    shift = math.log(positive_weight(sources["train"].labels))
    return _network_result(module, sources, embed, shift, history, loop, context, description)


def _network_result(
    module: nn.Module,
    sources: dict[str, CaseSource],
    embed: Callable[[nn.Module, Batch], tuple[Tensor, Tensor]],
    shift: float,
    history: History,
    loop: LoopConfig,
    context: CellContext,
    description: dict[str, object],
) -> CellResult:
    """Logits and embeddings of all cases in one pass; `embed` gives both of a batch, `(B,)` and `(B, E)`."""

    def both(net: nn.Module, batch: Batch) -> Tensor:
        logit, embedding = embed(net, batch)
        return torch.cat([logit[:, None], embedding], dim=1)

    outputs = {
        split: predict(module, both, source, fabric=context.fabric, batch_size=loop.batch_size)
        for split, source in sources.items()
    }
    return CellResult(
        predictions=_predictions(
            {split: source.study_ids for split, source in sources.items()},
            {split: output[:, 0] - shift for split, output in outputs.items()},
        ),
        history=pd.DataFrame([asdict(epoch) for epoch in history.epochs]),
        best_epoch=history.best_epoch,
        embedding=np.concatenate([output[:, 1:] for output in outputs.values()]),
        state=network_arrays(module),
        description={**description, "logit_shift": shift},
    )


def _train_on(
    module: nn.Module,
    task: Task,
    sources: dict[str, CaseSource],
    loop: LoopConfig,
    key: CellKey,
    context: CellContext,
    *,
    learning_rates: Sequence[tuple[list[nn.Parameter], float]] | None = None,
) -> History:
    return train(
        module,
        task,
        training=sources["train"],
        validation=sources["validation"],
        config=loop,
        seed=_cell_seed(key),
        fabric=context.fabric,
        learning_rates=learning_rates,
    )


def _mask_importance(module: TabNet, source: CaseSource) -> NDArray[np.float64]:
    """TabNet's own importance `(D,)`: masks weighted by each step's share in the decision, summed over cases."""
    module.eval()
    with torch.inference_mode():
        shares = [importance(module(batch.ehr)) for batch in source.batches(256)]
    values: NDArray[np.float64] = torch.cat(shares).double().mean(dim=0).numpy()
    return values


# --- fusion ------------------------------------------------------------------------------------------------------


def _late(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """Average of the single modalities' risks; the weights are fitted on the validation part."""
    members = [context.store.predictions(replace(key, model=need)).set_index("study_id") for need in row.needs]
    ids = {split: context.data.studies(split, scan=True, record=True) for split in SPLITS}
    risks = {
        split: np.stack([member.loc[list(ids[split]), "risk"].to_numpy() for member in members], axis=1)
        for split in SPLITS
    }
    average = WeightedAverage(row.needs).fit(risks["validation"], context.data.label_array(ids["validation"]))
    return CellResult(
        predictions=_predictions(ids, {split: average.predict_logit(risks[split]) for split in SPLITS}),
        description={"architecture": "late-average", **average.to_json()},
    )


def _intermediate(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """Both encoders' embeddings, reduced, into a TabNet head; then, where asked, everything end to end."""
    settings = context.config.intermediate
    fusion = IntermediateFusion(_fusion_config(row, settings, context.store, key))
    vectors = _embedding_sources(row, key, context)
    _fit_reduction(fusion, vectors["train"])
    history = _train_on(fusion, _fusion_task(settings), vectors, settings.loop, key, context)
    shift = math.log(positive_weight(vectors["train"].labels))
    if settings.end_to_end is None or fusion.config.reduction == "pca":
        return _fused_result(fusion, vectors, shift, history, settings.loop, context)
    return _end_to_end(row, key, context, fusion, shift)


def _fusion_config(row: Row, settings: Intermediate, store: CellStore, key: CellKey) -> IntermediateConfig:
    """The widths are those of the embeddings that the single modalities have."""
    widths = [len(next(iter(store.embedding(replace(key, model=need)).values()))) for need in row.needs]
    reduction = row.options.get("reduction", settings.network.reduction)
    config = replace(settings.network, image_dim=widths[0], ehr_dim=widths[1], reduction=reduction, head=None)  # type: ignore[arg-type]
    return replace(config, head=replace(settings.head, input_dim=config.fused_dim))


def _embedding_sources(row: Row, key: CellKey, context: CellContext) -> dict[str, CaseSource]:
    """The single modalities' embeddings as cases."""
    image, ehr = (context.store.embedding(replace(key, model=need)) for need in row.needs)
    sources = {}
    for split in SPLITS:
        ids = context.data.studies(split, scan=True, record=True)
        sources[split] = CaseSource(
            study_ids=ids,
            labels=context.data.label_array(ids),
            image_vectors=np.stack([image[study_id] for study_id in ids]),
            ehr=np.stack([ehr[study_id] for study_id in ids]),
        )
    return sources


def _fit_reduction(fusion: IntermediateFusion, training: CaseSource) -> None:
    """Normalisation and PCA, on the training part only."""
    batch = training.batch(np.arange(len(training)))
    fusion.fit_normalisation(batch.image, batch.ehr)
    if fusion.config.reduction == "pca":
        with torch.no_grad():
            rows = fusion.normalised(batch.image, batch.ehr).numpy()
        reducer = PcaReduction(PcaConfig(components=fusion.config.components)).fit(rows)
        fusion.set_reduction(reducer)


def _fusion_task(settings: Intermediate) -> Task:
    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.image, batch.ehr, batch.has_image, batch.has_ehr)
        task_loss = weighted_bce(output.logit, batch.label, weight)
        return task_loss + settings.sparsity_weight * cast(Tensor, output.sparsity_loss)

    return Task(
        loss=loss, logit=lambda net, batch: net(batch.image, batch.ehr, batch.has_image, batch.has_ehr).logit
    )


def _end_to_end(
    row: Row, key: CellKey, context: CellContext, fusion: IntermediateFusion, shift: float
) -> CellResult:
    """From the trained encoders and the settled head on, all weights learn; each modality keeps its own loss."""
    settings = context.config.intermediate
    assert settings.end_to_end is not None
    (scan, scan_state), (record, record_state) = (context.store.model(replace(key, model=n)) for n in row.needs)
    image, ehr = restore_sanet(scan["network"], scan_state), restore_tabnet(record["network"], record_state)
    # A batch of scans is small (the paper's is 2): too small for the TabNets' batch statistics.
    ehr, fusion.head = with_frozen_statistics(ehr), with_frozen_statistics(fusion.head)
    module = EndToEndFusion(image, ehr, fusion)
    sources = {
        split: context.data.source(split, scan=True, record=True, augmentation=context.config.sanet.augmentation)
        for split in SPLITS
    }
    sources = _screened(sources, np.array(record["columns"]), dropout=context.config.tabnet.dropout)
    task = _end_to_end_task(settings)
    rates = [
        ([*image.parameters(), *ehr.parameters()], settings.encoder_rate),
        (list(fusion.parameters()), 1.0),
    ]
    history = _train_on(module, task, sources, settings.end_to_end, key, context, learning_rates=rates)
    return _fused_result(module, sources, shift, history, settings.end_to_end, context)


def _end_to_end_task(settings: Intermediate) -> Task:
    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.image, batch.ehr, batch.has_image, batch.has_ehr)
        fused = weighted_bce(output.logit, batch.label, weight)
        single = _present_bce(output.image_logit, batch.has_image, batch, weight)
        single = single + _present_bce(output.ehr_logit, batch.has_ehr, batch, weight)
        sparse = output.fusion.sparsity_loss + output.ehr.sparsity_loss
        total: Tensor = fused + settings.auxiliary_weight * single + settings.sparsity_weight * sparse
        return total

    return Task(
        loss=loss, logit=lambda net, batch: net(batch.image, batch.ehr, batch.has_image, batch.has_ehr).logit
    )


def _present_bce(logit: Tensor, present: Tensor, batch: Batch, weight: Tensor) -> Tensor:
    """The loss of one modality's own logit, over the cases that have it."""
    return weighted_bce(logit[present], batch.label[present], weight) if present.any() else logit.new_zeros(())


def _fused_result(
    module: nn.Module,
    sources: dict[str, CaseSource],
    shift: float,
    history: History,
    loop: LoopConfig,
    context: CellContext,
) -> CellResult:
    """The embedding of a fusion is the vector that its head sees."""
    fusion = module.fusion if isinstance(module, EndToEndFusion) else module
    assert isinstance(fusion, IntermediateFusion)
    description: dict[str, object] = {
        "architecture": "intermediate" if module is fusion else "end-to-end",
        "network": config_to_json(fusion.config),
    }
    return _network_result(module, sources, _fused, shift, history, loop, context, description)


def _fused(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    output = net(batch.image, batch.ehr, batch.has_image, batch.has_ehr)
    return output.logit, (output.fusion.fused if isinstance(net, EndToEndFusion) else output.fused)


# --- shared ------------------------------------------------------------------------------------------------------


def _predictions(ids: dict[str, tuple[str, ...]], logits: Mapping[str, NDArray[np.floating]]) -> pd.DataFrame:
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


RECIPES: dict[Kind, Callable[[Row, CellKey, CellContext], CellResult]] = {
    "score": _score,
    "trees": _trees,
    "record": _record,
    "scan": _scan,
    "late": _late,
    "intermediate": _intermediate,
}
