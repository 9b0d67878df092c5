"""The single modalities' networks: SANet or Swin on the scans, TabNet on the record. Fusion starts from them."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.models.config import config_to_json
from pefuse.models.restore import network_arrays
from pefuse.models.sanet import SANet
from pefuse.models.scan_normalisation import ScanNormalisation
from pefuse.models.screening import screen_columns
from pefuse.models.swin import Swin, SwinConfig
from pefuse.models.swin_pretrained import PRETRAINED_WINDOW_HU, load_pretrained
from pefuse.models.tabnet import TabNet, importance
from pefuse.models.zoo import Row
from pefuse.training.cells import CellKey, CellResult
from pefuse.training.config import SanetSettings, SwinSettings
from pefuse.training.data import Batch, CaseSource
from pefuse.training.folddata import SPLITS
from pefuse.training.loop import Task, positive_weight, weighted_bce
from pefuse.training.recipes.context import (
    CellContext,
    importance_table,
    network_result,
    train_on,
)

__all__ = ["hide_columns", "train_record", "train_scan"]


def train_scan(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """An image encoder on the scans: from scratch, or Swin from a pretrained file."""
    settings: SanetSettings | SwinSettings = getattr(context.config, row.base)
    module, normalisation = _scan_network(row, settings, context)
    sources = {
        split: context.data.source(
            split, scan=True, record=False, augmentation=settings.augmentation, normalisation=normalisation
        )
        for split in SPLITS
    }
    task = Task(
        loss=lambda net, batch, weight: weighted_bce(net(batch.image).logit, batch.label, weight),
        logit=lambda net, batch: net(batch.image).logit,
    )
    snapshots = context.snapshots()
    history = train_on(module, sources, key, context, task=task, config=settings.loop, snapshots=snapshots)
    return network_result(
        module, sources, context,
        embed=_image_embedding,
        snapshots=snapshots,
        shift=math.log(positive_weight(sources["train"].labels)),
        history=history,
        batch_size=settings.loop.batch_size,
        state=network_arrays(module),
        description={
            "architecture": row.base,
            "network": config_to_json(module.config),
            "scan": asdict(normalisation),
        },
    )  # fmt: skip


def _scan_network(
    row: Row, settings: SanetSettings | SwinSettings, context: CellContext
) -> tuple[SANet | Swin, ScanNormalisation]:
    """The network at its start, and how HU become its input."""
    dim = row.variant.embedding_dim
    network = replace(settings.network, embedding_dim=dim) if dim else settings.network
    if not isinstance(network, SwinConfig):
        return SANet(network).to(memory_format=torch.channels_last_3d), context.data.normalisation  # type: ignore[call-overload]
    swin = Swin(network)
    assert isinstance(settings, SwinSettings)
    if not settings.pretrained:
        return swin, context.data.normalisation
    assert context.pretrained is not None
    load_pretrained(swin, context.pretrained, sha256=settings.pretrained)
    # As in the pretraining: nothing of this cohort's brightness.
    return swin, ScanNormalisation(window_hu=PRETRAINED_WINDOW_HU, mean=0.0, sd=1.0)


def train_record(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """TabNet on the scaled features that pass the screening."""
    settings = context.config.tabnet
    sources = {split: context.data.source(split, scan=False, record=True) for split in SPLITS}
    train = sources["train"]
    columns = screen_columns(_ehr(train), train.labels, keep=settings.screen, categories=train.ehr_categories)
    sources = {split: hide_columns(source, columns, dropout=settings.dropout) for split, source in sources.items()}
    network = replace(
        settings.network,
        input_dim=len(columns),
        n_d=row.variant.embedding_dim or settings.network.n_d,
        categorical=_categorical(context, columns, settings.category_dim),
    )
    module = TabNet(network)

    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.ehr)
        task_loss = weighted_bce(output.logit, batch.label, weight)
        return task_loss + settings.sparsity_weight * cast(Tensor, output.sparsity_loss)

    task = Task(loss=loss, logit=lambda net, batch: net(batch.ehr).logit)
    snapshots = context.snapshots()
    history = train_on(module, sources, key, context, task=task, config=settings.loop, snapshots=snapshots)
    result = network_result(
        module, sources, context,
        embed=_record_embedding,
        snapshots=snapshots,
        shift=math.log(positive_weight(sources["train"].labels)),
        history=history,
        batch_size=settings.loop.batch_size,
        state=network_arrays(module),
        description={
            "architecture": "tabnet",
            "network": config_to_json(network),
            "record": context.data.preparation.to_json(),
            "columns": columns.tolist(),
        },
    )  # fmt: skip
    names = [context.data.preparation.columns[column].name for column in columns]
    return replace(result, importance=importance_table(names, _mask_importance(module, sources["test"])))


def hide_columns(source: CaseSource, columns: NDArray[np.intp], *, dropout: float) -> CaseSource:
    """The cases with these columns of the record alone, a share of them hidden at each training step."""
    places = {int(column): place for place, column in enumerate(columns)}
    return replace(
        source,
        ehr=_ehr(source)[:, columns],
        ehr_categories=tuple(places[column] for column in source.ehr_categories if column in places),
        ehr_dropout=dropout,
    )


def _categorical(context: CellContext, columns: NDArray[np.intp], width: int) -> tuple[tuple[int, int, int], ...]:
    """TabNet's categorical columns: place among `columns`, levels (0 = none of those known), embedding width."""
    prepared = context.data.preparation.columns
    return tuple(
        (place, len(prepared[column].levels) + 1, width)
        for place, column in enumerate(columns)
        if prepared[column].role == "category"
    )


def _image_embedding(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    output = net(batch.image)
    return output.logit, output.embedding


def _record_embedding(net: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    output = net(batch.ehr)
    return output.logit, output.embedding


def _ehr(source: CaseSource) -> NDArray[np.float32]:
    assert source.ehr is not None
    return source.ehr


def _mask_importance(module: TabNet, source: CaseSource) -> NDArray[np.float64]:
    """TabNet's own importance `(D,)`: masks weighted by each step's share in the decision, summed over cases."""
    module.eval().cpu()  # where Fabric left it after training, the batches are not
    with torch.inference_mode():
        shares = [importance(module(batch.ehr)) for batch in source.batches(256)]
    values: NDArray[np.float64] = torch.cat(shares).double().mean(dim=0).numpy()
    return values
