"""The models of two runs as tables: all numbers, and what people read on a terminal."""

from __future__ import annotations

import pandas as pd

from pefuse.report.runs.comparing import RATES, RunPair, Side
from pefuse.report.tables.formatting import format_estimate, format_p, number, with_bounds

__all__ = ["pair_numbers", "pair_text"]

NUMBERS = ("fold_auc_mean", "fold_auc_sd", "brier", "slope", "intercept", "threshold")


def pair_numbers(pair: RunPair) -> pd.DataFrame:
    """One row a model: each run's numbers (`auc_first`), the difference, p-values; NaN = cannot be told."""
    letters = (pair.first.letter, pair.second.letter)
    return pd.DataFrame(
        [
            {
                "first": letters[0],
                "second": letters[1],
                "relation": pair.relation,
                "model": model.name,
                "label": model.label,
                **_side(model.first, "first"),
                **_side(model.second, "second"),
                "same": model.same,
                **with_bounds("difference", model.difference),
                "p_delong": number(model.p_value),
                "p_holm": number(model.p_holm),
            }
            for model in pair.models
        ]
    )


def pair_text(pair: RunPair) -> pd.DataFrame:
    """One row a model, as people read it."""
    first, second = pair.first.letter, pair.second.letter
    rows = []
    for model in pair.models:
        row = {
            "Model": model.label,
            f"AUC, {first}": format_estimate(model.first.auc),
            f"AUC, {second}": format_estimate(model.second.auc),
            f"{second} − {first} [95 % CI]": "the same" if model.same else format_estimate(model.difference),
        }
        if pair.relation == "paired":
            row |= {"p": format_p(model.p_value), "p, Holm": format_p(model.p_holm)}
        rows.append(row)
    return pd.DataFrame(rows)


def _side(side: Side, which: str) -> dict[str, object]:
    row: dict[str, object] = {"studies": side.studies, "deaths": side.deaths, **with_bounds("auc", side.auc)}
    row |= {name: number(getattr(side, name)) for name in NUMBERS}
    row |= with_bounds("observed_to_expected", side.observed_to_expected)
    for rate in RATES:
        row |= with_bounds(rate, side.rates.get(rate))
    return {f"{name}_{which}": value for name, value in (row | {"problem": side.problem}).items()}
