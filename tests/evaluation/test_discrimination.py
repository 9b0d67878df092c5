"""Discrimination against hand sums, scikit-learn and pauc, and at its edges."""

from __future__ import annotations

import numpy as np
import pauc
import pytest
from scipy import stats
from sklearn import metrics

from pefuse.evaluation import (
    auroc,
    average_precision,
    delong,
    delong_interval,
    newcombe_interval,
    placements,
    precision_recall_curve,
    roc_curve,
)


def sample(seed: int, *, cases: int = 120, deaths: int = 17, levels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels and a score that means something; `levels` > 0 rounds it so that many cases tie."""
    generator = np.random.default_rng(seed)
    labels = (np.arange(cases) < deaths).astype(int)
    scores = generator.normal(size=cases) + 1.2 * labels
    return labels, np.round(scores * levels) / levels if levels else scores


def test_auroc_counts_a_tie_as_half():
    """Of the 4 (died, survived) pairs 3 are ranked right and 1 is tied: 3.5 / 4."""
    assert auroc([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1]) == 0.875


@pytest.mark.parametrize("levels", [0, 1, 4])
def test_auroc_equals_scikit_learn(levels):
    labels, scores = sample(3, levels=levels)

    assert auroc(labels, scores) == pytest.approx(metrics.roc_auc_score(labels, scores), abs=1e-12)


def test_auroc_at_the_extremes():
    assert auroc([0, 0, 1, 1], [1, 2, 3, 4]) == 1.0
    assert auroc([1, 1, 0, 0], [1, 2, 3, 4]) == 0.0
    assert auroc([1, 0, 1, 0], [7, 7, 7, 7]) == 0.5


def test_placements_by_hand():
    """Deaths 3 and 1 against survivors 0, 1, 2: 3 outranks all, 1 outranks one and ties one."""
    of_deaths, of_survivors = placements([1, 1, 0, 0, 0], [3, 1, 0, 1, 2])

    np.testing.assert_allclose(of_deaths, [[1.0, 0.5]])
    np.testing.assert_allclose(of_survivors, [[1.0, 0.75, 0.5]])


def test_delong_variance_by_hand():
    """Placements [1, .5] and [1, .75, .5]: variances .125 and .0625, so .125 / 2 + .0625 / 3."""
    result = delong([1, 1, 0, 0, 0], [3, 1, 0, 1, 2])

    assert result.auc[0] == pytest.approx(0.75)
    assert result.covariance[0, 0] == pytest.approx(0.125 / 2 + 0.0625 / 3)


@pytest.mark.parametrize("levels", [0, 1, 4])
def test_delong_equals_pauc(levels):
    labels, first = sample(1, levels=levels)
    _, second = sample(2, levels=levels)

    result = delong(labels, np.stack([first, second]))

    curves = [pauc.ROC(labels, scores, direction="<") for scores in (first, second)]
    np.testing.assert_allclose(result.auc, [curve.auc for curve in curves])
    np.testing.assert_allclose(np.diag(result.covariance), [pauc.var(curve) for curve in curves])
    assert result.covariance[0, 1] == pytest.approx(pauc.cov(*curves))
    assert result.covariance[0, 1] == result.covariance[1, 0]


def test_wald_interval_equals_pauc():
    labels, scores = sample(5)

    interval = delong_interval(labels, scores, method="wald")

    low, high = np.sort(np.asarray(pauc.ci_auc(pauc.ROC(labels, scores, direction="<"))).ravel())[[0, -1]]
    assert (interval.low, interval.high) == pytest.approx((low, high))
    assert interval.method == "wald"


def test_logit_interval_lies_within_0_and_1_and_is_skewed_away_from_1():
    labels, scores = sample(8, cases=72, deaths=10)
    auc = auroc(labels, scores)

    interval = delong_interval(labels, scores)

    assert interval.method == "logit"
    assert 0 < interval.low < auc < interval.high < 1
    assert auc - interval.low > interval.high - auc


def test_interval_of_a_perfect_score_is_exact_and_not_a_point():
    """Ten of ten disjoint pairs right: Clopper-Pearson's lower bound is 0.025 ** (1 / 10)."""
    labels = [1] * 10 + [0] * 62
    interval = delong_interval(labels, np.arange(72)[::-1])

    assert interval.method == "exact"
    assert interval.low == pytest.approx(0.025**0.1)
    assert interval.high == 1.0


@pytest.mark.parametrize("scores", [[1, 1, 1, 1, 1, 1], [4, 5, 6, 1, 2, 3]])
def test_interval_without_variance_is_exact(scores):
    interval = delong_interval([0, 0, 0, 1, 1, 1], scores)

    assert interval.method == "exact"
    assert interval.high - interval.low > 0.5


def test_interval_with_one_death_is_exact():
    assert delong_interval([1, 0, 0, 0], [2, 1, 3, 0]).method == "exact"
    assert np.isnan(delong([1, 0, 0, 0], [2, 1, 3, 0]).covariance).all()


@pytest.mark.parametrize("seed", [1, 8])
def test_newcombe_interval_ends_where_the_auc_is_critically_far(seed):
    """At either bound the observed AUC lies 1.96 of that bound's own standard errors away."""
    labels, scores = sample(seed, cases=72, deaths=10)
    auc = auroc(labels, scores)

    interval = newcombe_interval(labels, scores)

    assert 0 < interval.low < auc < interval.high < 1
    for bound in (interval.low, interval.high):
        spread = 1 + 35 * ((1 - bound) / (2 - bound) + bound / (1 + bound))
        error = np.sqrt(bound * (1 - bound) * spread / (10 * 62))
        assert abs(auc - bound) == pytest.approx(1.959964 * error)


def test_newcombe_interval_of_perfect_scores_is_not_a_point():
    """Perfect one way or the other: mirror images, each from its extreme; wider than half the exact one's."""
    labels = [1] * 10 + [0] * 62
    best, worst = newcombe_interval(labels, np.arange(72)[::-1]), newcombe_interval(labels, np.arange(72))

    assert (best.high, worst.low) == (1.0, 0.0)
    assert 0.6 < best.low < 0.95
    assert best.low == pytest.approx(1 - worst.high)


def test_newcombe_interval_with_one_death_is_wide():
    interval = newcombe_interval([1, 0, 0, 0], [2, 1, 3, 0])

    assert interval.high - interval.low > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("auc", [0.75, 0.98])
def test_newcombe_interval_covers_the_truth_with_ten_deaths(auc):
    generator = np.random.default_rng(0)
    labels = np.repeat([1, 0], [10, 62])
    distance = np.sqrt(2) * stats.norm.ppf(auc)
    inside = sum(
        auc in newcombe_interval(labels, generator.normal(size=72) + distance * labels) for _ in range(1000)
    )

    assert 0.94 <= inside / 1000 <= 0.995


@pytest.mark.slow
@pytest.mark.parametrize(("deaths", "survivors"), [(10, 62), (100, 400)])
def test_logit_interval_covers_the_truth_95_times_in_100(deaths, survivors):
    """Binormal with AUC 0.88: the separation is sqrt(2) times its normal quantile, 1.175."""
    generator = np.random.default_rng(0)
    labels = np.repeat([1, 0], [deaths, survivors])
    inside = 0
    for _ in range(1000):
        scores = generator.normal(size=labels.size) + np.sqrt(2) * 1.1749868 * labels
        inside += 0.88 in delong_interval(labels, scores)

    assert 0.92 <= inside / 1000 <= 0.98


def test_roc_curve_starts_with_nobody_and_ends_with_everybody():
    curve = roc_curve([1, 1, 0, 0], [0.9, 0.5, 0.5, 0.1])

    np.testing.assert_allclose(curve.false_positive_rate, [0, 0, 0.5, 1])
    np.testing.assert_allclose(curve.true_positive_rate, [0, 0.5, 1, 1])
    assert curve.thresholds[0] == np.inf


def test_area_below_the_roc_curve_is_the_auroc():
    labels, scores = sample(9, levels=2)
    curve = roc_curve(labels, scores)

    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)

    assert area == pytest.approx(auroc(labels, scores))


