"""The paper's Kolmogorov-Smirnov test: what it does, and why nobody should believe it."""

from __future__ import annotations

import numpy as np

from pefuse.evaluation import auroc, delong_test, paper_ks_p_value

RANDOM = np.random.default_rng(3)
LABELS = np.repeat([1, 0], [20, 120])
FIRST = RANDOM.normal(size=140) + 1.5 * LABELS
SECOND = RANDOM.normal(size=140) + 1.4 * LABELS


def test_its_p_falls_with_the_number_of_resamples_while_the_models_stay_the_same():
    """A hair apart and far from significant by DeLong; the more resamples, the "surer" it gets."""
    honest = delong_test(LABELS, FIRST, SECOND).p_value
    few, many = (paper_ks_p_value(LABELS, FIRST, SECOND, resamples=count) for count in (50, 5000))

    assert 0 < abs(auroc(LABELS, FIRST) - auroc(LABELS, SECOND)) < 0.1
    assert honest > 0.2
    assert many < 1e-6
    assert many < few


def test_a_model_against_itself_has_samples_of_its_own():
    """Two samples of one distribution: p is anything but small; and the same seed gives the same p."""
    assert paper_ks_p_value(LABELS, FIRST, FIRST, resamples=200) > 0.01
    assert paper_ks_p_value(LABELS, FIRST, SECOND) == paper_ks_p_value(LABELS, FIRST, SECOND)
