"""ROC curves of the models of Table 1."""

from __future__ import annotations

from pefuse.report.figures import roc_panels
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    return Content(plots=tuple(roc_panels(material.in_table1)))


SECTION = Section(name="curves", title="ROC curves", group="Quality", build=build)
