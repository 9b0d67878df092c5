"""Judge all models of a run: from its folder to `Results`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import pandas as pd

from pefuse.evaluation import (
    Interval,
    auroc,
    brier_score,
    calibration_line,
    can_be_ranked,
    delong_interval,
    difference_interval,
    expected_calibration_error,
    operating_point,
    validation_threshold,
)
from pefuse.report.aggregation import ModelScores, collect_scores
from pefuse.report.contrasts import compare_with, reference_model
from pefuse.report.evidence import ELSEWHERE, gather_evidence
from pefuse.report.names import ABLATED, Modality, model_name
from pefuse.report.resampling import RunBootstrap, patients_of
from pefuse.report.results import (
    RATES,
    Calibration,
    Estimate,
    Judgement,
    ModelResult,
    NotTrained,
    Results,
    estimate,
    told,
)
from pefuse.report.run_folder import RunFolder
from pefuse.report.spread import over_repeats, over_subgroups
from pefuse.report.tables.table3 import SECTIONS

__all__ = ["summarise_scores"]

ONE_PART = {variant for variants in SECTIONS.values() for variant in variants}


def summarise_scores(
    run: RunFolder, *, inputs: str, subgroups: Sequence[str] = (), prevalence: float = ELSEWHERE
) -> Results:
    """Judge all models of a run.

    Args:
        run: what the run saved.
        inputs: the digest of the files that were read.
        subgroups: columns that the user wants groups of, beside sex, age and site.
        prevalence: mortality of patients elsewhere, to re-express PPV and NPV at.

    Raises:
        RunError: a column of `subgroups` that is nowhere, or has too many values.
    """
    scores = collect_scores(run)
    ideal_aucs = {
        model_name(one.name).modality: auroc(one.test["label"], one.test["score"])
        for one in scores
        if model_name(one.name).family == "ideal" and not one.problem
    }
    test = run.predictions[run.predictions["split"] == "test"].drop_duplicates("study_id")
    judged = test[test["study_id"].isin({study for one in scores for study in one.test.index})]
    reference = reference_model(scores)
    places = {one.name: table_of(one.name, run.config) for one in scores}
    bootstrap = RunBootstrap(scores, patients_of(run))
    models = tuple(_model_result(one, ideal_aucs, places[one.name], bootstrap) for one in scores)
    rows = tuple(over_subgroups(models, scores, run.studies))
    return Results(
        inputs=inputs,
        simulated=run.simulated,
        horizon_days=run.horizon_days,
        test_studies=len(judged),
        test_deaths=int(judged["label"].sum()),
        all_test_studies=len(test),
        quarantined=len(run.quarantine),
        not_trained=tuple(_not_trained(run.failed)),
        models=models,
        reference=reference.name if reference else None,
        comparisons=tuple(compare_with(reference, scores, places, bootstrap)) if reference else (),
        subgroups=rows,
        repeats=tuple(over_repeats(models, scores)),
        evidence=gather_evidence(
            run,
            [one for one in scores if places[one.name] == 1],
            compared=[*([reference.name] if reference else []), *(row.name for row in rows)],
            subgroups=subgroups,
            prevalence=prevalence,
        ),
    )


def _not_trained(failed: pd.DataFrame) -> Iterator[NotTrained]:
    """Each model once, with the reason of its first fold."""
    for row in failed.drop_duplicates("model").to_dict("records"):
        shown = model_name(str(row["model"]))
        yield NotTrained(name=shown.name, label=shown.label, reason=str(row["reason"]))


def table_of(name: str, config: Mapping[str, Any]) -> Literal[0, 1, 3]:
    """Which table a model stands in. With `ablations` the full model with one part changed is Table 3's."""
    shown = model_name(name)
    if not config.get("ablations") or not shown.variant:
        return 1
    if shown.base == ABLATED and shown.variant in ONE_PART:
        return 3
    return 0 if shown.family == "single" else 1


def _model_result(
    scores: ModelScores, ideal_aucs: dict[Modality, float], table: Literal[0, 1, 3], bootstrap: RunBootstrap
) -> ModelResult:
    shown = model_name(scores.name)
    validation_auc = _auc_estimate(scores.validation) if can_be_ranked(scores.validation) else None
    test = _judge(scores, bootstrap) if not scores.problem else None
    drop = _drop(validation_auc, test.auc) if validation_auc and test else None
    # A clinical score is the same in all folds: no spread to tell.
    aucs = scores.fold_aucs["auc"] if shown.family != "score" else pd.Series(dtype=float)
    ideal = ideal_aucs.get(shown.modality) if shown.family != "ideal" else None
    return ModelResult(
        name=shown.name,
        label=shown.label,
        table=table,
        variant=shown.variant,
        family=shown.family,
        modality=shown.modality,
        studies=len(scores.test),
        deaths=int(scores.test["label"].sum()),
        own_studies=len(scores.own_test),
        own_auc=_own_auc(scores),
        problem=scores.problem,
        test=test,
        all_equal=test is not None and scores.test["score"].nunique() == 1,
        validation_studies=len(scores.validation),
        validation_auc=validation_auc,
        fold_auc_mean=told(aucs.mean()) if len(aucs) else None,
        fold_auc_sd=told(aucs.std(ddof=1)) if len(aucs) > 1 else None,
        fold_models=len(aucs),
        drop=drop,
        dropped=drop is not None and drop.low is not None and drop.low > 0,
        regret=ideal - test.auc.value if ideal is not None and test and test.auc.value is not None else None,
    )


def _own_auc(scores: ModelScores) -> Estimate | None:
    more = len(scores.own_test) > len(scores.test)
    return _auc_estimate(scores.own_test) if more and can_be_ranked(scores.own_test) else None


def _judge(scores: ModelScores, bootstrap: RunBootstrap) -> Judgement:
    label, risk, score = (scores.test[column].to_numpy() for column in ("label", "risk", "score"))
    line = calibration_line(label, risk)
    judgement = Judgement(
        auc=_auc_estimate(scores.test),
        average_precision=bootstrap.average_precision(scores),
        calibration=Calibration(
            brier=brier_score(label, risk),
            expected_error=expected_calibration_error(label, risk),
            slope=told(line.slope),
            intercept=told(line.intercept),
        ),
    )
    threshold = validation_threshold(scores.validation)
    if threshold is None:
        return judgement  # it must never come from the test studies
    point = operating_point(label, score, threshold)
    intervals = point.intervals()
    rates = {name: estimate(getattr(point, name), intervals[name]) for name in RATES}
    return judgement.model_copy(
        update={
            "threshold": threshold,
            "tp": point.tp,
            "fn": point.fn,
            "fp": point.fp,
            "tn": point.tn,
            "rates": rates,
        }
    )


def _drop(validation: Estimate, test: Estimate) -> Estimate:
    """Validation AUC minus test AUC; the studies differ, so the two are independent."""
    if validation.value is None or test.value is None:
        return Estimate(value=None)
    interval = difference_interval(validation.value, _interval(validation), test.value, _interval(test))
    return estimate(validation.value - test.value, interval)


def _auc_estimate(table: pd.DataFrame) -> Estimate:
    label, score = table["label"], table["score"]
    return estimate(auroc(label, score), delong_interval(label, score))


def _interval(estimate: Estimate) -> Interval:
    low, high = (math.nan if bound is None else bound for bound in (estimate.low, estimate.high))
    return Interval(low, high, method=estimate.method)
