"""Two runs, model by model: paired on the same test studies, and unpaired where the patients are others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pandas as pd

from pefuse.errors import UsageError
from pefuse.evaluation import (
    Interval,
    auroc,
    brier_score,
    calibration_line,
    delong_interval,
    delong_test,
    difference_interval,
    holm,
    observed_to_expected,
    operating_point,
    validation_threshold,
)
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, estimate, told
from pefuse.report.names import model_name, sorted_models
from pefuse.report.runs.loading import LoadedRun
from pefuse.report.runs.settings import Changed, changed_settings, changed_versions
from pefuse.report.wording import counted

__all__ = ["ModelPair", "Relation", "RunPair", "Side", "compare_runs"]

Relation = Literal["paired", "unpaired", "apart"]
RATES = ("sensitivity", "specificity", "ppv", "npv")


@dataclass(frozen=True, kw_only=True)
class Side:
    """A model in one run, on the test studies that are compared; None = cannot be told.

    `intercept` and `slope` are of the calibration line, `observed_to_expected` is deaths seen by deaths foretold.
    `rates` are at the Youden threshold of the run's own validation studies. `fold_auc_mean` and `fold_auc_sd` are
    of the trained models one by one, on the test studies of the run's Table 1.
    """

    studies: int
    deaths: int
    auc: Estimate
    fold_auc_mean: float | None = None
    fold_auc_sd: float | None = None
    brier: float | None = None
    slope: float | None = None
    intercept: float | None = None
    observed_to_expected: Estimate | None = None
    threshold: float | None = None
    rates: dict[str, Estimate] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelPair:
    """A model in both runs. `difference` is the second's AUC minus the first's, the p-values paired DeLong tests'.

    `same`: each study got the same risk in both runs, as clinical scores do. Nothing is tested then.
    """

    name: str
    label: str
    ideal: bool
    first: Side
    second: Side
    difference: Estimate
    same: bool = False
    p_value: float | None = None
    p_holm: float | None = None

    @property
    def sure(self) -> bool:
        """Whether 0 lies outside the interval of the difference."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


@dataclass(frozen=True, kw_only=True)
class RunPair:
    """Two runs: `paired` on the same test studies, `unpaired` on other patients, `apart` with no difference told.

    `statement` says which and why; `settings` and `versions` hold only what differs.
    """

    first: LoadedRun
    second: LoadedRun
    relation: Relation
    statement: str
    models: tuple[ModelPair, ...] = field(repr=False)
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    settings: tuple[Changed, ...]
    versions: tuple[Changed, ...]


def compare_runs(runs: Sequence[LoadedRun]) -> list[RunPair]:
    """Each later run against the first.

    Raises:
        UsageError: a run has no model in common with the first.
    """
    return [_compare(runs[0], other) for other in runs[1:]]


def _compare(first: LoadedRun, second: LoadedRun) -> RunPair:
    relation, statement = _relation(first, second)
    names = [name for name in first.scores if name in second.scores and not _needless(name, relation)]
    if not any(model_name(name).family != "ideal" for name in names):
        raise UsageError(
            f"Runs {first.letter} and {second.letter} have no model in common: {first.letter} has "
            f"{', '.join(_models(first))}; {second.letter} has {', '.join(_models(second))}."
        )
    pairs = [_model(name, first.scores[name], second.scores[name], relation) for name in names]
    learnt = [one for one in pairs if not one.ideal]
    adjusted = holm([math.nan if one.p_value is None else one.p_value for one in learnt]).tolist()
    told_p = {one.name: told(p) for one, p in zip(learnt, adjusted, strict=True)}
    return RunPair(
        first=first,
        second=second,
        relation=relation,
        statement=statement,
        models=tuple(replace(one, p_holm=told_p.get(one.name)) for one in pairs),
        only_first=_labels(set(_models(first)) - set(_models(second))),
        only_second=_labels(set(_models(second)) - set(_models(first))),
        settings=changed_settings(first.run.config, second.run.config),
        versions=changed_versions(first.run.environment, second.run.environment),
    )


def _needless(name: str, relation: Relation) -> bool:
    """The ideal predictors of one cohort are the same in both runs."""
    return relation == "paired" and model_name(name).family == "ideal"


def _models(one: LoadedRun) -> list[str]:
    return [name for name in one.scores if model_name(name).family != "ideal"]


def _labels(names: set[str]) -> tuple[str, ...]:
    return tuple(model_name(name).label for name in sorted_models(list(names)))


