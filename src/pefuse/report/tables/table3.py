"""Table 3: the full model taken apart: other heads, reductions and widths, each against the full one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from pefuse.report.names import ABLATED, published_table3, variant_label
from pefuse.report.results import Comparison, ModelResult, Results
from pefuse.report.tables.formatting import format_estimate, format_number, format_p, number, with_bounds
from pefuse.report.tables.table1 import model_numbers

__all__ = ["SECTIONS", "Ablation", "ablations", "table3_numbers", "table3_text"]

SECTIONS = {
    "Final component": ("fc", "cnn1d", "xgboost", "tabnet"),
    "Dimensionality reduction": ("none", "pca", "sparse-pca", "nmf", "mlle", "spectral", "bilinear"),
    "Embedding dimension": ("dim1024", "dim256", "dim64"),
}
FULL = "Full"


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """A row of Table 3: which part is another, and how it compares with the full model (None for that itself)."""

    section: str
    label: str
    model: ModelResult
    against_full: Comparison | None


def ablations(results: Results) -> list[Ablation]:
    """The rows of Table 3 in the paper's order, the full model last; empty without ablations."""
    rows = list(_rows(results))
    full = next((model for model in results.models if model.name == ABLATED), None)
    if rows and full is not None:
        rows.append(Ablation(section=FULL, label="all as in Table 1", model=full, against_full=None))
    return rows


def table3_numbers(results: Results) -> pd.DataFrame:
    """One row an ablation; what cannot be told is NaN. `difference` is full minus ablated (DeLong)."""
    return pd.DataFrame([_numbers(row) for row in ablations(results)])


def table3_text(results: Results) -> pd.DataFrame:
    """Table 3 as people read it, the paper's AUC beside ours; its asterisk is the paper's own."""
    return pd.DataFrame([_text(row) for row in ablations(results)])


def _rows(results: Results) -> Iterator[Ablation]:
    # Where the full model itself could not be trained, the comparisons are against another one.
    against = {one.name: one for one in results.comparisons} if results.reference == ABLATED else {}
    models = {model.variant: model for model in results.of_table(3)}
    for section, variants in SECTIONS.items():
        for variant in variants:
            if variant in models:
                model = models[variant]
                label = variant_label(variant)
                yield Ablation(section=section, label=label, model=model, against_full=against.get(model.name))


def _numbers(row: Ablation) -> dict[str, object]:
    paper, variant = published_table3(), row.model.variant
    known = variant in paper.index
    test = row.against_full
    return {
        "section": row.section,
        **model_numbers(row.model),
        **with_bounds("difference", test.difference if test else None),
        "p_delong": number(test.p_value if test else None),
        "p_delong_holm": number(test.p_holm if test else None),
        "p_bootstrap": number(test.p_bootstrap if test else None),
        "p_bootstrap_holm": number(test.p_bootstrap_holm if test else None),
        "paper_method_ks_p": number(test.paper_p if test else None),
        "paper_auc": float(paper["auc"][variant]) if known else number(_paper_full(row)),
    }


def _text(row: Ablation) -> dict[str, str]:
    test, rates = row.against_full, row.model.test.rates if row.model.test else {}

    def rate(name: str) -> str:
        return format_number(rates[name].value if name in rates else None)

    return {
        "Part": row.section,
        "Variant": row.label,
        "AUC [95 % CI]": format_estimate(row.model.test.auc if row.model.test else None),
        "Accuracy": rate("accuracy"),
        "Specificity": rate("specificity"),
        "Sensitivity": rate("sensitivity"),
        "Full − this [95 % CI]": format_estimate(test.difference) if test else "",
        "p, Holm": format_p(test.p_holm) if test else "",
        "AUC in the paper": _paper_text(row),
    }


def _paper_text(row: Ablation) -> str:
    paper, variant = published_table3(), row.model.variant
    if variant in paper.index:
        return format_number(float(paper["auc"][variant])) + ("*" if paper["significant"][variant] else "")
    return format_number(_paper_full(row)) if row.section == FULL else ""


def _paper_full(row: Ablation) -> float | None:
    return 0.96 if row.section == FULL else None  # its Table 3, last line
