"""Calibration of the risks, and who got which risk."""

from __future__ import annotations

from pefuse.report.figures import calibration_panel, risk_panel
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    calibration = tuple(calibration_panel(one, judgement) for one, judgement in material.judged)
    risks = tuple(risk_panel(one, judgement) for one, judgement in material.judged)
    return Content(context={"calibration": calibration, "risks": risks}, plots=(*calibration, *risks))


SECTION = Section(name="calibration", title="Calibration", group="Quality", build=build)
