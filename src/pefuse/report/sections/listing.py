"""The sections of the page, in the order they are read. Those of one group stand together."""

from __future__ import annotations

from pefuse.report.sections import (
    asked,
    calibration,
    checklists,
    cohort,
    comparison,
    curves,
    facts,
    generalisation,
    importance,
    limits,
    quarantine,
    spread,
    table1,
    table2,
    table3,
    training,
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
    table2.SECTION,
    table3.SECTION,
    # Quality
    curves.SECTION,
    generalisation.SECTION,
    calibration.SECTION,
    spread.SECTION,
    training.SECTION,
    # Explanation
    importance.SECTION,
    # Run
    quarantine.SECTION,
    facts.SECTION,
    limits.SECTION,
    checklists.SECTION,
)
