"""Table 2: subgroups of the test studies."""

from __future__ import annotations

from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.tables import TOO_FEW, paper_auc, paper_auc_of_all

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    subgroups = material.results.subgroups
    if not subgroups:
        return None
    return Content(
        context={
            "subgroups": subgroups,
            "too_few": TOO_FEW,
            "paper_auc": paper_auc,
            "paper_auc_of_all": paper_auc_of_all,
        }
    )


SECTION = Section(name="table2", title="Table 2: subgroups", group="Results", build=build)