def test_precision_recall_curve_by_hand():
    """Called from the highest score on: 1 of 1, 1 of 2, 2 of 3, 2 of 4."""
    curve = precision_recall_curve([1, 0, 1, 0], [4, 3, 2, 1])

    np.testing.assert_allclose(curve.precision, [1, 1 / 2, 2 / 3, 2 / 4])
    np.testing.assert_allclose(curve.recall, [0.5, 0.5, 1, 1])
    np.testing.assert_allclose(curve.thresholds, [4, 3, 2, 1])


def test_area_by_steps_below_the_precision_recall_curve_is_the_average_precision():
    labels, scores = sample(9, levels=2)
    curve = precision_recall_curve(labels, scores)

    area = np.sum(np.diff(curve.recall, prepend=0) * curve.precision)

    assert area == pytest.approx(average_precision(labels, scores))


def test_average_precision_by_hand():
    """Deaths at ranks 1 and 3: (1/1 + 2/3) / 2."""
    assert average_precision([1, 0, 1, 0], [4, 3, 2, 1]) == pytest.approx((1 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 0, 0], [1, 2, 3], "0 of 3 cases are positive"),
        ([1, 1, 1], [1, 2, 3], "3 of 3 cases are positive"),
        ([0, 1, 2], [1, 2, 3], "0 or 1"),
        ([0, 1, np.nan], [1, 2, 3], "0 or 1"),
        ([0, 1, 1], [1, 2], "N = 3"),
        ([0, 1, 1], [1, np.nan, 3], "1 of 3 scores are not finite"),
        ([0, 1, 1], [[1, 2, 3]], "One score a case"),
        ([], [], "N >= 1"),
    ],
)
def test_what_cannot_be_scored_is_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        auroc(labels, scores)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="choose 'logit', 'wald' or 'exact'"):
        delong_interval([0, 1, 1], [1, 2, 3], method="probit")
