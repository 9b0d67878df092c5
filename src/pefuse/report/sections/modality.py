"""Which modality moved the risk: each replaced by its average over the studies that the model learned from."""

from __future__ import annotations

from pefuse.report.explanations import read_modality
from pefuse.report.figures import modality_panels
from pefuse.report.modality import modality_findings
from pefuse.report.names import sorted_models
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    table = read_modality(material.folder)
    if table is None:
        return None
    names = sorted_models([str(name) for name in table["model"].unique()])
    ordered = table.assign(place=table["model"].map({name: place for place, name in enumerate(names)}))
    ordered = ordered.sort_values("place", kind="stable").drop(columns="place")
    outcome = material.run.outcome
    pairs = [modality_panels(name, ordered[ordered["model"] == name], outcome=outcome) for name in names]
    return Content(
        context={"findings": modality_findings(ordered, outcome=outcome), "pairs": pairs},
        plots=tuple(plot for pair in pairs for plot in pair),
    )


SECTION = Section(name="modality", title="Scan or record", group="Explanation", build=build)
