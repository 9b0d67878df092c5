"""ROC and precision-recall curves: a few models with bands, then all of Table 1."""

from __future__ import annotations

from collections.abc import Iterable

from pefuse.evaluation import precision_recall_band, roc_band
from pefuse.report.aggregation import ModelScores
from pefuse.report.figures import PRECISION_RECALL, ROC, Plot, banded_curve, curve_panels
from pefuse.report.names import Modality
from pefuse.report.resampling import patients_of
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]

BAND_RESAMPLES = 1000
FEWEST_OF_A_CLASS = 2  # a single death is in every resample: its band would be a line


def build(material: Material) -> Content:
    bands = _bands(material)
    roc = tuple(curve_panels(ROC, material.in_table1))
    precision_recall = tuple(curve_panels(PRECISION_RECALL, material.in_table1))
    return Content(
        context={"bands": bands, "roc": roc, "precision_recall": precision_recall, "resamples": BAND_RESAMPLES},
        plots=(*bands, *roc, *precision_recall),
    )


def _bands(material: Material) -> tuple[Plot, ...]:
    chosen = [one for one in _chosen(material) if _enough(one)]
    if not chosen:
        return ()
    patients, all_models = patients_of(material.run), [one for one, _ in material.judged]
    plots = []
    for kind, band_of in ((ROC, roc_band), (PRECISION_RECALL, precision_recall_band)):
        for one in chosen:
            label, score, clusters = one.test["label"], one.test["score"], patients.reindex(one.test.index)
            band = band_of(label, score, clusters=clusters, resamples=BAND_RESAMPLES)
            beside = [other for other in all_models if other.name != one.name]
            plots.append(banded_curve(kind, one, band, beside=beside))
    return tuple(plots)


def _chosen(material: Material) -> list[ModelScores]:
    """The reference, and the models of the scan and of the record alone that validation preferred."""
    names = [
        *([material.reference.name] if material.reference else []),
        *_preferred(material, ("ct", "ehr")),
    ]
    by_name = {one.name: one for one, _ in material.judged}
    return [by_name[name] for name in names if name in by_name]


def _preferred(material: Material, modalities: Iterable[Modality]) -> list[str]:
    """Never chosen by the test studies."""
    found = []
    for modality in modalities:
        able = [
            (model.validation_auc.value, model.name)
            for model in material.results.of_table(1)
            if (model.family, model.modality) == ("single", modality)
            and model.validation_auc is not None
            and model.validation_auc.value is not None
        ]
        found += [max(able)[1]] if able else []
    return found


def _enough(one: ModelScores) -> bool:
    return one.test["label"].value_counts().reindex([0, 1], fill_value=0).min() >= FEWEST_OF_A_CLASS


SECTION = Section(name="curves", title="ROC and PR curves", group="Quality", build=build)
