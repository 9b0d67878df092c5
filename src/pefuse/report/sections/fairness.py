"""Fairness: the models of Table 2 and the reference in each group, beyond the AUC."""

from __future__ import annotations

from collections.abc import Sequence

from pefuse.report.evidence import FairnessRow
from pefuse.report.figures import FOREST_MEASURES, forest_panel
from pefuse.report.names import model_name
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.tables import TOO_FEW

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    rows = material.results.evidence.fairness
    if not rows:
        return None
    tables = [
        (name, [row for row in rows if row.name == name]) for name in dict.fromkeys(row.name for row in rows)
    ]
    drawn = _drawn(rows, material.results.reference)
    return Content(
        context={
            "tables": [(model_name(name).label, of) for name, of in tables],
            "measures": FOREST_MEASURES,
            "too_few": TOO_FEW,
            "gaps": [(row, gap) for row in drawn for gap in row.gaps if model_name(row.name).family != "score"],
        },
        plots=tuple(forest_panel(drawn, measure) for measure in FOREST_MEASURES),
    )


def _drawn(rows: Sequence[FairnessRow], reference: str | None) -> list[FairnessRow]:
    """The reference, the best learnt model and the first clinical score: more than three marks a row blur."""
    names = list(dict.fromkeys(row.name for row in rows))
    learnt = [name for name in names if model_name(name).family != "score"]
    scores = [name for name in names if model_name(name).family == "score"]
    first = [name for name in learnt if name == reference] + [name for name in learnt if name != reference]
    chosen = [*first[:2], *scores][:3]
    return [row for name in chosen for row in rows if row.name == name]


SECTION = Section(name="fairness", title="Subgroups: fairness", group="Results", build=build)
