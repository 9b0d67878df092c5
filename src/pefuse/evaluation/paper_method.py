"""The paper's own significance test, under its name: read it beside `delong_test`, never instead.

Cahan et al. mark differences with a Kolmogorov-Smirnov test (p <= 0.05) and do not say on what; bootstrap
samples of the two AUCs are the likely reading. The test asks whether two *samples* have one distribution, and a
bootstrap sample can be made as large as one likes: its p falls with the number of resamples, for any two models
that differ by a hair.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from pefuse.evaluation.bootstrap import bootstrap_scores

__all__ = ["PAPER_RESAMPLES", "paper_ks_p_value"]

PAPER_RESAMPLES = 1000  # as printed by the authors' code for its bootstrap; the text gives no number


def paper_ks_p_value(
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    resamples: int = PAPER_RESAMPLES,
    seed: int | np.random.Generator = 0,
) -> float:
    """Two-sample Kolmogorov-Smirnov p of two models' bootstrapped AUCs, each with samples of its own.

    Not a p-value of any hypothesis about the models: it depends on `resamples`.
    """
    generator = np.random.default_rng(seed)
    first, second = (bootstrap_scores(labels, scores, resamples=resamples, seed=generator) for scores in (a, b))
    return float(stats.ks_2samp(first.resampled[0], second.resampled[0]).pvalue)
