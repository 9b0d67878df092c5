"""Models over their repeats: mean, spread, distance to the best and ranks, by hand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm

from pefuse.evaluation import summarise_repeats, training_spread

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


def test_training_spread_by_hand():
    """Rows (seeds) 0 2 / 2 4: means 1 and 3 both ways, nothing left over. Variance of the means 2, minus 0."""
    spread = training_spread([[0.0, 2.0], [2.0, 4.0]])

    assert (spread.seeds, spread.folds) == (2, 2)
    assert (spread.of_seeds, spread.of_folds) == pytest.approx((math.sqrt(2), math.sqrt(2)))
    assert spread.of_rest == pytest.approx(0)


def test_training_spread_equals_statsmodels_analysis_of_variance():
    """Expected mean squares: seeds = rest + folds x variance of seeds, and the other way round."""
    generator = np.random.default_rng(0)
    values = generator.normal(size=(4, 1)) + 0.5 * generator.normal(size=(1, 6)) + generator.normal(size=(4, 6))
    rows = pd.DataFrame(
        {"y": values.ravel(), "seed": np.repeat(range(4), 6).astype(str), "fold": np.tile(range(6), 4).astype(str)}
    )
    table = anova_lm(ols("y ~ C(seed) + C(fold)", rows).fit())
    square = table["sum_sq"] / table["df"]
    spread = training_spread(values)

    assert spread.of_rest == pytest.approx(math.sqrt(square["Residual"]))
    assert spread.of_seeds == pytest.approx(math.sqrt(max(0, square["C(seed)"] - square["Residual"]) / 6))
    assert spread.of_folds == pytest.approx(math.sqrt(max(0, square["C(fold)"] - square["Residual"]) / 4))


def test_one_seed_tells_nothing_of_seeds():
    spread = training_spread([[0.7, 0.8, 0.9]])

    assert math.isnan(spread.of_seeds)
    assert math.isnan(spread.of_rest)
    assert spread.of_folds == pytest.approx(0.1)


def test_equal_repeats_do_not_spread():
    spread = training_spread(np.full((2, 3), 0.8))

    assert (spread.of_seeds, spread.of_folds, spread.of_rest) == pytest.approx((0, 0, 0), abs=1e-12)


@pytest.mark.parametrize("values", [[0.1, 0.2], [[]], [[0.1, math.nan]]])
def test_what_is_no_grid_of_repeats_is_refused(values):
    with pytest.raises(ValueError, match="needs finite values"):
        training_spread(values)
