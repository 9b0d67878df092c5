"""Uncertainty: sets of outcomes with stated coverage, an ensemble against a single model, seeds against folds."""

from __future__ import annotations

from itertools import groupby

from pefuse.report.figures import conformal_bars
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]

DRAWN = 0.90  # stated coverage of the figure


def build(material: Material) -> Content | None:
    evidence = material.results.evidence
    if not (evidence.conformal or evidence.ensembles):
        return None
    drawn = [row for row in evidence.conformal if row.stated == DRAWN]
    by_model = [(name, list(rows)) for name, rows in groupby(evidence.conformal, key=lambda row: row.label)]
    fewest = min((row.validation_deaths for row in evidence.conformal), default=0)
    return Content(
        context={
            "conformal": drawn,
            "by_model": by_model,
            "fewest": fewest,
            "ensembles": evidence.ensembles,
            "spreads": {row.name: row for row in evidence.spreads},
        },
        plots=(conformal_bars(drawn),) if drawn else (),
    )


SECTION = Section(name="uncertainty", title="Uncertainty", group="Quality", build=build)
