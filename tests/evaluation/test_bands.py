"""Bands of ROC and precision-recall curves against a loop over scikit-learn on the drawn cases."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from pefuse.evaluation import precision_recall_band, roc_band

POINTS = np.array([0.05, 0.1, 0.29, 0.5, 0.99, 1.0])


def sample(levels: int) -> tuple[np.ndarray, np.ndarray]:
    labels = (np.arange(110) < 10).astype(int)
    scores = np.random.default_rng(2).normal(size=110) + 1.3 * labels
    return labels, np.round(scores * levels) / levels if levels else scores


def drawn_cases(labels: np.ndarray, *, resamples: int, seed: int) -> list[np.ndarray]:
    died, lived = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    generator = np.random.default_rng(seed)
    drawn = [group[generator.integers(0, group.size, size=(group.size, resamples))] for group in (died, lived)]
    return list(np.concatenate(drawn).T)


@pytest.mark.parametrize("levels", [0, 2])
def test_the_roc_band_is_that_of_scikit_learns_curves(levels):
    """Each curve read off at the points; where it is upright, its top."""
    labels, scores = sample(levels)
    points = np.array([0.0, *POINTS])
    curves = []
    for cases in drawn_cases(labels, resamples=60, seed=4):
        false, true, _ = metrics.roc_curve(labels[cases], scores[cases], drop_intermediate=False)
        curves.append(np.interp(points, false, true))  # of several corners above a point numpy takes the last
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)

    band = roc_band(labels, scores, points=points, resamples=60, seed=4)

    np.testing.assert_allclose(band.low, low, atol=1e-7)
    np.testing.assert_allclose(band.high, high, atol=1e-7)


@pytest.mark.parametrize("levels", [0, 2])
def test_the_precision_recall_band_is_that_of_scikit_learns_curves(levels):
    labels, scores = sample(levels)
    curves = []
    for cases in drawn_cases(labels, resamples=60, seed=4):
        precision, recall, _ = metrics.precision_recall_curve(labels[cases], scores[cases])
        curves.append([precision[np.flatnonzero(recall >= point - 1e-9)[-1]] for point in POINTS])
    low, high = np.quantile(curves, [0.025, 0.975], axis=0)

    band = precision_recall_band(labels, scores, points=POINTS, resamples=60, seed=4)

    np.testing.assert_allclose(band.low, low)
    np.testing.assert_allclose(band.high, high)


def test_a_band_of_a_perfect_score_is_a_line():
    labels, scores = [0, 0, 0, 1, 1], [1, 2, 3, 4, 5]

    assert (roc_band(labels, scores, resamples=20).low == 1).all()
    assert (precision_recall_band(labels, scores, resamples=20).low == 1).all()


def test_a_constant_score_has_the_diagonal_and_the_prevalence():
    """All are called at once: straight from none to all, with 2 of 5 right."""
    labels, scores = [0, 0, 0, 1, 1], np.ones(5)
    roc = roc_band(labels, scores, resamples=20)

    np.testing.assert_allclose(roc.low, roc.x)
    np.testing.assert_allclose(roc.high, roc.x)
    assert precision_recall_band(labels, scores, resamples=20).high == pytest.approx(0.4)


def test_resamples_with_one_class_alone_are_left_aside():
    """Every patient has a death in the end; only the first has a study before."""
    labels, patients = [1, 0, 1, 1, 1], [1, 1, 2, 3, 4]
    band = roc_band(labels, [3, 2, 1, 4, 5], clusters=patients, resamples=100)

    assert np.isfinite(band.low).all()


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="Both classes"):
        roc_band([0, 0], [1, 2])
