"""Uncertainty: what cannot be ruled out for a patient, what averaging members brings, and training's luck."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pefuse.evaluation import (
    conformal_coverage,
    ensemble_gain,
    fewest_for_coverage,
    fit_conformal,
    training_spread,
)
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, Frozen, estimate, told
from pefuse.report.names import model_name

__all__ = [
    "COVERAGES",
    "ConformalRow",
    "EnsembleRow",
    "SpreadRow",
    "conformal_rows",
    "ensemble_rows",
    "spread_rows",
]

COVERAGES = (0.80, 0.90, 0.95)


class ConformalRow(Frozen):
    """A model's sets on the test studies at one stated coverage of each outcome, calibrated on validation.

    `death_from`, `survival_to`: the cuts; None = too few validation studies of that outcome, so it is in every
    set. `coverage`, `death_coverage`, `survivor_coverage`: on test, with Wilson's interval.
    """

    name: str
    label: str
    stated: float
    death_from: float | None
    survival_to: float | None
    validation_deaths: int
    fewest_deaths: int
    only_death: int
    only_survival: int
    both: int
    neither: int
    mean_size: float
    coverage: Estimate
    death_coverage: Estimate
    survivor_coverage: Estimate


class EnsembleRow(Frozen):
    """The mean over folds and seeds against a single member: its AUC, Brier score, and the differences."""

    name: str
    label: str
    members: int
    auc: Estimate
    brier: Estimate


class SpreadRow(Frozen):
    """Where the spread of a model's test AUC over folds and seeds comes from, as SDs; None = cannot be told."""

    name: str
    label: str
    seeds: int
    folds: int
    of_seeds: float | None
    of_folds: float | None
    of_rest: float | None


def conformal_rows(scores: Sequence[ModelScores]) -> tuple[ConformalRow, ...]:
    """Each model at each stated coverage; none for a model without validation scores."""
    able = [one for one in scores if len(one.validation) and one.validation["score"].notna().all()]
    return tuple(_conformal(one, stated) for one in able for stated in COVERAGES)


def ensemble_rows(scores: Sequence[ModelScores], predictions: pd.DataFrame) -> tuple[EnsembleRow, ...]:
    """Each model of several folds or seeds. `predictions` are the run's."""
    rows = []
    for one in scores:
        test = predictions[
            (predictions["model"] == one.name)
            & (predictions["split"] == "test")
            & predictions["study_id"].isin(one.test.index)
        ]
        members = test.pivot(index=["seed", "fold"], columns="study_id", values="risk").reindex(
            columns=one.test.index
        )
        if len(members) < 2 or members.isna().any(axis=None):
            continue
        gain = ensemble_gain(one.test["label"], members.to_numpy(dtype=np.float64))
        rows.append(
            EnsembleRow(
                name=one.name,
                label=model_name(one.name).label,
                members=gain.members,
                auc=estimate(gain.auc, gain.auc_interval),
                brier=estimate(gain.brier, gain.brier_interval),
            )
        )
    return tuple(rows)


def spread_rows(scores: Sequence[ModelScores]) -> tuple[SpreadRow, ...]:
    """Each model whose every fold and seed was judged, if there is more than one of either."""
    rows = []
    for one in scores:
        table = one.fold_aucs.pivot(index="seed", columns="fold", values="auc")
        if table.size < 2 or table.isna().any(axis=None):
            continue
        spread = training_spread(table.to_numpy(dtype=np.float64))
        rows.append(
            SpreadRow(
                name=one.name,
                label=model_name(one.name).label,
                seeds=spread.seeds,
                folds=spread.folds,
                of_seeds=told(spread.of_seeds),
                of_folds=told(spread.of_folds),
                of_rest=told(spread.of_rest),
            )
        )
    return tuple(rows)


def _conformal(scores: ModelScores, stated: float) -> ConformalRow:
    rule = fit_conformal(scores.validation["label"], scores.validation["score"], coverage=stated)
    found = conformal_coverage(rule, scores.test["label"], scores.test["score"])
    intervals = found.intervals()

    def of(covered: int, among: int, name: str) -> Estimate:
        return estimate(covered / among if among else np.nan, intervals[name])

    survivors = found.cases - found.deaths
    return ConformalRow(
        name=scores.name,
        label=model_name(scores.name).label,
        stated=stated,
        death_from=told(rule.death_from),
        survival_to=told(rule.survival_to),
        validation_deaths=rule.deaths,
        fewest_deaths=fewest_for_coverage(stated),
        only_death=found.only_death,
        only_survival=found.only_survival,
        both=found.both,
        neither=found.neither,
        mean_size=found.mean_size,
        coverage=of(found.covered, found.cases, "all"),
        death_coverage=of(found.covered_deaths, found.deaths, "deaths"),
        survivor_coverage=of(found.covered - found.covered_deaths, survivors, "survivors"),
    )
