"""TRIPOD+AI and CLAIM, filled where the run knows the answer; the lists as CSV in `checklists/`."""

from __future__ import annotations

from pefuse.report.checklists import fill_checklists, write_checklists
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    checklists = fill_checklists(material)
    write_checklists(checklists, material.folder / "checklists")
    return Content(context={"checklists": checklists})


SECTION = Section(name="checklists", title="Reporting checklists", group="Run", build=build)
