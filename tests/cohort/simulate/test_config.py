"""Counts of the cohort, and options that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from pefuse.cohort.simulate import SimulationConfig
from pefuse.errors import UsageError


def _counts(**options: Any) -> list[tuple[int, int]]:
    config = SimulationConfig(**options)
    return [(period.patients, period.deaths) for period in (config.earlier, config.test)]


def test_the_defaults_give_the_counts_of_the_paper():
    assert _counts() == [(286, 28), (72, 10)]


def test_more_patients_keep_the_share_of_the_test_year_and_of_the_dead():
    """1000 · 72/358 = 201.1; 799 · 28/286 = 78.2; 201 · 10/72 = 27.9."""
    assert _counts(patients=1000) == [(799, 78), (201, 28)]


def test_a_larger_test_year_leaves_the_earlier_years_alone():
    """400 · 10/72 = 55.6."""
    assert _counts(test_patients=400) == [(286, 28), (400, 56)]


def test_a_prevalence_holds_in_both_periods():
    assert _counts(patients=100, prevalence=0.25) == [(80, 20), (20, 5)]


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"patients": 3}, "--patients is 3"),
        ({"patients": 20.5}, "--patients is 20.5"),
        ({"seed": -1}, "--seed is -1"),
        ({"matrix": 8}, "--matrix is 8"),
        ({"slices": 4}, "--slices is 4"),
        ({"test_patients": 0}, "--test-patients is 0"),
        ({"prevalence": 0.0}, "--prevalence is 0"),
        ({"prevalence": 1.0}, "--prevalence is 1"),
        ({"prevalence": float("nan")}, "--prevalence is nan"),
        ({"patients": 12}, "would hold 1 deaths"),
        ({"patients": 20, "prevalence": 0.99}, "0 survivors"),
        ({"shortcut": "scanner"}, "--shortcut scanner"),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_one_line(options: dict[str, Any], found: str):
    with pytest.raises(UsageError, match=found) as caught:
        SimulationConfig(**options)

    assert "\n" not in str(caught.value)
