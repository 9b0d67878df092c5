"""Conformal cuts by hand, their coverage by simulation, and what too few cases leave."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pefuse.evaluation import conformal_coverage, fewest_for_coverage, fit_conformal, wilson_interval


def test_cuts_by_hand():
    """Nine deaths at 0.1 ... 0.9 and nine survivors at 0.05 ... 0.85, coverage 0.8: the 8th least strange of each.

    ceil(10 x 0.8) = 8: deaths from the highest down are 0.9 ... 0.2, survivors from the lowest up 0.05 ... 0.75.
    """
    labels = np.repeat([1, 0], 9)
    risk = np.concatenate([np.arange(1, 10) / 10, np.arange(1, 10) / 10 - 0.05])

    rule = fit_conformal(labels, risk, coverage=0.8)

    assert (rule.death_from, rule.survival_to) == (pytest.approx(0.2), pytest.approx(0.75))
    assert rule.sets([0.1, 0.5, 0.9]).tolist() == [[False, True], [True, True], [True, False]]


def test_sets_are_counted_by_hand():
    """Cuts 0.6 and 0.4: 0.7 and 0.9 are death only, 0.1 survival only, 0.5 neither; 0.9 survived."""
    labels, risk = np.repeat([1, 0], 9), np.repeat([0.6, 0.4], 9)
    rule = fit_conformal(labels, risk, coverage=0.9)

    found = conformal_coverage(rule, [1, 0, 0, 1], [0.7, 0.1, 0.9, 0.5])

    assert (found.only_death, found.only_survival, found.both, found.neither) == (2, 1, 0, 1)
    assert (found.covered, found.covered_deaths, found.deaths, found.cases) == (2, 1, 2, 4)
    assert found.mean_size == 0.75
    assert found.intervals()["deaths"] == wilson_interval(1, 2)


@pytest.mark.parametrize(("coverage", "fewest"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (5 / 6, 5)])
def test_so_many_cases_are_needed_to_rule_an_outcome_out(coverage, fewest):
    assert fewest_for_coverage(coverage) == fewest
    for deaths, told in ((fewest, True), (fewest - 1, False)):
        rule = fit_conformal(np.repeat([1, 0], [deaths, 40]), np.linspace(1, 0, deaths + 40), coverage=coverage)
        assert math.isfinite(rule.death_from) == told


def test_with_five_deaths_death_stays_in_every_set_at_90_per_cent():
    labels, risk = np.repeat([1, 0], [5, 39]), np.linspace(1, 0, 44)
    rule = fit_conformal(labels, risk, coverage=0.9)

    assert rule.sets(risk)[:, 0].all()
    assert (rule.deaths, rule.survivors) == (5, 39)


def test_each_outcome_is_covered_as_often_as_stated():
    """2000 rounds of 12 deaths and 60 survivors to calibrate and one of each to test: 80 % or a little more."""
    generator = np.random.default_rng(0)
    labels = np.repeat([1, 0], [12, 60])
    covered = np.zeros(2)
    for _ in range(2000):
        rule = fit_conformal(labels, generator.normal(size=72) + labels, coverage=0.8)
        death, survivor = generator.normal(loc=1), generator.normal()
        covered += [rule.sets([death])[0, 0], rule.sets([survivor])[0, 1]]

    # ceil(13 x 0.8) / 13 = 11 / 13 and ceil(61 x 0.8) / 61 = 49 / 61, known exactly since scores have no ties
    np.testing.assert_allclose(covered / 2000, [11 / 13, 49 / 61], atol=0.03)


def test_a_constant_risk_rules_nothing_out():
    rule = fit_conformal([1] * 20 + [0] * 20, [0.3] * 40, coverage=0.9)
    found = conformal_coverage(rule, [1, 0], [0.3, 0.3])

    assert (found.both, found.covered, found.mean_size) == (2, 2, 2.0)


def test_one_outcome_alone_and_one_case_are_allowed():
    rule = fit_conformal([0] * 30, np.linspace(0, 1, 30), coverage=0.9)
    found = conformal_coverage(rule, [0], [0.2])

    assert rule.death_from == -math.inf
    assert (found.both, found.covered) == (1, 1)
    assert math.isnan(found.intervals()["deaths"].low)


@pytest.mark.parametrize("coverage", [0.0, 1.0, math.nan])
def test_what_is_no_coverage_is_refused(coverage):
    with pytest.raises(ValueError, match="A coverage lies between 0 and 1"):
        fit_conformal([1, 0], [0.1, 0.2], coverage=coverage)


def test_unknown_risks_are_refused():
    with pytest.raises(ValueError, match="not finite"):
        fit_conformal([1, 0], [0.1, math.nan])
