"""SHAP values of boosted trees: how many log-odds each feature of the record added for a patient.

Lundberg et al. 2020 (Nature Machine Intelligence 2:56), exact for trees, as XGBoost computes it: what the features
added and the base together are the model's logit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pefuse.ehr import RawRecord
from pefuse.errors import BundleError
from pefuse.explain.features import features_of
from pefuse.explain.importance import ColumnImportance, FeatureImportance, NotExplained, named, row_shares
from pefuse.models.bundle import Bundle, TreesModel

__all__ = ["tree_importance"]

MOST_GAP = 1e-3  # between the sum of contributions and the logit; XGBoost adds up in single precision
NO_TREES = NotExplained(reason="The model does not read the record with trees.")


def tree_importance(
    bundle: Bundle, study_ids: Sequence[str], record: RawRecord
) -> FeatureImportance | NotExplained:
    """SHAP values of each member's trees, averaged over members, summed up from columns to features.

    The values of a feature's columns (its number, its categories, whether it is missing) are added with their
    signs: additivity stays. `shares` are the features' parts in the sum of absolute values.

    Raises:
        UsageError: no study, or one that was not extracted.
        RecordError: the record is in another form than the model was trained on.
        BundleError: the contributions do not add up to the logit.
    """
    if not all(isinstance(member.model, TreesModel) for member in bundle.members):
        return NO_TREES
    features = features_of(bundle)
    keys = tuple(features)
    inputs = bundle.prepared_features(named(study_ids), record)
    effects = np.zeros((len(bundle.members), len(study_ids), len(keys)))
    base = np.zeros((len(bundle.members), len(study_ids)))
    columns: list[ColumnImportance] = []
    for row, member in enumerate(bundle.members):
        model = member.model
        assert isinstance(model, TreesModel)
        values = inputs[id(model.preparation)]
        found = model.trees.contributions(values)
        importance = np.abs(found.columns).mean(axis=0)
        columns.append(ColumnImportance.of(importance, model.preparation.columns, keys))
        np.add.at(effects[row].T, columns[-1].features, found.columns.T)
        base[row] = found.base
        gap = np.abs(effects[row].sum(axis=1) + base[row] - model.trees.predict_logit(values))
        if not (gap <= MOST_GAP).all():
            raise BundleError(
                f"The trees' contributions miss their logit by {gap.max():.2g}: the model's trees are damaged."
            )
    mean = effects.mean(axis=0)  # (N, F)
    return FeatureImportance(
        method="shap",
        study_ids=tuple(study_ids),
        features=tuple(features.values()),
        shares=row_shares(np.abs(mean)),
        by_member=row_shares(np.abs(effects).mean(axis=1)),
        columns=tuple(columns),
        effects=mean,
        base=base.mean(axis=0),
    )
