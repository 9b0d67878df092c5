"""Table 2: the best model and the clinical scores by sex and age, with the paper's figure beside each AUC."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pefuse.report.names import ABLATED, CLINICAL_SCORES, published_table1, published_table2
from pefuse.report.results import Results, Subgroup, SubgroupRow
from pefuse.report.tables.formatting import format_estimate, format_number, with_bounds

__all__ = ["TOO_FEW", "paper_auc", "paper_auc_of_all", "table2_numbers", "table2_text"]

TOO_FEW = "too few to say"


def table2_numbers(results: Results) -> pd.DataFrame:
    """One row a model and subgroup; NaN where there are too few of an outcome."""
    rows = [_numbers(row, group) for row in results.subgroups for group in row.groups]
    return pd.DataFrame(rows)


def table2_text(results: Results) -> pd.DataFrame:
    """One row a model, one column a subgroup, the counts in the heads."""
    rows = []
    for row in results.subgroups:
        cells = {"Model": row.label, "All [95 % CI]": format_estimate(row.full)}
        for group in row.groups:
            head = f"{group.group} ({group.deaths} of {group.studies} died)"
            cells[head] = format_estimate(group.auc) if group.auc else TOO_FEW
        rows.append(cells)
        rows.append(_of_paper(row))
    return pd.DataFrame(rows).fillna("") if rows else pd.DataFrame()


def paper_auc(model: str, group: str) -> float:
    """The paper's AUC; that of its multimodal model for any model of ours that is no clinical score."""
    table = published_table2()
    key = (model if model in CLINICAL_SCORES else ABLATED, group)
    return float(table["auc"][key]) if key in table.index else np.nan


def paper_auc_of_all(model: str) -> float:
    """The same over all its patients: of its Table 1."""
    return float(published_table1()["auc"][model if model in CLINICAL_SCORES else ABLATED])


def _numbers(row: SubgroupRow, group: Subgroup) -> dict[str, object]:
    return {
        "model": row.name,
        "label": row.label,
        "group": group.group,
        "studies": group.studies,
        "deaths": group.deaths,
        **with_bounds("auc", group.auc),
        "enough": group.auc is not None,
        "paper_auc": paper_auc(row.name, group.group),
    }


def _of_paper(row: SubgroupRow) -> dict[str, str]:
    cells = {"Model": "in the paper", "All [95 % CI]": format_number(paper_auc_of_all(row.name))}
    for group in row.groups:
        head = f"{group.group} ({group.deaths} of {group.studies} died)"
        cells[head] = format_number(paper_auc(row.name, group.group))
    return cells
