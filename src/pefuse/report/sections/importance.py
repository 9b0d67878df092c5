"""What the models of the record looked at."""

from __future__ import annotations

from pefuse.report.figures import importance_panel
from pefuse.report.names import sorted_models
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    table = material.run.importance
    table = table[table["model"].isin({one.name for one in material.in_table1})]
    if table.empty:
        return None
    names = sorted_models([str(name) for name in table["model"].unique()])
    return Content(plots=tuple(importance_panel(name, table[table["model"] == name]) for name in names))


SECTION = Section(name="importance", title="Features", group="Explanation", build=build)
