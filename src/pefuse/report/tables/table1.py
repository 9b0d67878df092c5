"""Table 1: the models of a run, one row each, as numbers and as text for people."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pefuse.report.names import published_table1
from pefuse.report.results import RATES, ModelResult, Results
from pefuse.report.tables.formatting import UNKNOWN, format_estimate, format_number, number, with_bounds

__all__ = ["RATE_NAMES", "model_numbers", "table1_numbers", "table1_text"]

RATE_NAMES = {
    "accuracy": "Accuracy",
    "specificity": "Specificity",
    "sensitivity": "Sensitivity",
    "ppv": "PPV",
    "npv": "NPV",
}


def table1_numbers(results: Results) -> pd.DataFrame:
    """Table 1 as numbers, one row a model; what cannot be told is NaN."""
    return pd.DataFrame([model_numbers(model) for model in results.of_table(1)])


def table1_text(results: Results) -> pd.DataFrame:
    """Table 1 as people read it: two decimals, intervals in brackets, the paper's figure beside ours."""
    paper = published_table1()
    rows = [
        {
            "Model": model.label,
            "AUC [95 % CI]": format_estimate(model.test.auc if model.test else None),
            **{shown: _rate(model, rate) for rate, shown in RATE_NAMES.items()},
            "AUC validation": format_number(model.validation_auc.value if model.validation_auc else None),
            "AUC single folds": _spread(model),
            "AUC in the paper": format_number(float(paper["auc"][model.name]))
            if model.name in paper.index
            else "",
        }
        for model in results.of_table(1)
    ]
    return pd.DataFrame(rows)


def model_numbers(model: ModelResult) -> dict[str, object]:
    """All numbers of one model, a column each."""
    test = model.test
    row: dict[str, object] = {"model": model.name, "label": model.label}
    row |= with_bounds("auc", test.auc if test else None)
    for rate in RATES:
        row |= with_bounds(rate, test.rates.get(rate) if test else None)
    row |= {"validation_auc": number(model.validation_auc.value if model.validation_auc else None)}
    row |= {"fold_auc_mean": number(model.fold_auc_mean), "fold_auc_sd": number(model.fold_auc_sd)}
    row |= with_bounds("drop", model.drop)
    row |= {"threshold": number(test.threshold if test else None)}
    row |= {count: number(getattr(test, count) if test else None) for count in ("tp", "fn", "fp", "tn")}
    row |= {"studies": model.studies, "deaths": model.deaths, "regret": number(model.regret)}
    row |= {"own_studies": model.own_studies, "own_auc": number(model.own_auc.value if model.own_auc else None)}
    paper = published_table1()
    known = model.name in paper.index
    row |= {f"paper_{name}": float(paper[name][model.name]) if known else np.nan for name in ("auc", *RATES)}
    return row | {"problem": model.problem}


def _rate(model: ModelResult, rate: str) -> str:
    estimate = model.test.rates.get(rate) if model.test else None
    return format_number(estimate.value if estimate else None)


def _spread(model: ModelResult) -> str:
    if model.fold_auc_mean is None:
        return "" if model.family in ("ideal", "score") else UNKNOWN
    if model.fold_auc_sd is None:
        return format_number(model.fold_auc_mean)
    return f"{format_number(model.fold_auc_mean)} ± {format_number(model.fold_auc_sd)}"
