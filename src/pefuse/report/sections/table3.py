"""Table 3: the full model taken apart."""

from __future__ import annotations

from pefuse.report.names import published_table3
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.tables import ablations

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    rows = ablations(material.results)
    if not rows:
        return None
    return Content(
        context={
            "ablations": rows,
            "paper_table3": published_table3()[["auc", "significant"]].to_dict("index"),
        }
    )


SECTION = Section(name="table3", title="Table 3: ablations", group="Results", build=build)
