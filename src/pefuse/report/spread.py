"""How a result varies: over subgroups of the patients (Table 2), and over folds and seeds of the training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pefuse.evaluation import SubgroupAuc, age_groups, subgroup_aucs, summarise_repeats
from pefuse.report.aggregation import ModelScores
from pefuse.report.names import model_name
from pefuse.report.results import Estimate, ModelResult, Repeats, Subgroup, SubgroupRow, estimate, told

__all__ = ["FITTED_ON_VALIDATION", "GROUPS", "over_repeats", "over_subgroups"]

SEXES = {"M": "male", "F": "female"}
AGES = ("0–50", "50–70", "70–95")
GROUPS = (*SEXES.values(), *AGES)
# Their weights or thresholds come from the validation studies: their AUC there is too good to be chosen by.
FITTED_ON_VALIDATION = ("late-average", "late-vote")


def over_subgroups(
    models: Sequence[ModelResult], scores: Sequence[ModelScores], studies: pd.DataFrame
) -> list[SubgroupRow]:
    """The rows of Table 2: the best model, chosen on validation, and the clinical scores.

    Args:
        studies: indexed by study_id, with the columns sex and age_years; empty = nothing is known of them.
    """
    if studies.empty:
        return []
    by_name = {one.name: one for one in scores}
    best = _best_on_validation(models)
    chosen = [(best, "highest validation AUC")] if best is not None else []
    chosen += [(one, "clinical score") for one in models if one.family == "score" and one.test is not None]
    return [_row(model, reason, by_name[model.name].test, studies) for model, reason in chosen]


def over_repeats(models: Sequence[ModelResult], scores: Sequence[ModelScores]) -> list[Repeats]:
    """The trained models of Table 1, each fold's and seed's alone on the test studies; best mean first."""
    learned = [one.name for one in models if one.table == 1 and one.family not in ("score", "ideal") and one.test]
    aucs = {one.name: one.fold_aucs.set_index(["seed", "fold"])["auc"] for one in scores if one.name in learned}
    if not aucs:
        return []
    return [
        Repeats(
            name=one.model,
            label=model_name(one.model).label,
            repeats=one.repeats,
            mean=one.mean,
            sd=told(one.sd),
            to_best=None if one.to_best is None or one.interval is None else estimate(one.to_best, one.interval),
            mean_rank=one.mean_rank,
        )
        for one in summarise_repeats(pd.DataFrame(aucs))
    ]


def _best_on_validation(models: Sequence[ModelResult]) -> ModelResult | None:
    able = [
        (model.validation_auc.value, model)
        for model in models
        if model.table == 1
        and model.family not in ("score", "ideal")
        and model.name not in FITTED_ON_VALIDATION
        and model.test is not None
        and model.validation_auc is not None
        and model.validation_auc.value is not None
    ]
    return max(able, key=lambda pair: pair[0])[1] if able else None


def _row(model: ModelResult, reason: str, test: pd.DataFrame, studies: pd.DataFrame) -> SubgroupRow:
    known = studies.reindex(test.index)
    sexes = known["sex"].map(SEXES).fillna("").tolist()
    ages = age_groups(known["age_years"].to_numpy(dtype=np.float64))
    label, score = test["label"], test["score"]
    found = [
        *subgroup_aucs(label, score, sexes, order=list(SEXES.values())),
        *subgroup_aucs(label, score, ages, order=AGES),
    ]
    assert model.test is not None
    return SubgroupRow(
        name=model.name,
        label=model.label,
        chosen_by=reason,
        full=model.test.auc,
        groups=tuple(_subgroup(one) for one in found),
    )


def _subgroup(one: SubgroupAuc) -> Subgroup:
    auc: Estimate | None = None
    if one.auc is not None and one.interval is not None:
        auc = estimate(one.auc, one.interval)
    return Subgroup(group=one.group, studies=one.cases, deaths=one.deaths, auc=auc)
