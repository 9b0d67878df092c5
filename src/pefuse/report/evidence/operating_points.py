"""Operating points: thresholds chosen on validation by several rules, and what each yields on the test studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from pefuse.evaluation import (
    benefit_threshold,
    can_be_ranked,
    likelihood_ratios,
    operating_point,
    predictive_values,
    sensitivity_threshold,
    specificity_threshold,
    youden_threshold,
)
from pefuse.report.aggregation import ModelScores
from pefuse.report.estimates import Estimate, Frozen, estimate
from pefuse.report.names import model_name

__all__ = ["RULES", "OperatingRow", "OperatingRule", "PointRow", "operating_rows"]

RATES = ("sensitivity", "specificity", "ppv", "npv")


@dataclass(frozen=True, kw_only=True)
class OperatingRule:
    """How a threshold is chosen: `choose(label, score)` of validation studies."""

    name: str
    label: str
    choose: Callable[[pd.Series, pd.Series], float]


RULES: tuple[OperatingRule, ...] = (
    OperatingRule(name="youden", label="Youden", choose=youden_threshold),
    *(
        OperatingRule(
            name=f"sensitivity-{wanted:.2f}",
            label=f"sensitivity ≥ {wanted:.2f}" if wanted < 1 else "sensitivity 1.00",
            choose=partial(sensitivity_threshold, wanted=wanted),
        )
        for wanted in (0.90, 0.95, 1.0)
    ),
    OperatingRule(
        name="specificity-0.90",
        label="specificity ≥ 0.90",
        choose=partial(specificity_threshold, wanted=0.90),
    ),
    OperatingRule(
        name="benefit-0.10",
        label="net benefit at 10 %",
        choose=partial(benefit_threshold, threshold_probability=0.10),
    ),
)


class PointRow(Frozen):
    """One threshold on the test studies.

    `ratio_positive` and `ratio_negative` are likelihood ratios; a value of None with a lower bound is infinite: no
    false alarm at all. `ppv_elsewhere`, `npv_elsewhere` are for another mortality. The `validation_` rates are
    what the rule saw when it chose.
    """

    rule: str
    rule_label: str
    threshold: float
    tp: int
    fn: int
    fp: int
    tn: int
    rates: dict[str, Estimate]
    ratio_positive: Estimate
    ratio_negative: Estimate
    ppv_elsewhere: Estimate
    npv_elsewhere: Estimate
    validation_sensitivity: float
    validation_specificity: float


class OperatingRow(Frozen):
    """A model at all operating points; none where its validation studies cannot choose a threshold."""

    name: str
    label: str
    points: tuple[PointRow, ...]


def operating_rows(scores: Sequence[ModelScores], *, prevalence: float) -> tuple[OperatingRow, ...]:
    """Each model at each rule's threshold; PPV and NPV also where the share `prevalence` dies."""
    return tuple(_row(one, prevalence) for one in scores)


def _row(scores: ModelScores, prevalence: float) -> OperatingRow:
    able = can_be_ranked(scores.validation)
    points = tuple(_point(scores, rule, prevalence) for rule in RULES) if able else ()
    return OperatingRow(name=scores.name, label=model_name(scores.name).label, points=points)


def _point(scores: ModelScores, rule: OperatingRule, prevalence: float) -> PointRow:
    validation, test = scores.validation, scores.test
    threshold = rule.choose(validation["label"], validation["score"])
    chosen_on = operating_point(validation["label"], validation["score"], threshold)
    point = operating_point(test["label"], test["score"], threshold)
    intervals, ratios = point.intervals(), likelihood_ratios(point)
    elsewhere = predictive_values(point, prevalence)
    return PointRow(
        rule=rule.name,
        rule_label=rule.label,
        threshold=threshold,
        tp=point.tp,
        fn=point.fn,
        fp=point.fp,
        tn=point.tn,
        rates={name: estimate(getattr(point, name), intervals[name]) for name in RATES},
        ratio_positive=estimate(ratios["positive"].value, ratios["positive"].interval),
        ratio_negative=estimate(ratios["negative"].value, ratios["negative"].interval),
        ppv_elsewhere=estimate(elsewhere["ppv"].value, elsewhere["ppv"].interval),
        npv_elsewhere=estimate(elsewhere["npv"].value, elsewhere["npv"].interval),
        validation_sensitivity=chosen_on.sensitivity,
        validation_specificity=chosen_on.specificity,
    )
