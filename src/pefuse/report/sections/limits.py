"""What to know before believing a number of this run."""

from __future__ import annotations

from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.wording import limits

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    return Content(context={"notes": limits(material.results, seeds=material.seeds, config=material.run.config)})


SECTION = Section(name="limits", title="Limits", group="Run", build=build)