def _relation(first: LoadedRun, second: LoadedRun) -> tuple[Relation, str]:
    """How the two can be held against each other, and the sentences that say so."""
    a, b = first.run, second.run
    letters = f"{first.letter} and {second.letter}"
    if (a.outcome, a.horizon_days) != (b.outcome, b.horizon_days):
        what = [f"{run.outcome} within {run.horizon_days} days" for run in (a, b)]
        return (
            "apart",
            f"{letters} foretell different things ({what[0]}; {what[1]}): their AUCs have no difference.",
        )
    ours, theirs = first.test_labels, second.test_labels
    digests = [run.cohort.get("studies_digest") for run in (a, b)]
    # An older run may lack the digest; then the test studies have to be the very same.
    if digests[0] != digests[1] or (digests[0] is None and ours != theirs):
        return "unpaired", (
            f"{letters} are of different cohorts ({first.cohort}; {second.cohort}): other patients. A difference "
            "may come from the patients as well as from the models, and is told with a wide, unpaired interval."
        )
    common = ours.keys() & theirs.keys()
    if not common:
        return "apart", f"{letters} are of one cohort, but have no test study in common: no difference is told."
    if changed := sum(ours[study] != theirs[study] for study in common):
        return "apart", (
            f"{letters} are of one cohort, but {counted(changed, 'test study', 'test studies')} of {len(common)} "
            "changed the outcome in between: no difference is told. Run the older one again."
        )
    fewer = f" of {len(ours)} and {len(theirs)}" if {len(ours), len(theirs)} != {len(common)} else ""
    return "paired", (
        f"{letters} are of one cohort and are compared on {counted(len(common), 'test study', 'test studies')}"
        f"{fewer} that both have, with {counted(sum(ours[study] for study in common), 'death')}: paired."
    )


def _model(name: str, first: ModelScores, second: ModelScores, relation: Relation) -> ModelPair:
    a, b = first.own_test, second.own_test
    if relation == "paired":
        common = a.index.intersection(b.index)
        a, b = a.loc[common], b.loc[common]
    shown = model_name(name)
    pair = ModelPair(
        name=name,
        label=shown.label,
        ideal=shown.family == "ideal",
        first=_side(a, first),
        second=_side(b, second),
        difference=Estimate(value=None),
    )
    if pair.first.problem or pair.second.problem or relation == "apart":
        return pair
    if relation == "unpaired":
        return replace(pair, difference=_unpaired(pair.first.auc, pair.second.auc))
    if a["score"].equals(b["score"]):
        return replace(pair, difference=Estimate(value=0.0), same=True)
    test = delong_test(a["label"], b["score"], a["score"])
    return replace(pair, difference=estimate(test.difference, test.interval), p_value=told(test.p_value))


def _unpaired(first: Estimate, second: Estimate) -> Estimate:
    assert first.value is not None
    assert second.value is not None
    interval = difference_interval(second.value, _interval(second), first.value, _interval(first))
    return estimate(second.value - first.value, interval)


def _interval(one: Estimate) -> Interval:
    low, high = (math.nan if bound is None else bound for bound in (one.low, one.high))
    return Interval(low, high, method=one.method)


def _side(test: pd.DataFrame, scores: ModelScores) -> Side:
    studies, deaths = len(test), int(test["label"].sum())
    problem = _problem(test, scores)
    if problem:
        return Side(studies=studies, deaths=deaths, auc=Estimate(value=None), problem=problem)
    label, risk, score = (test[column].to_numpy() for column in ("label", "risk", "score"))
    # A clinical score is the same in all folds: no spread to tell.
    folds = scores.fold_aucs["auc"] if model_name(scores.name).family != "score" else scores.fold_aucs["auc"][:0]
    line, ratio = calibration_line(label, risk), observed_to_expected(label, risk)
    side = Side(
        studies=studies,
        deaths=deaths,
        auc=estimate(auroc(label, score), delong_interval(label, score)),
        fold_auc_mean=told(folds.mean()),
        fold_auc_sd=told(folds.std(ddof=1)),
        brier=brier_score(label, risk),
        slope=told(line.slope),
        intercept=told(line.intercept),
        observed_to_expected=estimate(ratio.ratio, ratio.interval),
    )
    threshold = validation_threshold(scores.validation)
    if threshold is None:
        return side
    point = operating_point(label, score, threshold)
    intervals = point.intervals()
    rates = {name: estimate(getattr(point, name), intervals[name]) for name in RATES}
    return replace(side, threshold=threshold, rates=rates)


def _problem(test: pd.DataFrame, scores: ModelScores) -> str:
    if scores.problem:
        return scores.problem
    if test["label"].nunique() < 2:
        return "the test studies that are compared do not have both outcomes"
    return ""
