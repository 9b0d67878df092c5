"""Whether the reference is really better than the other models, and what a test set would need to show it."""

from __future__ import annotations

from pefuse.report.power_wording import size_in_words, size_sentence
from pefuse.report.results import ModelResult, Results
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.spread import FITTED_ON_VALIDATION

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    results, reference = material.results, material.reference
    if reference is None or not results.comparisons:
        return None
    compared = [one for one in results.comparisons if one.table == 1]
    rival = _rival(results, reference)
    return Content(
        context={
            "compared": compared,
            "regrets": {model.name: model.regret for model in results.models},
            "sizes": {one.name: size_in_words(one.test_size) for one in compared},
            "rival_size": next((size_sentence(one) for one in compared if one.name == rival), ""),
            "size_sentences": [size_sentence(one) for one in compared],
            "thresholded": [one for one in compared if one.discordance],
            "reclassified": [one for one in compared if one.integrated_discrimination],
        }
    )


def _rival(results: Results, reference: ModelResult) -> str:
    """The learned model that validation puts next to the reference; the test studies have no say.

    None of those that were fitted on validation: as for Table 2.
    """
    able = [
        (model.validation_auc.value, model.name)
        for model in results.of_table(1)
        if model.name != reference.name
        and model.family not in ("score", "ideal")
        and model.name not in FITTED_ON_VALIDATION
        and model.validation_auc is not None
        and model.validation_auc.value is not None
    ]
    return max(able)[1] if able else ""


SECTION = Section(name="comparison", title="Comparison", group="Results", build=build)
