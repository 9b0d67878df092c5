"""Comparisons against pauc, hand sums and a loop over scikit-learn."""

from __future__ import annotations

import numpy as np
import pauc
import pytest
from sklearn.metrics import roc_auc_score

from pefuse.evaluation import (
    Interval,
    auroc,
    bootstrap_aucs,
    bootstrap_difference,
    delong,
    delong_test,
    difference_interval,
    holm,
)


def two_scores(seed: int = 0, *, cases: int = 150, deaths: int = 25) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two correlated scores, the first the better one."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(cases) < deaths).astype(int)
    common = generator.normal(size=cases)
    first = common + 1.6 * labels + 0.7 * generator.normal(size=cases)
    second = common + 0.7 * labels + 0.7 * generator.normal(size=cases)
    return labels, first, second


def test_delong_test_equals_pauc():
    labels, first, second = two_scores()
    test = delong_test(labels, first, second)

    curves = [pauc.ROC(labels, scores, direction="<") for scores in (first, second)]
    expected = pauc.compare(*curves, method="delong")
    assert abs(test.z) == pytest.approx(abs(expected.stat))
    assert test.p_value == pytest.approx(expected.p_value)
    assert test.p_value < 0.05


def test_delong_test_uses_the_covariance():
    labels, first, second = two_scores()
    result = delong(labels, np.stack([first, second]))
    error = np.sqrt(np.array([1, -1]) @ result.covariance @ np.array([1, -1]))

    test = delong_test(labels, first, second)

    assert test.difference == pytest.approx(result.auc[0] - result.auc[1])
    assert test.z == pytest.approx(test.difference / error)
    assert test.interval.high - test.interval.low == pytest.approx(2 * 1.959964 * error)


def test_scores_that_rank_alike_do_not_differ():
    labels, first, _ = two_scores()
    test = delong_test(labels, first, np.exp(first))

    assert (test.difference, test.z, test.p_value) == (0.0, 0.0, 1.0)


def test_two_perfect_scores_do_not_differ():
    assert delong_test([0, 0, 1, 1], [1, 2, 3, 4], [2, 1, 3, 4]).p_value == 1.0


def test_a_difference_without_variance_cannot_be_told():
    test = delong_test([0, 0, 1, 1], [1, 2, 3, 4], [4, 3, 2, 1])

    assert test.difference == 1.0
    assert np.isnan(test.p_value)


def test_delong_test_keeps_its_level_where_nothing_differs():
    """Two equally good scores: about 5 in 100 tests are below 0.05."""
    generator = np.random.default_rng(4)
    labels = np.repeat([1, 0], [30, 120])
    below = 0
    for _ in range(600):
        first, second = generator.normal(size=(2, 150)) + labels
        below += delong_test(labels, first, second).p_value < 0.05

    assert 0.025 < below / 600 < 0.08


def test_difference_interval_of_symmetric_intervals_is_the_root_of_the_sum_of_squares():
    """Half-widths 0.03 and 0.04 add up to 0.05."""
    interval = difference_interval(0.9, Interval(0.87, 0.93), 0.7, Interval(0.66, 0.74))

    assert (interval.low, interval.high) == pytest.approx((0.15, 0.25))


def test_difference_interval_keeps_the_skew():
    """Low: 0.1 - hypot(0.10, 0.05); high: 0.1 + hypot(0.02, 0.20)."""
    interval = difference_interval(0.95, Interval(0.85, 0.97), 0.85, Interval(0.65, 0.90))

    assert interval.low == pytest.approx(0.1 - np.hypot(0.10, 0.05))
    assert interval.high == pytest.approx(0.1 + np.hypot(0.02, 0.20))


@pytest.mark.parametrize("levels", [0, 2])
def test_each_resample_equals_scikit_learn_on_the_drawn_cases(levels):
    """The draws are repeated from the same seed, and each resample scored the slow way."""
    labels, first, second = two_scores(cases=40, deaths=9)
    if levels:
        first, second = np.round(first * levels), np.round(second * levels)
    died, lived = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    generator = np.random.default_rng(7)
    drawn = [generator.integers(0, group.size, size=(group.size, 30)) for group in (died, lived)]

    aucs = bootstrap_aucs(labels, np.stack([first, second]), resamples=30, seed=7)

    for resample in range(30):
        cases = np.concatenate([died[drawn[0][:, resample]], lived[drawn[1][:, resample]]])
        for row, scores in enumerate((first, second)):
            assert aucs[row, resample] == pytest.approx(roc_auc_score(labels[cases], scores[cases]))


def test_the_same_seed_gives_the_same_resamples():
    labels, first, _ = two_scores()

    assert (bootstrap_aucs(labels, first, seed=3) == bootstrap_aucs(labels, first, seed=3)).all()
    assert (bootstrap_aucs(labels, first, seed=3) != bootstrap_aucs(labels, first, seed=4)).any()


def test_bootstrap_spread_agrees_with_delong():
    labels, first, _ = two_scores()
    spread = bootstrap_aucs(labels, first, resamples=4000).std()

    assert spread == pytest.approx(np.sqrt(delong(labels, first).covariance[0, 0]), rel=0.1)


def test_bootstrap_difference_agrees_with_delong():
    labels, first, second = two_scores()
    bootstrap, test = bootstrap_difference(labels, first, second), delong_test(labels, first, second)

    assert bootstrap.difference == pytest.approx(auroc(labels, first) - auroc(labels, second))
    assert bootstrap.interval.low == pytest.approx(test.interval.low, abs=0.02)
    assert bootstrap.interval.high == pytest.approx(test.interval.high, abs=0.02)
    assert bootstrap.p_value < 0.05


def test_bootstrap_difference_of_equal_scores_is_nothing():
    labels, first, _ = two_scores()
    bootstrap = bootstrap_difference(labels, first, first, resamples=200)

    assert (bootstrap.difference, bootstrap.p_value) == (0.0, 1.0)


def test_holm_by_hand():
    """Sorted .01 .02 .04 times 3, 2, 1: .03 .04 .04; the NaN is not counted."""
    np.testing.assert_allclose(holm([0.04, np.nan, 0.01, 0.02]), [0.04, np.nan, 0.03, 0.04])


def test_holm_of_nothing_is_nothing():
    assert np.isnan(holm([np.nan])).all()
    assert holm([]).size == 0


def test_no_resamples_are_refused():
    with pytest.raises(ValueError, match="At least one resample"):
        bootstrap_aucs([0, 1], [1, 2], resamples=0)
