"""The models over all folds and seeds: mean, spread, distance to the best, mean rank."""

from __future__ import annotations

import pandas as pd

from pefuse.report.results import Repeats, Results
from pefuse.report.tables.formatting import format_estimate, format_number, number, with_bounds

__all__ = ["repeats_numbers", "repeats_text"]


def repeats_numbers(results: Results) -> pd.DataFrame:
    """One row a model, best mean first."""
    return pd.DataFrame(
        [
            {
                "model": row.name,
                "label": row.label,
                "repeats": row.repeats,
                "auc_mean": row.mean,
                "auc_sd": number(row.sd),
                **with_bounds("to_best", row.to_best),
                "mean_rank": row.mean_rank,
            }
            for row in results.repeats
        ]
    )


def repeats_text(results: Results) -> pd.DataFrame:
    """The same as people read it."""
    return pd.DataFrame([_text(row) for row in results.repeats])


def _text(row: Repeats) -> dict[str, str]:
    spread = "" if row.sd is None else f" ± {format_number(row.sd)}"
    return {
        "Model": row.label,
        "AUC, mean ± SD": f"{format_number(row.mean)}{spread}",
        "To the best [95 % CI]": "best" if row.to_best is None else format_estimate(row.to_best),
        "Mean rank": format_number(row.mean_rank, decimals=1),
        "Repeats": str(row.repeats),
    }
