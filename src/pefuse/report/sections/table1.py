"""Table 1: every model on the test studies, with the ideal predictors where the truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import Any

from pefuse.report.names import published_table1
from pefuse.report.results import ModelResult, Results
from pefuse.report.sections.contract import Content, Material, Section
from pefuse.report.tables import RATE_NAMES
from pefuse.report.wording import apart_sentence
from pefuse.types import DEATH

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    results = material.results
    return Content(
        context={
            "families": _families(results),
            "rate_names": RATE_NAMES,
            "paper": published_table1()["auc"].to_dict() if material.run.outcome == DEATH else {},
            "not_trained": [one.sentence for one in results.not_trained],
            "apart": apart_sentence(results),
            "ideal_auc": _ideal_auc(material.run.truth),
        }
    )


def _families(results: Results) -> list[list[ModelResult]]:
    """Rows in blocks, the ideal ones apart."""
    rows = [model for model in results.of_table(1) if model.family != "ideal"]
    return [list(group) for _, group in groupby(rows, key=lambda model: model.family)]


def _ideal_auc(truth: Mapping[str, Any]) -> dict[str, float] | None:
    """The ideal AUCs of the population that was simulated, not of this sample; None where they were not saved."""
    saved = truth.get("ideal_auc")
    if not isinstance(saved, Mapping) or not {"ct", "ehr", "both"} <= set(saved):
        return None
    return {seen: float(saved[seen]) for seen in ("ct", "ehr", "both")}


SECTION = Section(name="table1", title="Table 1: models", group="Results", build=build)
