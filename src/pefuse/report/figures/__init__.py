"""Figures of the report: each an SVG with its numbers as CSV beside it."""

from pefuse.report.figures.benefit import decision_panel
from pefuse.report.figures.calibration import calibration_panel, risk_panel
from pefuse.report.figures.cases import case_risks
from pefuse.report.figures.cohort import studies_by_year
from pefuse.report.figures.conformal import conformal_bars
from pefuse.report.figures.curve_bands import banded_curve
from pefuse.report.figures.discrimination import PRECISION_RECALL, ROC, curve_panels
from pefuse.report.figures.embedding import EmbeddingPanel, embedding_figure
from pefuse.report.figures.forest import FOREST_MEASURES, forest_panel
from pefuse.report.figures.generalisation import validation_against_test
from pefuse.report.figures.heat import heat_hits_panel, heat_share_panel, signal_panel
from pefuse.report.figures.importance import importance_panel
from pefuse.report.figures.modality import modality_panels
from pefuse.report.figures.regret import regret_panel
from pefuse.report.figures.style import Plot, inline_svg, write_plot
from pefuse.report.figures.training import training_panel

__all__ = [
    "FOREST_MEASURES",
    "PRECISION_RECALL",
    "ROC",
    "EmbeddingPanel",
    "Plot",
    "banded_curve",
    "calibration_panel",
    "case_risks",
    "conformal_bars",
    "curve_panels",
    "decision_panel",
    "embedding_figure",
    "forest_panel",
    "heat_hits_panel",
    "heat_share_panel",
    "importance_panel",
    "inline_svg",
    "modality_panels",
    "regret_panel",
    "risk_panel",
    "signal_panel",
    "studies_by_year",
    "training_panel",
    "validation_against_test",
    "write_plot",
]
