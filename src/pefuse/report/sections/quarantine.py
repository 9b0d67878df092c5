"""Scans that could not be used, and why."""

from __future__ import annotations

import pandas as pd

from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    return Content(context={"quarantine": _rows(material.run.quarantine)})


def _rows(table: pd.DataFrame) -> list[dict[str, str]]:
    return [{str(key): str(value) for key, value in row.items()} for row in table.fillna("").to_dict("records")]


SECTION = Section(name="quarantine", title="Left out", group="Run", build=build)
