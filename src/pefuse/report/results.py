"""Results of a run: every number that the tables and the page show, as written to `results.json`."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
from pydantic import BaseModel, ConfigDict

from pefuse.evaluation import (
    Interval,
    auroc,
    average_precision,
    brier_score,
    calibration_line,
    can_be_ranked,
    delong_interval,
    delong_test,
    difference_interval,
    expected_calibration_error,
    holm,
    operating_point,
    validation_threshold,
)
from pefuse.report.aggregation import ModelScores, collect_scores
from pefuse.report.names import Family, Modality, model_name
from pefuse.report.run_folder import RunFolder

__all__ = [
    "Calibration",
    "Comparison",
    "Estimate",
    "Judgement",
    "ModelResult",
    "NotTrained",
    "Results",
    "inputs_digest",
    "load_results",
    "summarise_scores",
]

FORMAT = 2  # of results.json: an older one is computed again
RATES = ("accuracy", "specificity", "sensitivity", "ppv", "npv")
INPUTS = ("predictions.csv", "ideal.csv", "cohort.json", "quarantine.csv", "failed.csv")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(_Frozen):
    """A number with its 95 % interval and how that was computed; None = cannot be told."""

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""


class Calibration(_Frozen):
    """How well risks match what happened on the test studies; None = cannot be told."""

    brier: float
    expected_error: float
    slope: float | None
    intercept: float | None


class Judgement(_Frozen):
    """A model on the test studies; rates at the Youden threshold of its validation studies."""

    auc: Estimate
    average_precision: float
    calibration: Calibration
    threshold: float | None = None
    tp: int | None = None
    fn: int | None = None
    fp: int | None = None
    tn: int | None = None
    rates: dict[str, Estimate] = {}


class ModelResult(_Frozen):
    """One row of Table 1.

    `drop` is validation AUC minus test AUC; `dropped` says that its interval lies above 0. `regret` is the ideal
    AUC of what the model sees minus its own (simulated cohorts). `problem` says why `test` is None. `studies` and
    `deaths` are those that all models judged; `own_studies` are all that this model did, `own_auc` is its AUC
    there, None where they are the same.
    """

    name: str
    label: str
    family: Family
    modality: Modality
    studies: int
    deaths: int
    own_studies: int
    own_auc: Estimate | None = None
    problem: str = ""
    test: Judgement | None = None
    validation_studies: int
    validation_auc: Estimate | None = None
    fold_auc_mean: float | None = None
    fold_auc_sd: float | None = None
    fold_models: int
    drop: Estimate | None = None
    dropped: bool = False
    regret: float | None = None


class Comparison(_Frozen):
    """Paired DeLong test of a model against the reference, on the studies that both judged."""

    name: str
    label: str
    studies: int
    difference: Estimate
    p_value: float | None
    p_holm: float | None


class NotTrained(_Frozen):
    """A model that has no row, and why."""

    name: str
    label: str
    reason: str


class Results(_Frozen):
    """All numbers of a run.

    `test_studies` and `test_deaths` are those that Table 1 is about: the ones that all models judged, of
    `all_test_studies`. `quarantined` counts scans that could not be used. `reference` is the model that the others
    are compared with.
    """

    format: int = FORMAT
    inputs: str
    level: float = 0.95
    simulated: bool
    horizon_days: int
    test_studies: int
    test_deaths: int
    all_test_studies: int
    quarantined: int = 0
    not_trained: tuple[NotTrained, ...] = ()
    models: tuple[ModelResult, ...]
    reference: str | None = None
    comparisons: tuple[Comparison, ...] = ()


def summarise_scores(run: RunFolder, *, inputs: str) -> Results:
    """Judge all models of a run. `inputs` is the digest of the files that were read."""
    scores = collect_scores(run)
    ideal_aucs = {
        model_name(one.name).modality: auroc(one.test["label"], one.test["score"])
        for one in scores
        if model_name(one.name).family == "ideal" and not one.problem
    }
    test = run.predictions[run.predictions["split"] == "test"].drop_duplicates("study_id")
    judged = test[test["study_id"].isin({study for one in scores for study in one.test.index})]
    reference = _reference(scores)
    return Results(
        inputs=inputs,
        simulated=run.simulated,
        horizon_days=run.horizon_days,
        test_studies=len(judged),
        test_deaths=int(judged["label"].sum()),
        all_test_studies=len(test),
        quarantined=len(run.quarantine),
        not_trained=tuple(_not_trained(run.failed)),
        models=tuple(_model_result(one, ideal_aucs) for one in scores),
        reference=reference.name if reference else None,
        comparisons=tuple(_comparisons(scores, reference)) if reference else (),
    )


def inputs_digest(folder: Path) -> str:
    """A hash of the files that results are computed from."""
    digest = hashlib.sha256()
    for name in INPUTS:
        path = folder / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"-") + b"\0")
    return digest.hexdigest()


def load_results(folder: Path) -> Results | None:
    """The saved results; None where there are none or they belong to other inputs."""
    path = folder / "results.json"
    if not path.is_file():
        return None
    try:
        results = Results.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # of an older version, or damaged: they are computed again
    return results if (results.format, results.inputs) == (FORMAT, inputs_digest(folder)) else None


def _not_trained(failed: pd.DataFrame) -> Iterator[NotTrained]:
    """Each model once, with the reason of its first fold."""
    for row in failed.drop_duplicates("model").to_dict("records"):
        shown = model_name(str(row["model"]))
        yield NotTrained(name=shown.name, label=shown.label, reason=str(row["reason"]))


def _model_result(scores: ModelScores, ideal_aucs: dict[Modality, float]) -> ModelResult:
    shown = model_name(scores.name)
    validation_auc = _auc_estimate(scores.validation) if can_be_ranked(scores.validation) else None
    test = _judge(scores) if not scores.problem else None
    drop = _drop(validation_auc, test.auc) if validation_auc and test else None
    # A clinical score is the same in all folds: no spread to tell.
    aucs = scores.fold_aucs["auc"] if shown.family != "score" else pd.Series(dtype=float)
    ideal = ideal_aucs.get(shown.modality) if shown.family != "ideal" else None
    return ModelResult(
        name=shown.name,
        label=shown.label,
        family=shown.family,
        modality=shown.modality,
        studies=len(scores.test),
        deaths=int(scores.test["label"].sum()),
        own_studies=len(scores.own_test),
        own_auc=_own_auc(scores),
        problem=scores.problem,
        test=test,
        validation_studies=len(scores.validation),
        validation_auc=validation_auc,
        fold_auc_mean=_told(aucs.mean()) if len(aucs) else None,
        fold_auc_sd=_told(aucs.std(ddof=1)) if len(aucs) > 1 else None,
        fold_models=len(aucs),
        drop=drop,
        dropped=drop is not None and drop.low is not None and drop.low > 0,
        regret=ideal - test.auc.value if ideal is not None and test and test.auc.value is not None else None,
    )


def _own_auc(scores: ModelScores) -> Estimate | None:
    more = len(scores.own_test) > len(scores.test)
    return _auc_estimate(scores.own_test) if more and can_be_ranked(scores.own_test) else None


def _judge(scores: ModelScores) -> Judgement:
    label, risk, score = (scores.test[column].to_numpy() for column in ("label", "risk", "score"))
    line = calibration_line(label, risk)
    judgement = Judgement(
        auc=_auc_estimate(scores.test),
        average_precision=average_precision(label, score),
        calibration=Calibration(
            brier=brier_score(label, risk),
            expected_error=expected_calibration_error(label, risk),
            slope=_told(line.slope),
            intercept=_told(line.intercept),
        ),
    )
    threshold = validation_threshold(scores.validation)
    if threshold is None:
        return judgement  # it must never come from the test studies
    point = operating_point(label, score, threshold)
    intervals = point.intervals()
    rates = {name: _estimate(getattr(point, name), intervals[name]) for name in RATES}
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
    return _estimate(validation.value - test.value, interval)


def _reference(scores: list[ModelScores]) -> ModelScores | None:
    """The paper's own model; else the first joint fusion. Never chosen by its result."""
    able = [one for one in scores if not one.problem and model_name(one.name).family == "joint"]
    named = [one for one in able if one.name == "intermediate-sanet"]
    return next(iter(named or able), None)


