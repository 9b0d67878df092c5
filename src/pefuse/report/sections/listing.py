"""The sections of the page, in the order they are read. Those of one group stand together."""

from __future__ import annotations

from pefuse.report.sections import (
    asked,
    benefit,
    bundles,
    calibration,
    cases,
    checklists,
    cohort,
    comparison,
    curves,
    embedding,
    facts,
    fairness,
    generalisation,
    heat_truth,
    importance,
    limits,
    modality,
    operating_points,
    quarantine,
    regret,
    spread,
    table1,
    table2,
    table3,
    training,
    uncertainty,
)
from pefuse.report.sections.contract import Section

__all__ = ["SECTIONS"]

SECTIONS: tuple[Section, ...] = (
    # Question
    asked.SECTION,
    cohort.SECTION,
    # Results
    table1.SECTION,
    comparison.SECTION,
    operating_points.SECTION,
    table2.SECTION,
    fairness.SECTION,
    table3.SECTION,
    # Quality
    curves.SECTION,
    generalisation.SECTION,
    calibration.SECTION,
    benefit.SECTION,
    uncertainty.SECTION,
    regret.SECTION,
    spread.SECTION,
    training.SECTION,
    # Explanation
    importance.SECTION,
    modality.SECTION,
    embedding.SECTION,
    cases.SECTION,
    heat_truth.SECTION,
    # Run
    quarantine.SECTION,
    facts.SECTION,
    limits.SECTION,
    bundles.SECTION,
    checklists.SECTION,
)
