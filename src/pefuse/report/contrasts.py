"""Is the reference really better? Each other model against it, by tests to believe and by the paper's own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from pefuse.evaluation import bootstrap_scores, delong_test, holm, paper_ks_p_value
from pefuse.report.aggregation import ModelScores
from pefuse.report.names import ABLATED, model_name
from pefuse.report.results import Comparison, Estimate, estimate, told

__all__ = ["compare_with", "reference_model"]

RESAMPLES = 2000  # of the paired bootstrap: its p is then known to a hundredth


def reference_model(scores: Sequence[ModelScores]) -> ModelScores | None:
    """The paper's own model; else the first joint fusion. Never chosen by its result."""
    able = [one for one in scores if not one.problem and model_name(one.name).family == "joint"]
    named = [one for one in able if one.name == ABLATED]
    return next(iter(named or able), None)


def compare_with(
    reference: ModelScores, scores: Sequence[ModelScores], places: Mapping[str, Literal[0, 1, 3]]
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
    compared = [_compare(one, reference, places[one.name]) for one in others]
    return [one for table in (1, 3) for one in _adjusted([each for each in compared if each.table == table])]


def _compare(one: ModelScores, reference: ModelScores, table: Literal[0, 1, 3]) -> Comparison:
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
    label, a, b = ours["label"], ours["score"], theirs["score"]
    delong = delong_test(label, a, b)
    return result.model_copy(
        update={
            "difference": estimate(delong.difference, delong.interval),
            "p_value": told(delong.p_value),
            "p_bootstrap": told(bootstrap_scores(label, [a, b], resamples=RESAMPLES).difference(0, 1).p_value),
            "paper_p": told(paper_ks_p_value(label, a, b)),
        }
    )


def _adjusted(compared: Sequence[Comparison]) -> list[Comparison]:
    delong = holm([math.nan if one.p_value is None else one.p_value for one in compared])
    bootstrap = holm([math.nan if one.p_bootstrap is None else one.p_bootstrap for one in compared])
    return [
        one.model_copy(update={"p_holm": told(p), "p_bootstrap_holm": told(q)})
        for one, p, q in zip(compared, delong.tolist(), bootstrap.tolist(), strict=True)
    ]
