"""Table 1: the models of a run, one row each, as numbers, as text for people, and as files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from pefuse.report.names import published
from pefuse.report.results import RATES, Estimate, ModelResult, Results
from pefuse.storage import atomic_file, write_text

__all__ = ["RATE_NAMES", "format_estimate", "format_number", "table1_numbers", "table1_text", "write_table1"]

UNKNOWN = "–"

RATE_NAMES = {
    "accuracy": "Accuracy",
    "specificity": "Specificity",
    "sensitivity": "Sensitivity",
    "ppv": "PPV",
    "npv": "NPV",
}


def table1_numbers(results: Results) -> pd.DataFrame:
    """Table 1 as numbers, one row a model; what cannot be told is NaN."""
    return pd.DataFrame([_numbers(model) for model in results.models])


def table1_text(results: Results) -> pd.DataFrame:
    """Table 1 as people read it: two decimals, intervals in brackets, the paper's figure beside ours."""
    paper = published()
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
        for model in results.models
    ]
    return pd.DataFrame(rows)


def write_table1(results: Results, folder: Path) -> None:
    """Write `table1.csv` (numbers) and `table1.md` (text) into a folder."""
    with atomic_file(folder / "table1.csv") as partial:
        table1_numbers(results).to_csv(partial, index=False, float_format="%.6g", lineterminator="\n")
    write_text(folder / "table1.md", _markdown(table1_text(results)) + "\n" + _footnote(results))


def format_number(value: float | None, *, decimals: int = 2) -> str:
    """A number as text; a dash for what cannot be told."""
    if value is None or not np.isfinite(value):
        return UNKNOWN
    text = f"{value:.{decimals}f}"
    return text.replace("-", "−") if float(text) else text.removeprefix("-")


def format_estimate(estimate: Estimate | None, *, decimals: int = 2) -> str:
    """`0.91 [0.84–0.95]`; negative bounds are joined by "to"."""
    if estimate is None or estimate.value is None:
        return UNKNOWN
    value = format_number(estimate.value, decimals=decimals)
    if estimate.low is None or estimate.high is None:
        return value
    join = " to " if estimate.low < 0 or estimate.high < 0 else "–"
    bounds = join.join(format_number(bound, decimals=decimals) for bound in (estimate.low, estimate.high))
    return f"{value} [{bounds}]"


def _numbers(model: ModelResult) -> dict[str, object]:
    test = model.test
    row: dict[str, object] = {"model": model.name, "label": model.label}
    row |= _with_bounds("auc", test.auc if test else None)
    for rate in RATES:
        row |= _with_bounds(rate, test.rates.get(rate) if test else None)
    row |= {"validation_auc": _number(model.validation_auc.value if model.validation_auc else None)}
    row |= {"fold_auc_mean": _number(model.fold_auc_mean), "fold_auc_sd": _number(model.fold_auc_sd)}
    row |= _with_bounds("drop", model.drop)
    row |= {"threshold": _number(test.threshold if test else None)}
    row |= {count: _number(getattr(test, count) if test else None) for count in ("tp", "fn", "fp", "tn")}
    row |= {"studies": model.studies, "deaths": model.deaths, "regret": _number(model.regret)}
    row |= {"own_studies": model.own_studies, "own_auc": _number(model.own_auc.value if model.own_auc else None)}
    paper = published()
    known = model.name in paper.index
    row |= {f"paper_{name}": float(paper[name][model.name]) if known else np.nan for name in ("auc", *RATES)}
    return row | {"problem": model.problem}


def _with_bounds(name: str, estimate: Estimate | None) -> dict[str, object]:
    value, low, high = (estimate.value, estimate.low, estimate.high) if estimate else (None, None, None)
    return {name: _number(value), f"{name}_low": _number(low), f"{name}_high": _number(high)}


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)


def _rate(model: ModelResult, rate: str) -> str:
    estimate = model.test.rates.get(rate) if model.test else None
    return format_number(estimate.value if estimate else None)


def _spread(model: ModelResult) -> str:
    if model.fold_auc_mean is None:
        return "" if model.family in ("ideal", "score") else UNKNOWN
    if model.fold_auc_sd is None:
        return format_number(model.fold_auc_mean)
    return f"{format_number(model.fold_auc_mean)} ± {format_number(model.fold_auc_sd)}"


def _markdown(table: pd.DataFrame) -> str:
    lines = [list(table.columns), ["---"] + ["--:"] * (table.shape[1] - 1), *table.astype(str).to_numpy().tolist()]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _footnote(results: Results) -> str:
    apart = results.all_test_studies - results.test_studies
    of_all = f" of {results.all_test_studies} (the others lack a usable scan or a record)" if apart else ""
    note = (
        f"{results.test_studies} test studies{of_all}, "
        f"{results.test_deaths} deaths within {results.horizon_days} days. "
        "Test risk: mean over folds and seeds. Threshold: Youden on pooled validation, risk >= threshold.\n"
        "Research use only, not a medical device."
    )
    return note + (" Simulated data.\n" if results.simulated else "\n")
