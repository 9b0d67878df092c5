"""How the training of each network went."""

from __future__ import annotations

from pefuse.report.figures import training_panel
from pefuse.report.names import sorted_models
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    shown = {one.name for one in material.in_table1}
    cells = material.run.cells
    learnt = [cell for cell in cells if cell.model in shown and cell.history is not None and len(cell.history)]
    if not learnt:
        return None
    names = sorted_models([cell.model for cell in learnt])
    return Content(
        plots=tuple(training_panel(name, [cell for cell in learnt if cell.model == name]) for name in names)
    )


SECTION = Section(name="training", title="Training", group="Quality", build=build)
