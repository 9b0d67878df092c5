"""Figures of the report: each an SVG with its numbers as CSV beside it."""

from pefuse.report.figures.calibration import calibration_panel, risk_panel
from pefuse.report.figures.cohort import studies_by_year
from pefuse.report.figures.discrimination import roc_panels
from pefuse.report.figures.generalisation import validation_against_test
from pefuse.report.figures.importance import importance_panel
from pefuse.report.figures.style import Plot, inline_svg, write_plot
from pefuse.report.figures.training import training_panel

__all__ = [
    "Plot",
    "calibration_panel",
    "importance_panel",
    "inline_svg",
    "risk_panel",
    "roc_panels",
    "studies_by_year",
    "training_panel",
    "validation_against_test",
    "write_plot",
]
