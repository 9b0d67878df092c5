"""The cohort: who the patients are by split and outcome, by year, and how many studies fell out where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pefuse.report.characteristics import CohortTable, cohort_table
from pefuse.report.figures import studies_by_year
from pefuse.report.record_wording import record_sentence, record_warnings
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.tables import cohort_note, format_summary

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    cohort = material.run.cohort
    record = cohort.get("record") or {}
    table = cohort_table(material.run)
    years = studies_by_year(cohort.get("by_year") or {})
    return Content(
        context={
            "table": table,
            "apart": _apart(cohort, table),
            "note": cohort_note(table),
            "cell": format_summary,
            "flow": cohort.get("flow") or [],
            "record": record_sentence(record),
            "record_warnings": record_warnings(record),
        },
        plots=(years,) if years is not None else (),
    )


def _apart(cohort: Mapping[str, Any], table: CohortTable) -> int:
    """Studies that have a place in a split and no prediction of any model, such as those without a usable scan."""
    placed = sum(int(counts.get("studies") or 0) for counts in (cohort.get("by_split") or {}).values())
    return max(0, placed - table.studies)


SECTION = Section(name="cohort", title="Cohort", group="Question", build=build)