def _comparisons(scores: list[ModelScores], reference: ModelScores) -> list[Comparison]:
    others = [
        one
        for one in scores
        if not one.problem and one.name != reference.name and model_name(one.name).family != "ideal"
    ]
    compared = [_compare(one, reference) for one in others]
    adjusted = holm([math.nan if one.p_value is None else one.p_value for one in compared])
    return [
        one.model_copy(update={"p_holm": _told(p)}) for one, p in zip(compared, adjusted.tolist(), strict=True)
    ]


def _compare(one: ModelScores, reference: ModelScores) -> Comparison:
    common = reference.test.index.intersection(one.test.index)
    ours, theirs = reference.test.loc[common], one.test.loc[common]
    shown = model_name(one.name)
    result = Comparison(
        name=shown.name,
        label=shown.label,
        studies=len(common),
        difference=Estimate(value=None),
        p_value=None,
        p_holm=None,
    )
    if ours["label"].nunique() < 2:
        return result
    test = delong_test(ours["label"], ours["score"], theirs["score"])
    difference = _estimate(test.difference, test.interval)
    return result.model_copy(update={"difference": difference, "p_value": _told(test.p_value)})


def _auc_estimate(table: pd.DataFrame) -> Estimate:
    label, score = table["label"], table["score"]
    return _estimate(auroc(label, score), delong_interval(label, score))


def _estimate(value: float, interval: Interval) -> Estimate:
    return Estimate(value=_told(value), low=_told(interval.low), high=_told(interval.high), method=interval.method)


def _interval(estimate: Estimate) -> Interval:
    low, high = (math.nan if bound is None else bound for bound in (estimate.low, estimate.high))
    return Interval(low, high, method=estimate.method)


def _told(value: float) -> float | None:
    """None for what cannot be told (NaN, infinite): JSON has no such numbers."""
    return float(value) if math.isfinite(value) else None
