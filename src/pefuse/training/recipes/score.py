"""Clinical scores, of which nothing is trained: points as logits, their class's published mortality as risk."""

from __future__ import annotations

import pandas as pd

from pefuse.ehr import count_scores
from pefuse.models.zoo import Row
from pefuse.training.cells import CellKey, CellResult
from pefuse.training.folddata import SPLITS
from pefuse.training.recipes.context import CellContext

__all__ = ["count_score"]


def count_score(row: Row, key: CellKey, context: CellContext) -> CellResult:
    """The points of every study whose score can be told."""
    assert context.scores is not None
    counted = count_scores(
        context.scores, [row.name], missing=context.config.score_missing, fit_on=context.data.fold.train
    )
    parts = []
    for split in SPLITS:
        table = counted.loc[list(context.data.studies(split, scan=False, record=True))]
        known = table[table[f"{row.name}_points"].notna()]
        parts.append(
            pd.DataFrame(
                {
                    "study_id": known.index,
                    "split": split,
                    "logit": known[f"{row.name}_points"].to_numpy(dtype=float),
                    "risk": known[f"{row.name}_risk"].to_numpy(dtype=float),
                }
            )
        )
    return CellResult(predictions=pd.concat(parts, ignore_index=True))
