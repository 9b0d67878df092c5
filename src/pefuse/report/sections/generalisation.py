"""Whether models keep on the test studies what validation promised."""

from __future__ import annotations

from pefuse.report.figures import validation_against_test
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.wording import drop_sentence, dropped_models

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    results = material.results
    plot = validation_against_test(results.of_table(1))
    return Content(
        context={"dropped": [drop_sentence(model) for model in dropped_models(results)]},
        plots=(plot,) if plot is not None else (),
    )


SECTION = Section(name="generalisation", title="Validation against test", group="Quality", build=build)
