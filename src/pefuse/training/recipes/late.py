"""Late fusions: the single modalities' risks, joined by weights, by a vote, or by a second model that learns how.

Weights and votes are fitted on the validation part. The second models learn on the training part, from risks
that the single modalities gave while they did not train on those cases: else the more overfitted modality would
look perfect.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor, nn

from pefuse.errors import RunError
from pefuse.models.config import config_to_json
from pefuse.models.late import MajorityVote, StackedTabNet, StackingInputs, WeightedAverage
from pefuse.models.restore import network_arrays
from pefuse.models.tabnet import TabNet
from pefuse.models.zoo import Row
from pefuse.training.cells import CellKey, CellResult
from pefuse.training.config import LateSettings
from pefuse.training.data import Batch, CaseSource
from pefuse.training.folddata import SPLITS
from pefuse.training.loop import Task, positive_weight, weighted_bce
from pefuse.training.recipes.context import CellContext, history_table, predictions_table, train_on
from pefuse.training.recipes.trees import grow_trees, rounds_table

__all__ = ["train_late"]

Risks = dict[str, NDArray[np.float64]]  # by part of the fold: (N, M)
Ids = dict[str, tuple[str, ...]]


def train_late(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """A late fusion of the row's needs."""
    ids = {split: context.data.studies(split, scan=True, record=True) for split in SPLITS}
    risks = {split: _risks(row, key, context, ids[split]) for split in SPLITS}
    if not row.stacked:
        return _fitted_on_validation(row, context, ids, risks)
    # From here on the training risks are those of models that did not train on the case. So the second model's own
    # training predictions, which nothing is judged by, are of those too.
    risks["train"] = _out_of_fold(row, context, ids["train"])
    inputs = StackingInputs.fit(context.config.late.inputs, risks["train"], models=len(row.needs))
    rows = {split: inputs(values) for split, values in risks.items()}
    if row.base == "late-xgboost":
        return _stacked_trees(row, key, context, ids, rows, inputs)
    return _stacked_tabnet(row, key, context, ids, rows, inputs)


def _risks(row: Row, key: CellKey, context: CellContext, ids: tuple[str, ...]) -> NDArray[np.float64]:
    """The risks (N, M) that the needs' models of this fold give."""
    members = [context.store.predictions(replace(key, model=need)).set_index("study_id") for need in row.needs]
    return np.stack([member.loc[list(ids), "risk"].to_numpy() for member in members], axis=1)


def _out_of_fold(row: Row, context: CellContext, ids: tuple[str, ...]) -> NDArray[np.float64]:
    """The risks (N, M) that models gave which did not train on the case.

    Raises:
        RunError: no such model judged one of the cases, or the training part was too small to train any.
    """
    columns = []
    for need in row.needs:
        if not context.out_of_fold[need]:
            raise RunError(
                "A single training patient has the rarer outcome, so no model can judge each study out of fold, "
                "which this late fusion learns from: use 2 folds or more, or leave it out."
            )
        held_out = []
        for cell in context.out_of_fold[need]:
            table = context.store.predictions(cell)
            held_out.append(table[table["split"] == ("validation" if cell.part < 0 else "test")])
        risk = pd.concat(held_out).set_index("study_id")["risk"].reindex(list(ids))
        if missing := int(risk.isna().sum()):
            raise RunError(
                f"{missing} of {len(ids)} training studies have no out-of-fold risk of {need}: train it anew."
            )
        columns.append(risk.to_numpy())
    return np.stack(columns, axis=1)


def _fitted_on_validation(row: Row, context: CellContext, ids: Ids, risks: Risks) -> CellResult:
    combiner = WeightedAverage(row.needs) if row.base == "late-average" else MajorityVote(row.needs)
    combiner.fit(risks["validation"], context.data.label_array(ids["validation"]))
    return CellResult(
        predictions=predictions_table(ids, {split: combiner.predict_logit(risks[split]) for split in SPLITS}),
        description={"architecture": "late", "combiner": row.base, **combiner.to_json()},
    )


def _stacked_trees(
    row: Row,
    key: CellKey,
    context: CellContext,
    ids: Ids,
    rows: dict[str, NDArray[np.float32]],
    inputs: StackingInputs,
) -> CellResult:
    labels = {split: context.data.label_array(ids[split]) for split in SPLITS}
    trees = grow_trees(
        context.config.late.trees,
        key,
        train=(rows["train"], labels["train"]),
        validation=(rows["validation"], labels["validation"]),
    )
    return CellResult(
        predictions=predictions_table(ids, {split: trees.predict_logit(rows[split]) for split in SPLITS}),
        history=rounds_table(trees),
        best_epoch=trees.rounds_kept - 1,
        trees=trees,
        description={"architecture": "late", "combiner": row.base, "inputs": inputs.to_json()},
    )


def _stacked_tabnet(
    row: Row,
    key: CellKey,
    context: CellContext,
    ids: Ids,
    rows: dict[str, NDArray[np.float32]],
    inputs: StackingInputs,
) -> CellResult:
    settings = context.config.late
    network = TabNet(replace(settings.tabnet, input_dim=len(row.needs)))
    sources = {
        split: CaseSource(study_ids=ids[split], labels=context.data.label_array(ids[split]), ehr=rows[split])
        for split in SPLITS
    }
    history = train_on(network, sources, key, context, task=_tabnet_task(settings), config=settings.loop)
    shift = math.log(positive_weight(sources["train"].labels))
    # Read through the same class as a bundle reads it. The inputs are made already.
    stacked = StackedTabNet(names=row.needs, inputs=inputs, network=network.cpu(), logit_shift=shift)
    return CellResult(
        predictions=predictions_table(ids, {split: stacked.logits_of_rows(rows[split]) for split in SPLITS}),
        history=history_table(history),
        best_epoch=history.best_epoch,
        state=network_arrays(network),
        description={
            "architecture": "late",
            "combiner": row.base,
            "inputs": inputs.to_json(),
            "network": config_to_json(network.config),
            "logit_shift": shift,
        },
    )


def _tabnet_task(settings: LateSettings) -> Task:
    def loss(net: nn.Module, batch: Batch, weight: Tensor) -> Tensor:
        output = net(batch.ehr)
        task_loss = weighted_bce(output.logit, batch.label, weight)
        return task_loss + settings.sparsity_weight * cast(Tensor, output.sparsity_loss)

    return Task(loss=loss, logit=lambda net, batch: net(batch.ehr).logit)
