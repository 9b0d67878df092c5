"""Is the reference really better? Each other model against it, by tests to believe and by others asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from pefuse.evaluation import (
    Reclassification,
    delong_test,
    holm,
    integrated_discrimination,
    mcnemar_tests,
    net_reclassification,
    paper_ks_p_value,
    permutation_test,
    required_size,
    validation_threshold,
)
from pefuse.report.aggregation import ModelScores
from pefuse.report.comparisons import Comparison, Discordance, Gain, TestSize
from pefuse.report.estimates import Estimate, estimate, told
from pefuse.report.names import ABLATED, model_name
from pefuse.report.resampling import RunBootstrap, bootstrap_estimate, resamples_for

__all__ = ["compare_with", "reference_model"]

GAIN_RESAMPLES = 2000  # of NRI and IDI, which have three intervals a comparison
HOLM_OF = {"p_value": "p_holm", "p_permutation": "p_permutation_holm", "p_bootstrap": "p_bootstrap_holm"}


def reference_model(scores: Sequence[ModelScores]) -> ModelScores | None:
    """The paper's own model; else the first joint fusion. Never chosen by its result."""
    able = [one for one in scores if not one.problem and model_name(one.name).family == "joint"]
    named = [one for one in able if one.name == ABLATED]
    return next(iter(named or able), None)


def compare_with(
    reference: ModelScores,
    scores: Sequence[ModelScores],
    places: Mapping[str, Literal[0, 1, 3]],
    bootstrap: RunBootstrap,
) -> list[Comparison]:
    """The reference against every other model of Tables 1 and 3; p-values are adjusted within each table."""
    others = [
        one
        for one in scores
        if not one.problem
        and one.name != reference.name
        and places[one.name]
        and model_name(one.name).family != "ideal"
    ]
    compared = [_compare(one, reference, places[one.name], bootstrap) for one in others]
    return [one for table in (1, 3) for one in _adjusted([each for each in compared if each.table == table])]


def _compare(
    one: ModelScores, reference: ModelScores, table: Literal[0, 1, 3], bootstrap: RunBootstrap
) -> Comparison:
    common = reference.test.index.intersection(one.test.index)
    ours, theirs = reference.test.loc[common], one.test.loc[common]
    shown = model_name(one.name)
    result = Comparison(
        name=shown.name,
        label=shown.label,
        table=table,
        studies=len(common),
        difference=Estimate(value=None),
    )
    if ours["label"].nunique() < 2:
        return result
    return result.model_copy(
        update={
            **_of_aucs(ours, theirs, bootstrap.clusters(common)),
            **_of_resamples(reference, one, bootstrap),
            **_at_thresholds(ours, theirs, reference, one, bootstrap.clusters(common)),
            **_of_risks(ours, theirs, bootstrap.clusters(common)),
        }
    )


def _of_aucs(ours: pd.DataFrame, theirs: pd.DataFrame, clusters: np.ndarray) -> dict[str, Any]:
    label, a, b = ours["label"], ours["score"], theirs["score"]
    delong, size = delong_test(label, a, b), required_size(label, a, b)
    permuted = permutation_test(label, a, b, clusters=clusters, permutations=resamples_for(len(label)))
    return {
        "difference": estimate(delong.difference, delong.interval),
        "p_value": told(delong.p_value),
        "p_permutation": permuted.p_value,
        "test_size": TestSize(
            studies=size.studies, deaths=size.deaths, power_now=size.power_now, at_most=size.at_most
        ),
        "paper_p": told(paper_ks_p_value(label, a, b)),
    }


def _of_resamples(reference: ModelScores, one: ModelScores, bootstrap: RunBootstrap) -> dict[str, Any]:
    auc = bootstrap.difference(reference, one)
    precision = bootstrap.difference(reference, one, "average_precision")
    return {
        "bootstrap_difference": bootstrap_estimate(auc.difference, auc.interval),
        "p_bootstrap": told(auc.p_value),
        "precision_difference": bootstrap_estimate(precision.difference, precision.interval),
    }


def _at_thresholds(
    ours: pd.DataFrame,
    theirs: pd.DataFrame,
    reference: ModelScores,
    one: ModelScores,
    clusters: np.ndarray,
) -> dict[str, Any]:
    """What the two models call, each at the threshold that its validation studies chose."""
    our_threshold, their_threshold = (validation_threshold(each.validation) for each in (reference, one))
    if our_threshold is None or their_threshold is None:
        return {}
    ours_called, theirs_called = ours["score"] >= our_threshold, theirs["score"] >= their_threshold
    tests = mcnemar_tests(ours["label"], ours_called, theirs_called)
    gain = net_reclassification(
        ours["label"], theirs_called, ours_called, clusters=clusters, resamples=GAIN_RESAMPLES
    )
    return {
        "discordance": {
            name: Discordance(only_reference=test.only_a, only_other=test.only_b, p_value=test.p_value)
            for name, test in tests.items()
        },
        "net_reclassification": _gain(gain),
    }


def _of_risks(ours: pd.DataFrame, theirs: pd.DataFrame, clusters: np.ndarray) -> dict[str, Any]:
    asked = {
        "continuous_reclassification": net_reclassification,
        "integrated_discrimination": integrated_discrimination,
    }
    return {
        name: _gain(gain(ours["label"], theirs["risk"], ours["risk"], clusters=clusters, resamples=GAIN_RESAMPLES))
        for name, gain in asked.items()
    }


def _gain(found: Reclassification) -> Gain:
    return Gain(
        of_deaths=bootstrap_estimate(found.of_deaths, found.of_deaths_interval),
        of_survivors=bootstrap_estimate(found.of_survivors, found.of_survivors_interval),
        total=bootstrap_estimate(found.total, found.total_interval),
    )


def _adjusted(compared: Sequence[Comparison]) -> list[Comparison]:
    """With each p-value adjusted for the others of its kind."""
    for name, adjusted in HOLM_OF.items():
        values = [getattr(one, name) for one in compared]
        allowed = holm([math.nan if value is None else value for value in values]).tolist()
        compared = [
            one.model_copy(update={adjusted: told(value)}) for one, value in zip(compared, allowed, strict=True)
        ]
    return list(compared)
