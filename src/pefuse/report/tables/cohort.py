"""The cohort table, as the paper's Table 4: as numbers, and as text for people."""

from __future__ import annotations

import pandas as pd

from pefuse.evaluation import difference_by_chance
from pefuse.report.characteristics import CROSSED, GROUPS, CohortTable, Difference, Row, Summary
from pefuse.report.results import Estimate
from pefuse.report.tables.formatting import UNKNOWN, format_estimate, format_number

__all__ = ["cohort_note", "cohort_numbers", "cohort_text", "format_summary"]


def cohort_numbers(table: CohortTable) -> pd.DataFrame:
    """One row a characteristic (or level) and group, the splits also crossed with the outcome."""
    return pd.DataFrame(
        [
            _numbers(row, group, row.cells[group])
            for row in table.rows
            for group in (*GROUPS, *CROSSED)
            if group in row.cells
        ]
    )


def cohort_text(table: CohortTable) -> pd.DataFrame:
    """One row a characteristic, a column a group, with the standardised differences of the two pairs."""
    sizes = table.sizes
    head = {group: f"{group.capitalize()} (n = {sizes[group]})" for group in GROUPS}
    return pd.DataFrame(
        [
            {
                "Characteristic": _label(row),
                **{head[group]: format_summary(row, row.cells.get(group)) for group in ("development", "test")},
                "Difference of splits": _difference(row.by_split),
                **{head[group]: format_summary(row, row.cells.get(group)) for group in ("survived", "died")},
                "Difference of outcomes": _difference(row.by_outcome),
                "Missing": str(row.missing or ""),
            }
            for row in table.rows
        ]
    )


def format_summary(row: Row, cell: Summary | None) -> str:
    """`63.2 ± 15.9`, `1.4 [0.9–2.1]`, `28 (9.8 %)`, `2012–2017`; "" where the row says nothing of the group."""
    if cell is None or row.kind == "text":
        return ""
    if not cell.known:
        return UNKNOWN
    if row.kind == "total":
        return str(cell.count)
    if row.kind == "state":
        assert cell.count is not None
        return f"{cell.count} ({100 * cell.count / cell.known:.1f} %)"
    if row.kind == "range":
        return f"{cell.low:.0f}–{cell.high:.0f}" if cell.low != cell.high else f"{cell.low:.0f}"
    if row.kind == "number":
        mean = format_number(cell.mean, decimals=row.decimals)
        return mean if cell.sd is None else f"{mean} ± {format_number(cell.sd, decimals=row.decimals)}"
    return format_estimate(Estimate(value=cell.median, low=cell.low, high=cell.high), decimals=row.decimals)


def cohort_note(table: CohortTable) -> str:
    """How the table is to be read, and how far chance alone goes in groups of these sizes."""
    sizes = table.sizes
    chance = [
        f"{format_number(difference_by_chance(sizes[first], sizes[second]))} between {pair}"
        for first, second, pair in (("development", "test", "the splits"), ("survived", "died", "the outcomes"))
        if sizes[first] and sizes[second]
    ]
    note = (
        "Mean ± SD, median [quartiles], or number (share of those known). Differences are standardised (Austin "
        "2009; categories after Yang & Dalton 2012; ranks where quartiles are shown): 0.1 and more is usually "
        "called a difference."
    )
    if chance:
        note += f" In groups of these sizes chance alone makes up to {' and up to '.join(chance)}."
    return note


def _numbers(row: Row, group: str, cell: Summary) -> dict[str, object]:
    counted = row.kind == "state" and cell.count is not None and cell.known > 0
    return {
        "characteristic": row.name,
        "level": row.level,
        "unit": row.unit,
        "group": group,
        "studies": cell.studies,
        "known": cell.known,
        "count": cell.count,
        "share": cell.count / cell.known if counted and cell.count is not None else None,
        "mean": cell.mean,
        "sd": cell.sd,
        "median": cell.median,
        "low": cell.low,
        "high": cell.high,
        "difference_of_splits": row.by_split.value if row.by_split else None,
        "difference_of_outcomes": row.by_outcome.value if row.by_outcome else None,
    }


def _label(row: Row) -> str:
    return f"… {row.level}" if row.level else f"{row.label}, {row.unit}" if row.unit else row.label


def _difference(one: Difference | None) -> str:
    return "" if one is None else format_number(one.value)
