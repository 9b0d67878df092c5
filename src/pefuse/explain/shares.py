"""Which features counted, as a page shows them: for each study with names, values and units, and over a cohort."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pefuse.ehr import RawRecord
from pefuse.explain.features import FeatureWords
from pefuse.explain.importance import FeatureImportance, NotExplained
from pefuse.explain.record import mask_importance
from pefuse.explain.trees import tree_importance
from pefuse.models.bundle import Bundle

__all__ = ["FeatureShare", "feature_importance", "feature_shares", "record_importance_table"]

MOST_FEATURES = 12


@dataclass(frozen=True, kw_only=True)
class FeatureShare:
    """One feature of one study. `value` is None where it is missing or a word; `text` says it in any case.

    `share` is of all that the model took from the record, `steps` (S,) of what each step of TabNet looked at
    (empty for trees), `effect` the log-odds that it added (trees only). `usual`: of the reference studies.
    """

    name: str
    value: float | None
    unit: str
    text: str
    share: float
    steps: tuple[float, ...]
    usual: str
    effect: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As it stands in a case's file."""
        told = {} if self.effect is None else {"effect": round(self.effect, 4)}
        return {
            "name": self.name,
            "value": None if self.value is None else float(f"{self.value:.6g}"),
            "unit": self.unit,
            "text": self.text,
            "share": round(self.share, 4),
            "steps": [round(step, 4) for step in self.steps],
            "usual": self.usual,
            **told,
        }


def feature_importance(
    bundle: Bundle, study_ids: Sequence[str], record: RawRecord
) -> FeatureImportance | NotExplained:
    """By the method that fits the model: SHAP values of trees, else TabNet's masks."""
    if bundle.architecture == "trees":
        return tree_importance(bundle, study_ids, record)
    return mask_importance(bundle, study_ids, record)


def feature_shares(
    bundle: Bundle,
    study_ids: Sequence[str],
    record: RawRecord,
    *,
    reference: Sequence[str] = (),
    most: int = MOST_FEATURES,
) -> dict[str, list[FeatureShare]] | NotExplained:
    """For each study the features that counted most, highest share first, at most `most`; none of a share of 0.

    Args:
        reference: studies that "usual" is told of, say those that the model learned from; they are in `record`.

    Raises:
        UsageError, RecordError, BundleError: as `mask_importance` and `tree_importance`.
    """
    found = feature_importance(bundle, study_ids, record)
    if isinstance(found, NotExplained):
        return found
    words = FeatureWords(record=record, reference=reference)
    return {study_id: _of_study(found, row, words, most) for row, study_id in enumerate(found.study_ids)}


def record_importance_table(
    bundles: Iterable[Bundle], study_ids: Sequence[str], record: RawRecord
) -> tuple[pd.DataFrame, dict[str, str]]:
    """Importance of each feature over the studies and members, for every model that has one.

    Returns:
        model, method (masks, shap), feature, importance, highest first within a model, together 1; and for each
        model without any the reason.
    """
    tables, reasons = [], {}
    for bundle in bundles:
        found = feature_importance(bundle, study_ids, record)
        if isinstance(found, NotExplained):
            reasons[bundle.model] = found.reason
            continue
        table = found.table().drop(columns="key")
        tables.append(table.assign(model=bundle.model, method=found.method))
    columns = ["model", "method", "feature", "importance"]
    whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
    return whole[columns], reasons


def _of_study(found: FeatureImportance, row: int, words: FeatureWords, most: int) -> list[FeatureShare]:
    shares = found.shares[row]
    order = sorted(range(len(shares)), key=lambda place: (-shares[place], found.features[place].name))[:most]
    study_id = found.study_ids[row]
    return [
        FeatureShare(
            name=words.name(feature),
            value=words.value(feature, study_id),
            unit=words.unit(feature),
            text=words.text(feature, study_id),
            share=float(shares[place]),
            steps=tuple(float(step) for step in found.steps[:, row, place]) if found.steps is not None else (),
            usual=words.usual(feature),
            effect=float(found.effects[row, place]) if found.effects is not None else None,
        )
        for place in order
        if shares[place] > 0
        for feature in (found.features[place],)
    ]
