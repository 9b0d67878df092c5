"""Models over their repeats: mean, spread, distance to the best and ranks, by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pefuse.evaluation import summarise_repeats

TABLE = pd.DataFrame({"b": [0.80, 0.70, 0.90], "a": [0.90, 0.80, 0.88], "c": [0.80, 0.60, 0.50]})


def test_means_ranks_and_differences_by_hand():
    """a: 0.86, b: 0.80. Ranks of b: tied second with c (2.5), second, first."""
    best, second, last = summarise_repeats(TABLE)

    assert [one.model for one in (best, second, last)] == ["a", "b", "c"]
    assert best.mean == pytest.approx(0.86)
    assert best.to_best is None
    assert best.interval is None
    assert second.to_best == pytest.approx((-0.10 - 0.10 + 0.02) / 3)
    assert second.mean_rank == pytest.approx((2.5 + 2 + 1) / 3)
    assert second.sd == pytest.approx(0.1)


def test_the_interval_is_student_s_of_the_paired_differences():
    second = summarise_repeats(TABLE)[1]
    differences = TABLE["b"] - TABLE["a"]
    low, high = stats.t.interval(0.95, 2, loc=differences.mean(), scale=stats.sem(differences))

    assert (second.interval.low, second.interval.high) == pytest.approx((low, high))


def test_a_single_repeat_has_no_spread():
    best, second, _ = summarise_repeats(TABLE.iloc[:1])
    assert math.isnan(best.sd)
    assert math.isnan(second.interval.low)
    assert second.to_best == pytest.approx(-0.1)
    assert best.mean_rank == 1


def test_two_repeats_have_a_spread_but_no_interval():
    _, second, _ = summarise_repeats(TABLE.iloc[:2])

    assert math.isfinite(second.sd)
    assert math.isnan(second.interval.low)


def test_a_repeat_that_one_model_lacks_is_left_out_for_all():
    table = TABLE.copy()
    table.loc[0, "c"] = np.nan
    assert {one.repeats for one in summarise_repeats(table)} == {2}
    assert summarise_repeats(table.iloc[:1]) == []
