"""t-SNE: vectors as points of the plane, neighbours kept near each other (van der Maaten & Hinton 2008).

Only who is near whom can be read from it. Distances between groups, their size and their shape mean nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

__all__ = ["FEWEST", "PERPLEXITY", "perplexity_of", "place", "shown_cases"]

PERPLEXITY = 30  # about how many neighbours each case has; the usual choice
FEWEST = 10  # fewer points show nothing
MOST = 400  # more take too long, and hide each other
ITERATIONS = 500


def perplexity_of(count: int) -> int:
    """The perplexity for so many cases: it may not come near their number, so for few it is a third of them."""
    return min(PERPLEXITY, (count - 1) // 3)


def place(vectors: NDArray[np.float64], *, seed: int = 0) -> NDArray[np.float64] | None:
    """The points `(N, 2)` of vectors `(N, E)`, finite; None for too few, or where all vectors are the same.

    The same vectors give the same points. It starts from the first two principal components.
    """
    from sklearn.manifold import TSNE  # a second to import, which only a report with embeddings needs

    if len(vectors) < FEWEST:
        return None
    largest = np.abs(vectors).max()
    scaled = vectors / largest if largest > 0 else vectors  # t-SNE knows no scale, but its numbers have a range
    if np.ptp(scaled, axis=0).max() < 1e-6:
        return None
    if scaled.shape[1] == 1:  # it has one principal component only
        scaled = np.hstack([scaled, np.zeros_like(scaled)])
    drawing = TSNE(
        perplexity=perplexity_of(len(scaled)), init="pca", max_iter=ITERATIONS, random_state=seed, n_jobs=1
    )
    with threadpool_limits(1):  # threads change the order of sums, and so the points
        points: NDArray[np.float64] = drawing.fit_transform(scaled.astype(np.float32)).astype(np.float64)
    return points


def shown_cases(splits: Sequence[str], *, most: int = MOST, seed: int = 0) -> NDArray[np.intp]:
    """Which cases to draw, in order: all, or of more than `most` a part chosen by chance.

    Test cases get half of the places, and those that the others leave free.

    Args:
        splits: of each case; all but "test" are others.
    """
    is_test = np.asarray(splits) == "test"
    if len(is_test) <= most:
        return np.arange(len(is_test))
    random = np.random.default_rng(seed)
    others = int((~is_test).sum())
    tests = min(int(is_test.sum()), max(most // 2, most - others))
    picked = [
        random.choice(np.flatnonzero(is_test), tests, replace=False),
        random.choice(np.flatnonzero(~is_test), most - tests, replace=False),
    ]
    return np.sort(np.concatenate(picked))
