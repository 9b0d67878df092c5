"""What the models of the record went by: from the explanations, or, without any, as training kept it."""

from __future__ import annotations

from pefuse.report.explanations import read_not_explained, read_record_importance
from pefuse.report.figures import importance_panel
from pefuse.report.importance import agreement_sentence, importance_panels, reasons_sentences, same_sentence
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    names = {one.name for one in material.in_table1}
    explained = read_record_importance(material.folder)
    panels = importance_panels(explained, material.run.importance, names)
    if not panels:
        return None
    return Content(
        context={
            "explained": explained is not None,
            "methods": {panel.method for panel in panels},
            "same": [sentence for panel in panels if (sentence := same_sentence(panel))],
            "agreement": agreement_sentence(panels),
            "reasons": reasons_sentences(read_not_explained(material.folder), names),
        },
        plots=tuple(
            importance_panel(panel.models[0], panel.table.assign(model=panel.models[0]), method=panel.title)
            for panel in panels
        ),
    )


SECTION = Section(name="importance", title="Features", group="Explanation", build=build)
