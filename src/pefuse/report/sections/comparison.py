"""Whether the reference is really better than the other models."""

from __future__ import annotations

from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    results = material.results
    if material.reference is None or not results.comparisons:
        return None
    return Content(context={"regrets": {model.name: model.regret for model in results.models}})


SECTION = Section(name="comparison", title="Comparison", group="Results", build=build)
