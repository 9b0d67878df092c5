"""Decision curves: is acting on a model better than treating everyone, or no one?"""

from __future__ import annotations

from pefuse.report.evidence import curve_of
from pefuse.report.figures import decision_panel
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    rows = material.results.evidence.benefit
    if not rows:
        return None
    shown = {row.name for row in rows}
    scores = [one for one in material.in_table1 if one.name in shown]
    return Content(context={"rows": rows}, plots=tuple(decision_panel(one, curve_of(one)) for one in scores))


SECTION = Section(name="benefit", title="Decision curves", group="Quality", build=build)
