"""Likelihood ratios and carried-over predictive values by hand, by Mercaldo's formula, and at zero cells."""

from __future__ import annotations

import math

import pytest

from pefuse.evaluation import OperatingPoint, likelihood_ratios, predictive_values


def point(tp: int, fn: int, fp: int, tn: int) -> OperatingPoint:
    return OperatingPoint(threshold=0.5, tp=tp, fn=fn, fp=fp, tn=tn)


def test_ratios_and_simels_interval_by_hand():
    """9/10 over 4/62 = 13.95; ln has the variance 1/9 - 1/10 + 1/4 - 1/62, so 13.95 / and x e^(1.96 x 0.4951)."""
    ratios = likelihood_ratios(point(9, 1, 4, 58))
    factor = math.exp(1.959964 * math.sqrt(1 / 9 - 1 / 10 + 1 / 4 - 1 / 62))

    assert ratios["positive"].value == pytest.approx(0.9 / (4 / 62))
    assert ratios["positive"].interval.low == pytest.approx(13.95 / factor, rel=1e-4)
    assert ratios["positive"].interval.high == pytest.approx(13.95 * factor, rel=1e-4)
    assert ratios["negative"].value == pytest.approx(0.1 / (58 / 62))


def test_simels_own_example():
    """Simel 1991: 100 ill and 100 well, sensitivity 0.8, specificity 0.9: LR+ 8 with 95 % interval 4.4 to 14.5."""
    ratio = likelihood_ratios(point(80, 20, 10, 90))["positive"]

    assert ratio.value == pytest.approx(8)
    assert (ratio.interval.low, ratio.interval.high) == pytest.approx((4.4, 14.5), abs=0.1)


def test_no_false_alarm_gives_an_infinite_ratio_with_a_lower_bound():
    """10/0/0/62: halves added, (10.5/11) / (0.5/63) = 120; the interval is stretched to the observed infinity."""
    ratios = likelihood_ratios(point(10, 0, 0, 62))

    assert math.isinf(ratios["positive"].value)
    assert math.isinf(ratios["positive"].interval.high)
    assert 5 < ratios["positive"].interval.low < 120
    assert ratios["negative"].value == ratios["negative"].interval.low == 0
    assert ratios["negative"].interval.method == "log, 0.5 added"


def test_all_called_positive_says_nothing_and_is_not_sure_of_it():
    ratios = likelihood_ratios(point(10, 0, 62, 0))

    assert ratios["positive"].value == 1
    assert ratios["positive"].interval.low < 1 < ratios["positive"].interval.high
    assert math.isnan(ratios["negative"].value)


def test_without_deaths_or_survivors_there_are_no_ratios():
    assert math.isnan(likelihood_ratios(point(0, 0, 3, 5))["positive"].value)
    assert math.isnan(likelihood_ratios(point(3, 1, 0, 0))["negative"].interval.low)


def test_predictive_values_at_the_own_prevalence_are_those_of_the_table():
    """9 of 13 positives died, 58 of 59 negatives survived."""
    values = predictive_values(point(9, 1, 4, 58), 10 / 72)

    assert (values["ppv"].value, values["npv"].value) == pytest.approx((9 / 13, 58 / 59))


def test_predictive_values_at_another_prevalence_by_bayes():
    """At 3 %: 0.03 x 0.9 / (0.03 x 0.9 + 0.97 x 4/62) and 0.97 x 58/62 / (0.97 x 58/62 + 0.03 x 0.1)."""
    values = predictive_values(point(9, 1, 4, 58), 0.03)

    assert values["ppv"].value == pytest.approx(0.027 / (0.027 + 0.97 * 4 / 62))
    assert values["npv"].value == pytest.approx(0.97 * 58 / 62 / (0.97 * 58 / 62 + 0.003))


def test_interval_is_mercaldos_logit_interval():
    """Mercaldo 2007: logit PPV ± z sqrt((1 - se) / (se n1) + sp / ((1 - sp) n0))."""
    sensitivity, specificity, share = 0.8, 0.9, 0.07
    values = predictive_values(point(80, 20, 10, 90), share)
    logit = math.log(share * sensitivity / ((1 - share) * (1 - specificity)))
    error = math.sqrt(0.2 / (0.8 * 100) + 0.9 / (0.1 * 100))
    of_npv = math.log((1 - share) * specificity / (share * (1 - sensitivity)))
    npv_error = math.sqrt(0.8 / (0.2 * 100) + 0.1 / (0.9 * 100))

    def probability(value: float) -> float:
        return 1 / (1 + math.exp(-value))

    assert values["ppv"].interval.low == pytest.approx(probability(logit - 1.959964 * error))
    assert values["ppv"].interval.high == pytest.approx(probability(logit + 1.959964 * error))
    assert values["npv"].interval.low == pytest.approx(probability(of_npv - 1.959964 * npv_error))


def test_a_perfect_table_has_bounds():
    values = predictive_values(point(10, 0, 0, 62), 0.02)

    assert values["ppv"].value == values["ppv"].interval.high == 1
    assert 0 < values["ppv"].interval.low < 1
    assert values["npv"].value == 1
    assert 0.9 < values["npv"].interval.low < 1


@pytest.mark.parametrize("prevalence", [0.0, 1.0, -0.1, math.nan])
def test_what_is_no_prevalence_is_refused(prevalence):
    with pytest.raises(ValueError, match="A prevalence lies between 0 and 1"):
        predictive_values(point(9, 1, 4, 58), prevalence)
