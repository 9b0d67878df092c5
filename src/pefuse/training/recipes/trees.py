"""XGBoost on the record: unscaled features, missing values left missing, stopped early on validation."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import torch
from numpy.typing import ArrayLike

from pefuse.models.boosting import BoostedTrees, BoostedTreesConfig
from pefuse.models.zoo import Row
from pefuse.training.cells import CellKey, CellResult
from pefuse.training.folddata import SPLITS
from pefuse.training.recipes.context import CellContext, cell_seed, importance_table, predictions_table

__all__ = ["grow_trees", "rounds_table", "train_trees"]


def train_trees(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """Boosted trees on every study with a record."""
    data = context.data
    ids = {split: data.studies(split, scan=False, record=True) for split in SPLITS}
    values = {split: data.tree_features(ids[split]) for split in SPLITS}
    trees = grow_trees(
        context.config.xgboost,
        key,
        train=(values["train"].values, data.label_array(ids["train"])),
        validation=(values["validation"].values, data.label_array(ids["validation"])),
    )
    return CellResult(
        predictions=predictions_table(ids, {split: trees.predict_logit(values[split].values) for split in SPLITS}),
        history=rounds_table(trees),
        best_epoch=trees.rounds_kept - 1,
        trees=trees,
        description={"architecture": "boosted-trees", "record": data.tree_preparation.to_json()},
        importance=importance_table(values["train"].names, trees.gain()),
    )


def grow_trees(
    config: BoostedTreesConfig,
    key: CellKey,
    *,
    train: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike],
) -> BoostedTrees:
    """Trees on rows and labels, with the cell's seed and threads."""
    own = replace(config, seed=cell_seed(key), threads=torch.get_num_threads())
    return BoostedTrees(own).fit(*train, validation=validation)


def rounds_table(trees: BoostedTrees) -> pd.DataFrame:
    """One row a round, named as an epoch is."""
    rounds = {
        "train_loss": trees.training_loss,
        "validation_loss": trees.validation_loss,
        "validation_auc": trees.validation_auc,
    }
    return pd.DataFrame(rounds).rename_axis("epoch").reset_index()
