"""How much a result varies over folds and seeds."""

from __future__ import annotations

from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    repeats = material.results.repeats
    return Content() if repeats and repeats[0].repeats > 1 else None


SECTION = Section(name="spread", title="Folds and seeds", group="Quality", build=build)
