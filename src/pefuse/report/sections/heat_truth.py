"""Explanations against the truth of a simulated cohort: does the heat find the heart, the ranking the signal?"""

from __future__ import annotations

from pefuse.report.explanations import read_heat_truth, read_record_truth, read_summary
from pefuse.report.figures import heat_hits_panel, heat_share_panel, signal_panel
from pefuse.report.heat_truth import (
    Verdict,
    distinct_rankings,
    heat_by_structure,
    heat_verdicts,
    labelled_only,
    left_ventricle_sentence,
    record_verdicts,
    strained_parts,
)
from pefuse.report.names import sorted_models
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    heat, record = read_heat_truth(material.folder), read_record_truth(material.folder)
    lacking: list[str] = []
    if heat is not None:
        labelled, lacking = labelled_only(heat)
        heat = labelled if len(labelled) else None
    if heat is None and record is None:
        return None
    verdicts: dict[str, list[Verdict]] = {"heat": [], "record": []}
    heat_plots, record_plots = [], []
    same: list[str] = []
    left_ventricle = ""
    if heat is not None:
        by_structure = heat_by_structure(heat)
        left_ventricle = left_ventricle_sentence(by_structure)
        shown = read_summary(material.folder)
        verdicts["heat"] = heat_verdicts(heat, first=shown.method if shown else "")
        for model in sorted_models([str(name) for name in by_structure["model"].unique()]):
            rows = by_structure[by_structure["model"] == model]
            heat_plots += [heat_share_panel(model, rows), heat_hits_panel(model, rows)]
    if record is not None:
        record, same = distinct_rankings(record)
        verdicts["record"] = record_verdicts(record)
        record_plots = [
            signal_panel(model, record[record["model"] == model])
            for model in sorted_models([str(name) for name in record["model"].unique()])
        ]
    return Content(
        context={
            "verdicts": verdicts,
            "strained": strained_parts(lacking),
            "lacking": lacking,
            "left_ventricle": left_ventricle,
            "same": same,
            "heat_plots": heat_plots,
            "record_plots": record_plots,
        },
        plots=(*heat_plots, *record_plots),
    )


SECTION = Section(name="heat-truth", title="Heat against truth", group="Explanation", build=build)
