"""Thresholds by hand, against scikit-learn, and against the paper's Table 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, roc_curve

from pefuse.evaluation import (
    benefit_threshold,
    operating_point,
    sensitivity_threshold,
    specificity_threshold,
    youden_threshold,
)


def test_youden_lies_half_way_below_the_last_case_that_it_calls_positive():
    """From 0.6 on, after 0.2: 2 of 2 deaths and 1 of 3 survivors positive, J = 2/3; no threshold does better."""
    labels, risk = [1, 1, 0, 0, 0], [0.9, 0.6, 0.7, 0.2, 0.1]

    threshold = youden_threshold(labels, risk)

    assert threshold == pytest.approx(0.4)
    point = operating_point(labels, risk, threshold)
    assert (point.tp, point.fn, point.fp, point.tn) == (2, 0, 1, 2)


def test_youden_takes_the_highest_of_equally_good_thresholds():
    """From 0.8 (1 of 2 deaths, 0 of 2 survivors) and from 0.4 (2 of 2, 1 of 2) both have J = 1/2."""
    assert youden_threshold([1, 0, 1, 0], [0.8, 0.6, 0.4, 0.2]) == pytest.approx(0.7)


def test_youden_counts_all_cases_of_a_tie():
    """A death and three survivors share 0.5; calling them positive is worth it only all together."""
    assert youden_threshold([1, 0, 0, 0, 1, 0], [0.5, 0.5, 0.5, 0.5, 0.9, 0.1]) == pytest.approx(0.7)


def test_youden_of_a_constant_risk_is_that_risk():
    assert youden_threshold([0, 1, 0], [0.3, 0.3, 0.3]) == 0.3


def test_youden_of_neighbouring_floats_calls_the_lower_one_negative():
    above = np.nextafter(0.5, 1)

    assert youden_threshold([0, 1], [0.5, above]) == above


@pytest.mark.parametrize("seed", range(8))
def test_youden_equals_a_search_over_scikit_learns_thresholds(seed):
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, size=60)
    risk = np.round(generator.random(60) * 0.7 + 0.3 * labels, 1 + seed % 2)

    false_positive, true_positive, thresholds = roc_curve(labels, risk, drop_intermediate=False)
    best = np.round(true_positive - false_positive, 12)

    lowest = thresholds[best == best[1:].max()].max()
    lower = risk[risk < lowest]

    assert youden_threshold(labels, risk) == pytest.approx((lowest + lower.max()) / 2 if len(lower) else lowest)


def test_operating_point_equals_scikit_learn():
    generator = np.random.default_rng(1)
    labels, risk = generator.integers(0, 2, size=80), generator.random(80)

    point = operating_point(labels, risk, 0.4)

    assert [point.tn, point.fp, point.fn, point.tp] == confusion_matrix(labels, risk >= 0.4).ravel().tolist()


def test_rates_by_hand_and_wilson_of_the_papers_best_model():
    """9/10, 58/62 and 9/13, with the intervals of facts 7.5."""
    labels = np.repeat([1, 1, 0, 0], [9, 1, 4, 58])
    risk = np.repeat([1, 0, 1, 0], [9, 1, 4, 58])

    point = operating_point(labels, risk, 0.5)
    intervals = point.intervals()

    assert (point.sensitivity, point.specificity, point.ppv, point.npv) == (0.9, 58 / 62, 9 / 13, 58 / 59)
    assert point.accuracy == 67 / 72
    for rate, low, high in [("sensitivity", 0.60, 0.98), ("specificity", 0.85, 0.97), ("ppv", 0.42, 0.87)]:
        assert (round(intervals[rate].low, 2), round(intervals[rate].high, 2)) == (low, high)


@pytest.mark.parametrize(
    ("counts", "reported"),
    [
        ((9, 1, 13, 49), (0.81, 0.79, 0.9, 0.41, 0.98)),
        ((8, 2, 13, 49), (0.79, 0.79, 0.8, 0.38, 0.96)),
        ((8, 2, 30, 32), (0.56, 0.52, 0.8, 0.21, 0.94)),
        ((9, 1, 27, 35), (0.61, 0.56, 0.9, 0.25, 0.97)),
        ((9, 1, 36, 26), (0.48, 0.42, 0.9, 0.20, 0.96)),
        ((9, 1, 22, 40), (0.68, 0.65, 0.9, 0.29, 0.98)),
        ((9, 1, 7, 55), (0.89, 0.89, 0.9, 0.56, 0.98)),
        ((9, 1, 16, 46), (0.76, 0.74, 0.9, 0.36, 0.98)),
        ((9, 1, 4, 58), (0.93, 0.94, 0.9, 0.69, 0.98)),
        ((9, 1, 8, 54), (0.87, 0.87, 0.9, 0.53, 0.98)),
        ((9, 1, 12, 50), (0.82, 0.81, 0.9, 0.43, 0.98)),
    ],
)
def test_confusion_matrices_give_the_papers_table(counts, reported):
    """Table 1 of the paper, from matrices rebuilt for 10 deaths among 72 (accuracy, spec., sens., PPV, NPV).

    The paper mostly rounds, but cuts sPESI's accuracy of 35/72 = 0.486 to 0.48.
    """
    labels, risk = np.repeat([1, 1, 0, 0], counts), np.repeat([1, 0, 1, 0], counts)

    point = operating_point(labels, risk, 1)

    rates = (point.accuracy, point.specificity, point.sensitivity, point.ppv, point.npv)
    for rate, printed in zip(rates, reported, strict=True):
        assert printed in (round(rate, 2), math.floor(100 * rate) / 100)


def test_rates_without_cases_are_nan():
    point = operating_point([0, 0, 0], [0.1, 0.2, 0.3], 0.9)

    assert np.isnan(point.sensitivity)
    assert np.isnan(point.ppv)
    assert np.isnan(point.intervals()["ppv"].low)
    assert point.specificity == 1.0


def test_youden_needs_both_classes():
    with pytest.raises(ValueError, match="0 of 2 cases are positive"):
        youden_threshold([0, 0], [0.1, 0.2])


LABELS, RISK = [1, 0, 1, 0, 1, 0, 0, 0], [0.9, 0.8, 0.7, 0.5, 0.4, 0.3, 0.2, 0.1]


@pytest.mark.parametrize(
    ("wanted", "threshold"), [(0.3, 0.85), (1 / 3, 0.85), (0.5, 0.6), (0.9, 0.35), (1.0, 0.35)]
)
def test_wanted_sensitivity_takes_the_highest_threshold_that_has_it(wanted, threshold):
    """Deaths stand at 0.9, 0.7 and 0.4: one third is found from below 0.9 on, all from below 0.4."""
    assert sensitivity_threshold(LABELS, RISK, wanted) == pytest.approx(threshold)


@pytest.mark.parametrize(("wanted", "threshold"), [(1.0, 0.85), (0.8, 0.6), (0.6, 0.35), (0.61, 0.6), (0.2, 0.15)])
def test_wanted_specificity_takes_the_lowest_threshold_that_has_it(wanted, threshold):
    """Survivors stand at 0.8, 0.5, 0.3, 0.2, 0.1: one alarm (4/5 right) from 0.7 down to below it, 0.6."""
    assert specificity_threshold(LABELS, RISK, wanted) == pytest.approx(threshold)


@pytest.mark.parametrize("seed", range(6))
def test_wanted_rates_equal_a_search_over_all_thresholds(seed):
    """Both reach what was asked, and no other threshold that does is better in the other rate."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, size=60)
    risk = np.round(generator.random(60) * 0.8 + 0.2 * labels, 1 + seed % 2)
    candidates = np.append(np.unique(risk), 2.0)
    wanted = 0.95 - 0.1 * seed

    points = [operating_point(labels, risk, at) for at in candidates]
    by_sensitivity = operating_point(labels, risk, sensitivity_threshold(labels, risk, wanted))
    by_specificity = operating_point(labels, risk, specificity_threshold(labels, risk, wanted))

    assert by_sensitivity.specificity == max(one.specificity for one in points if one.sensitivity >= wanted)
    assert by_specificity.sensitivity == max(one.sensitivity for one in points if one.specificity >= wanted)


