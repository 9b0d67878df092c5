"""Groups judged alone and against the others: by hand, against statsmodels' Newcombe, and silence where small."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from pefuse.evaluation import (
    auroc,
    delong_interval,
    difference_interval,
    group_performance,
    largest_gap,
    observed_to_expected,
    wilson_interval,
)


def groups_of(
    *, found: tuple[int, int], of: tuple[int, int] = (10, 20)
) -> tuple[list[int], list[float], list[str]]:
    """Groups a and b: `of` deaths each, `found` of them with a risk of 0.8 (else 0.2), and 30 survivors at 0.1."""
    labels: list[int] = []
    risk: list[float] = []
    groups: list[str] = []
    for name, deaths, called in zip("ab", of, found, strict=True):
        labels += [1] * deaths + [0] * 30
        risk += [0.8] * called + [0.2] * (deaths - called) + [0.1] * 30
        groups += [name] * (deaths + 30)
    return labels, risk, groups


def test_sensitivity_gap_is_newcombes():
    """8 of 10 deaths found in a, 12 of 20 in b: 0.2, with the interval of statsmodels."""
    labels, risk, groups = groups_of(found=(8, 12))
    first, second = group_performance(labels, risk, risk, groups, threshold=0.5)

    low, high = confint_proportions_2indep(8, 10, 12, 20, method="newcomb")
    assert first.sensitivity.value == 0.8
    assert first.sensitivity.interval == wilson_interval(8, 10)
    assert first.sensitivity.difference.value == pytest.approx(0.2)
    assert first.sensitivity.difference.interval.low == pytest.approx(low)
    assert first.sensitivity.difference.interval.high == pytest.approx(high)
    assert second.sensitivity.difference.value == pytest.approx(-0.2)
    assert (first.cases, first.deaths, first.specificity.value) == (40, 10, 1.0)


def test_auc_and_observed_to_expected_against_the_others():
    labels, risk, groups = groups_of(found=(8, 12))
    died, at, of_a = np.array(labels), np.array(risk), np.array(groups) == "a"
    first, _ = group_performance(labels, risk, risk, groups, threshold=0.5)

    ours, others = ((auroc(died[of], at[of]), delong_interval(died[of], at[of])) for of in (of_a, ~of_a))
    assert first.auc.difference.interval == difference_interval(*ours, *others)
    expected = observed_to_expected(died[of_a], at[of_a])
    assert (first.observed_to_expected.value, first.observed_to_expected.interval) == (
        expected.ratio,
        expected.interval,
    )


def test_ranking_and_risk_may_be_different_numbers():
    """A clinical score ranks by points and has a class's mortality as its risk."""
    labels, risk, groups = groups_of(found=(8, 12))
    points = [100 * one for one in risk]
    first, _ = group_performance(labels, points, risk, groups, threshold=50)

    assert first.sensitivity.value == 0.8


def test_those_of_no_group_are_in_no_comparison():
    labels, risk, groups = groups_of(found=(8, 12))
    unknown = [group if group == "a" else "" for group in groups]
    (only,) = group_performance(labels, risk, risk, unknown, threshold=0.5)

    assert only.sensitivity.value == 0.8
    assert only.sensitivity.difference is None


def test_four_deaths_are_too_few_to_say():
    labels, risk, groups = groups_of(found=(3, 12), of=(4, 20))
    small, large = group_performance(labels, risk, risk, groups, threshold=0.5)

    assert small.sensitivity is None
    assert small.auc is None
    assert small.specificity.value == 1.0
    assert small.observed_to_expected.value == pytest.approx(4 / (3 * 0.8 + 0.2 + 3.0))
    assert large.sensitivity.difference is None
    assert largest_gap([small, large], "sensitivity") is None


def test_an_empty_group_that_was_asked_for_is_told():
    labels, risk, groups = groups_of(found=(8, 12))
    found = group_performance(labels, risk, risk, groups, threshold=0.5, order=["c", "a"])

    assert [(one.group, one.cases) for one in found] == [("c", 0), ("a", 40)]
    assert found[0].observed_to_expected is None


def test_without_a_threshold_nobody_is_called():
    labels, risk, groups = groups_of(found=(8, 12))
    (first, _) = group_performance(labels, risk, risk, groups, threshold=None)

    assert first.sensitivity is None
    assert first.auc is not None


def test_largest_gap_takes_the_two_ends():
    labels, risk, groups = groups_of(found=(8, 12))
    more = [*groups, *["c"] * 15]
    performances = group_performance(
        [*labels, *[1] * 15], [*risk, *[0.8] * 15], [*risk, *[0.8] * 15], more, threshold=0.5
    )
    gap = largest_gap(performances, "sensitivity")

    assert (gap.higher, gap.lower, gap.difference) == ("c", "b", pytest.approx(0.4))
    low, high = confint_proportions_2indep(15, 15, 12, 20, method="newcomb")
    assert (gap.interval.low, gap.interval.high) == pytest.approx((low, high))


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        group_performance([0, 1], [0.1, math.nan], [0.1, 0.2], ["a", "b"], threshold=0.5)
    with pytest.raises(ValueError, match="One group a case"):
        group_performance([0, 1], [0.1, 0.3], [0.1, 0.2], ["a"], threshold=0.5)


def test_one_case_says_nothing():
    (only,) = group_performance([1], [0.9], [0.9], ["a"], threshold=0.5)

    assert (only.auc, only.sensitivity, only.specificity, only.observed_to_expected) == (None,) * 4
