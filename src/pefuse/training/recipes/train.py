"""One cell trained by the recipe of its kind of model.

Every recipe gets the same fold data and returns a `CellResult` with logits and risks of all its cases. Logits of
networks that were trained with weighted deaths are moved back by ln(weight), so that risks are probabilities at
the training fold's prevalence and not at one half.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from pefuse.models.zoo import Kind, Row, model_row
from pefuse.training.cells import CellKey, CellResult
from pefuse.training.recipes.context import CellContext, cell_seed
from pefuse.training.recipes.encoders import train_record, train_scan
from pefuse.training.recipes.fusion import train_fusion
from pefuse.training.recipes.late import train_late
from pefuse.training.recipes.score import count_score
from pefuse.training.recipes.trees import train_trees

__all__ = ["RECIPES", "train_cell"]

RECIPES: dict[Kind, Callable[[Row, CellKey, CellContext], CellResult]] = {
    "score": count_score,
    "trees": train_trees,
    "record": train_record,
    "scan": train_scan,
    "late": train_late,
    "fusion": train_fusion,
}


def train_cell(key: CellKey, context: CellContext) -> CellResult:
    """Train one cell. The same key, settings and data give the same bits on a CPU.

    Raises:
        RunError: too few studies of the fold have what the model takes, or the training lost itself.
    """
    row = model_row(key.model)
    if row.kind != "score":
        context.data.check_enough(scan=row.scan, record=row.record)
    # One stream a cell: what ran before in this process must not matter.
    torch.manual_seed(cell_seed(key))
    return RECIPES[row.kind](row, key, context)
