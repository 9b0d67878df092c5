"""Regret: how far each model is from the best that can be known (simulated cohorts)."""

from __future__ import annotations

from pefuse.report.figures import regret_panel
from pefuse.report.names import model_name
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]

FAMILIES_DRAWN = ("single", "joint")
MOST_DRAWN = 6


def build(material: Material) -> Content | None:
    rows = material.results.evidence.regrets
    if not rows:
        return None
    ideals = {one.name: one for one in material.scores}
    scores = {one.name: one for one in material.in_table1}
    drawn = [row for row in rows if model_name(row.name).family in FAMILIES_DRAWN][:MOST_DRAWN]
    return Content(
        context={"rows": rows, "sees": {row.name: model_name(row.ideal).label for row in rows}},
        plots=tuple(regret_panel(scores[row.name], ideals[row.ideal]) for row in drawn),
    )


SECTION = Section(name="regret", title="Regret to the ideal", group="Quality", build=build)
