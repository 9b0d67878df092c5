"""The cohort: by split, by year, and how many studies fell out where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pefuse.report.figures import studies_by_year
from pefuse.report.record_wording import record_sentence, record_warnings
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]

_SPLITS = {
    "development": "Training and validation",
    "train": "Training",
    "validation": "Validation",
    "test": "Test",
}
_COLUMNS = ("studies", "patients", "deaths", "age_mean", "age_sd", "female_share")


def build(material: Material) -> Content:
    cohort = material.run.cohort
    record = cohort.get("record") or {}
    years = studies_by_year(cohort.get("by_year") or {})
    return Content(
        context={
            "splits": _splits(cohort),
            "flow": cohort.get("flow") or [],
            "record": record_sentence(record),
            "record_warnings": record_warnings(record),
        },
        plots=(years,) if years is not None else (),
    )


def _splits(cohort: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"label": _SPLITS.get(name, name), **{column: counts.get(column) for column in _COLUMNS}}
        for name, counts in (cohort.get("by_split") or {}).items()
    ]


SECTION = Section(name="cohort", title="Cohort", group="Question", build=build)