def test_a_specificity_that_no_alarm_allows_calls_nobody():
    """The highest risk is a survivor's: specificity 1 means that not even that one is called."""
    threshold = specificity_threshold([0, 1, 0], [0.9, 0.5, 0.1], 1.0)

    assert threshold > 0.9
    assert operating_point([0, 1, 0], [0.9, 0.5, 0.1], threshold).tp == 0


def test_benefit_threshold_weighs_false_alarms_by_the_odds():
    """At 1/2 a false alarm undoes a death found: 1 - 0 from 0.85 and 2 - 1 from 0.6 tie, the higher one is taken.
    At 1/10 nine false alarms do: all 3 deaths for 2 alarms, 3 - 2/9, is best. At 0.95 the one sure death is."""
    assert benefit_threshold(LABELS, RISK, 0.5) == pytest.approx(0.85)
    assert benefit_threshold(LABELS, RISK, 0.1) == pytest.approx(0.35)
    assert benefit_threshold(LABELS, RISK, 0.95) == pytest.approx(0.85)


def test_where_no_call_pays_nobody_is_called():
    assert operating_point([0, 1], [0.9, 0.1], benefit_threshold([0, 1], [0.9, 0.1], 0.8)).fp == 0


def test_all_tied_leave_one_threshold():
    """Everyone or nobody: sensitivity asks for everyone, specificity for nobody."""
    tied = [0.3, 0.3, 0.3]

    assert sensitivity_threshold([0, 1, 0], tied, 0.9) == 0.3
    assert specificity_threshold([0, 1, 0], tied, 0.9) > 0.3
    assert benefit_threshold([0, 1, 0], tied, 0.1) == 0.3


@pytest.mark.parametrize("choose", [sensitivity_threshold, specificity_threshold, benefit_threshold])
@pytest.mark.parametrize("wanted", [0.0, -0.1, 1.1, math.nan])
def test_what_is_no_share_is_refused(choose, wanted):
    with pytest.raises(ValueError, match="not at"):
        choose(LABELS, RISK, wanted)


def test_a_risk_that_is_not_known_is_refused():
    with pytest.raises(ValueError, match="not finite"):
        sensitivity_threshold([0, 1], [0.1, math.nan], 0.9)
