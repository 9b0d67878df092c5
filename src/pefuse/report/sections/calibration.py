"""Calibration of the risks, what recalibration on validation brings, and who got which risk."""

from __future__ import annotations

from pefuse.report.estimates import Estimate
from pefuse.report.figures import calibration_panel, risk_panel
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    calibration = tuple(calibration_panel(one, judgement) for one, judgement in material.judged)
    risks = tuple(risk_panel(one, judgement) for one, judgement in material.judged)
    rows = material.results.evidence.calibration
    wrong = [row for row in rows if _surely_wrong(row.measures.observed_to_expected)]
    return Content(
        context={
            "calibration": calibration,
            "risks": risks,
            "rows": rows,
            "wrong": wrong,
            "recalibrated": [
                (row, {one.method: one.measures for one in row.recalibrated}) for row in rows if row.recalibrated
            ],
        },
        plots=(*calibration, *risks),
    )


def _surely_wrong(ratio: Estimate) -> bool:
    """Whether more or fewer died than predicted, beyond what chance explains."""
    return ratio.low is not None and ratio.high is not None and not ratio.low <= 1 <= ratio.high


SECTION = Section(name="calibration", title="Calibration", group="Quality", build=build)
