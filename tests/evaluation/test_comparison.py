"""Comparisons against pauc, scipy, MLstatkit and hand sums."""

from __future__ import annotations

import MLstatkit
import numpy as np
import pauc
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from pefuse.evaluation import (
    Interval,
    auroc,
    delong,
    delong_test,
    difference_interval,
    holm,
    mcnemar_tests,
    permutation_test,
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


def test_every_exchange_of_six_cases_is_counted_as_scipy_does():
    """2^6 exchanges of the ranks, each AUC by scikit-learn."""
    labels = np.array([1, 1, 0, 0, 0, 1])
    first, second = np.array([5.0, 3, 1, 2, 4, 6]), np.array([1.0, 3, 2, 2, 5, 4])
    ranks = [stats.rankdata(scores) for scores in (first, second)]

    test = permutation_test(labels, first, second)

    expected = stats.permutation_test(
        ranks,
        lambda a, b: roc_auc_score(labels, a) - roc_auc_score(labels, b),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    assert test.exact
    assert test.difference == pytest.approx(expected.statistic)
    assert test.p_value == pytest.approx(expected.pvalue)
    assert 0 < test.p_value < 1


def test_a_permutation_test_of_many_cases_agrees_with_scipy_and_delong():
    labels, first, second = two_scores(cases=60, deaths=20)
    ranks = [stats.rankdata(scores) for scores in (first, second)]

    test = permutation_test(labels, first, second)

    def difference(a, b, axis=-1):
        died = labels == 1
        pairs = [np.mean(s[..., died, None] > s[..., None, ~died], axis=(-1, -2)) for s in (a, b)]
        return pairs[0] - pairs[1]

    expected = stats.permutation_test(
        ranks, difference, permutation_type="samples", vectorized=True, n_resamples=4000, batch=1000, rng=0
    )
    assert not test.exact
    assert test.difference == pytest.approx(auroc(labels, first) - auroc(labels, second))
    assert test.p_value == pytest.approx(expected.pvalue, abs=0.02)
    assert test.p_value == pytest.approx(delong_test(labels, first, second).p_value, abs=0.05)


def test_a_permutation_test_agrees_with_mlstatkit():
    """Given ranks, it exchanges what we exchange; p of 500 exchanges."""
    labels, first, second = two_scores(cases=80, deaths=20)
    ranks = [stats.rankdata(scores) for scores in (first, second)]
    *_, p_value, difference, _, _ = MLstatkit.Permutation_test(
        labels, *ranks, metric_str="roc_auc", n_bootstraps=500
    )

    test = permutation_test(labels, first, second)

    assert test.difference == pytest.approx(difference)
    assert test.p_value == pytest.approx(p_value, abs=0.04)


def test_a_permutation_test_does_not_depend_on_the_scale_of_a_score():
    labels, first, second = two_scores(cases=60, deaths=20)

    assert permutation_test(labels, first, second) == permutation_test(labels, np.exp(3 * first), second)


def test_scores_that_rank_alike_have_nothing_to_exchange():
    labels, first, _ = two_scores()
    test = permutation_test(labels, first, 2 * first)

    assert (test.difference, test.p_value, test.permutations) == (0.0, 1.0, 1)


def test_thousands_of_cases_are_exchanged_too():
    labels, first, second = two_scores(cases=3000, deaths=300)
    test = permutation_test(labels, first, second, permutations=1000)

    assert test.p_value == pytest.approx(1 / 1001)
    assert delong_test(labels, first, second).p_value < 1e-4


def test_the_studies_of_a_patient_are_exchanged_together():
    """Two patients, so four exchanges; all of one patient's studies speak for the first score."""
    labels, patients = [1, 0, 1, 0], ["p", "p", "q", "q"]
    test = permutation_test(labels, [2, 1, 2, 1], [1, 2, 1, 2], clusters=patients)

    assert test.permutations == 4
    assert test.difference == 1.0
    assert test.p_value == pytest.approx(0.5)  # this one and its mirror


def test_a_permutation_test_keeps_its_level_where_nothing_differs():
    generator = np.random.default_rng(4)
    labels = np.repeat([1, 0], [10, 40])
    p_values = [
        permutation_test(labels, *(generator.normal(size=(2, 50)) + labels), permutations=500).p_value
        for _ in range(400)
    ]

    assert 0.025 < np.mean(np.array(p_values) < 0.05) < 0.08


def test_mcnemar_by_hand():
    """Deaths: 3 and 0 right by one alone, p = 2 / 2^3. Survivors: 1 and 1, p = 1. All: 4 and 1, p = 12 / 32."""
    labels = [1] * 4 + [0] * 3
    a = [1, 1, 1, 1, 0, 1, 0]
    b = [0, 0, 0, 1, 1, 0, 0]

    tests = mcnemar_tests(labels, a, b)

    assert (tests["sensitivity"].only_a, tests["sensitivity"].only_b) == (3, 0)
    assert tests["sensitivity"].p_value == pytest.approx(0.25)
    assert (tests["specificity"].only_a, tests["specificity"].only_b) == (1, 1)
    assert tests["specificity"].p_value == 1.0
    assert (tests["accuracy"].only_a, tests["accuracy"].only_b) == (4, 1)
    assert tests["accuracy"].p_value == pytest.approx(12 / 32)


def test_mcnemar_equals_scipys_binomial_test():
    labels, first, second = two_scores()
    a, b = first > 0.5, second > 0.5
    found = mcnemar_tests(labels, a, b)["specificity"]

    expected = stats.binomtest(found.only_a, found.only_a + found.only_b).pvalue
    assert found.p_value == pytest.approx(expected)
    assert found.p_value < 1


def test_mcnemar_of_calls_that_agree_is_nothing():
    tests = mcnemar_tests([1, 0, 0], [1, 0, 1], [1, 0, 1])

    assert all((one.only_a, one.only_b, one.p_value) == (0, 0, 1.0) for one in tests.values())


def test_mcnemar_of_one_class_has_nothing_to_say_of_the_other():
    assert mcnemar_tests([0, 0], [1, 0], [0, 0])["sensitivity"].p_value == 1.0


def test_calls_of_other_cases_are_refused():
    with pytest.raises(ValueError, match="There are 3 labels, but 3 and 2 calls"):
        mcnemar_tests([1, 0, 0], [1, 0, 1], [1, 0])


def test_holm_by_hand():
    """Sorted .01 .02 .04 times 3, 2, 1: .03 .04 .04; the NaN is not counted."""
    np.testing.assert_allclose(holm([0.04, np.nan, 0.01, 0.02]), [0.04, np.nan, 0.03, 0.04])


def test_holm_of_nothing_is_nothing():
    assert np.isnan(holm([np.nan])).all()
    assert holm([]).size == 0


def test_no_permutations_are_refused():
    with pytest.raises(ValueError, match="At least one permutation"):
        permutation_test([0, 1], [1, 2], [2, 1], permutations=0)
