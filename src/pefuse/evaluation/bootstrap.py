"""Bootstrap: what a statistic would be on other patients, drawn with replacement from those there are.

Patients are drawn, each with all of its studies, and those with a death apart from those without: every resample
has as many of either as the sample. M scores are judged on the same resamples, so their differences are paired. A
resample is kept as how often each study was drawn; no score is ever sorted twice (`_weighted.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from pefuse.evaluation._inputs import both_classes, checked_scores, cluster_numbers
from pefuse.evaluation._weighted import WeightedAuroc, WeightedPrecision, WeightedStatistic
from pefuse.evaluation.intervals import Interval

__all__ = [
    "Bootstrap",
    "BootstrapDifference",
    "bca_interval",
    "bootstrap_scores",
    "bootstrap_statistic",
    "percentile_interval",
    "resampled_weights",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int32]

# So many weights at a time: 1 MB, which stay in a core's cache while M scores are judged on them.
BLOCK_WEIGHTS = 250_000

STATISTICS: dict[str, type[WeightedAuroc] | type[WeightedPrecision]] = {
    "auroc": WeightedAuroc,
    "average_precision": WeightedPrecision,
}

# Sums of the same numbers in another order differ by less than this.
ROUNDING = 1e-12


@dataclass(frozen=True)
class BootstrapDifference:
    """`difference` = statistic of a - that of b, its interval, and the two-sided p of no difference."""

    difference: float
    interval: Interval
    p_value: float
    resamples: int


@dataclass(frozen=True)
class Bootstrap:
    """M statistics: as observed `(M,)`, on R resamples `(M, R)`, and without one patient each.

    `left_out` has an array `(M, patients)` for those with a death and one for those without.
    """

    observed: FloatArray
    resampled: FloatArray = field(repr=False)
    left_out: tuple[FloatArray, ...] = field(repr=False)

    def interval(self, row: int = 0, *, level: float = 0.95) -> Interval:
        """BCa interval of one statistic; see `bca_interval` for where it is another."""
        left_out = [part[row] for part in self.left_out]
        return bca_interval(float(self.observed[row]), self.resampled[row], left_out, level=level)

    def difference(self, a: int, b: int, *, level: float = 0.95) -> BootstrapDifference:
        """Statistic `a` minus statistic `b`, with its BCa interval.

        The p-value is twice the smaller share of resampled differences on one side of 0, those at 0 counting for
        both sides, with one resample added so that it is never 0 (Davison & Hinkley 1997, 4.2). NaN where a class
        has a single patient.
        """
        observed = float(self.observed[a] - self.observed[b])
        resampled = self.resampled[a] - self.resampled[b]
        interval = bca_interval(observed, resampled, [part[a] - part[b] for part in self.left_out], level=level)
        known = resampled[np.isfinite(resampled)]
        smaller = min(int((known <= ROUNDING).sum()), int((known >= -ROUNDING).sum()))
        told = interval.method != "none"
        p_value = min(1.0, 2 * (smaller + 1) / (known.size + 1)) if told else np.nan
        return BootstrapDifference(observed, interval, p_value, int(known.size))


def bootstrap_scores(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    statistic: Literal["auroc", "average_precision"] = "auroc",
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> Bootstrap:
    """AUROC or average precision of M scores, on the same stratified resamples for every score.

    Args:
        labels: `(N,)`, 0 or 1.
        scores: `(N,)` or `(M, N)`, higher is worse.
        statistic: what is computed of each score.
        clusters: `(N,)`, the patient of each study, whose studies are drawn together; None = one study a patient.
        resamples: how many, at least 1.
        seed: a seed or a generator; the same seed draws the same patients, whatever the scores.

    Raises:
        ValueError: only one class, a score that is not finite, a study without a patient.
    """
    if statistic not in STATISTICS:
        raise ValueError(f"The statistic {statistic!r} is not known: choose one of {', '.join(STATISTICS)}.")
    died = both_classes(labels)
    values = np.atleast_2d(checked_scores(scores, died.size))
    prepared: WeightedStatistic = STATISTICS[statistic](died, values)
    return bootstrap_statistic(prepared, clusters=clusters, resamples=resamples, seed=seed)


def bootstrap_statistic(
    statistic: WeightedStatistic,
    *,
    clusters: ArrayLike | None = None,
    resamples: int = 10_000,
    seed: int | np.random.Generator = 0,
) -> Bootstrap:
    """`bootstrap_scores` of anything that can be computed of weighted cases."""
    parts = [
        statistic.weighted(weights)
        for weights in resampled_weights(statistic.died, clusters=clusters, resamples=resamples, seed=seed)
    ]
    ones = np.ones((statistic.died.size, 1), dtype=np.int32)
    return Bootstrap(
        observed=statistic.weighted(ones)[:, 0],
        resampled=np.concatenate(parts, axis=1),
        left_out=_left_out(statistic, _Patients.of(statistic.died, clusters)),
    )


def resampled_weights(
    died: BoolArray, *, clusters: ArrayLike | None, resamples: int, seed: int | np.random.Generator
) -> Iterator[IntArray]:
    """How often each study is drawn, `(N, some of the resamples)` at a time."""
    if resamples < 1:
        raise ValueError(f"At least one resample is needed, not {resamples}.")
    patients = _Patients.of(died, clusters)
    generator = np.random.default_rng(seed)
    block = max(1, BLOCK_WEIGHTS // died.size)
    for start in range(0, resamples, block):
        yield patients.drawn(min(block, resamples - start), generator)


def bca_interval(
    observed: float, resampled: FloatArray, left_out: list[FloatArray], *, level: float = 0.95
) -> Interval:
    """Bias-corrected and accelerated interval (Efron 1987; several samples: Davison & Hinkley 1997, 5.3.2).

    Args:
        observed: the statistic of the sample.
        resampled: `(R,)`, of the resamples; NaN, where a resample could not be judged, is left aside.
        left_out: for each stratum `(patients,)`, the statistic without one patient each.

    The interval's `method` says what it is: `bca`; `percentile` where bias or acceleration cannot be told, as with
    resamples all equal or all on one side of `observed`; `none`, with NaN bounds, where a stratum has a single
    patient, who is in every resample, so that nothing is learnt of what another would do.
    """
    known = resampled[np.isfinite(resampled)]
    if known.size == 0 or any(part.size == 1 for part in left_out):
        return Interval(np.nan, np.nan, level, "none")
    below, not_above = (known < observed - ROUNDING).mean(), (known <= observed + ROUNDING).mean()
    bias = stats.norm.ppf((below + not_above) / 2)
    acceleration = _acceleration(left_out)
    if not np.isfinite(bias) or not np.isfinite(acceleration):
        return percentile_interval(known, level=level)
    shifted = bias + stats.norm.ppf([(1 - level) / 2, (1 + level) / 2])
    if (acceleration * shifted >= 1).any():
        return percentile_interval(known, level=level)
    low, high = np.quantile(known, stats.norm.cdf(bias + shifted / (1 - acceleration * shifted)))
    return Interval(float(low), float(high), level, "bca")


def percentile_interval(resampled: FloatArray, *, level: float = 0.95) -> Interval:
    """The middle `level` of the resamples."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), level, "percentile")


@dataclass(frozen=True)
class _Patients:
    """`of_study` `(N,)` is each study's patient, `strata` the patients with a death and those without."""

    of_study: NDArray[np.intp]
    studies: NDArray[np.intp]  # of each patient
    strata: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, died: BoolArray, clusters: ArrayLike | None) -> _Patients:
        of_study = np.arange(died.size) if clusters is None else cluster_numbers(clusters, died.size)
        with_death = np.bincount(of_study, weights=died) > 0
        strata = tuple(np.flatnonzero(part) for part in (with_death, ~with_death) if part.any())
        return cls(of_study, np.bincount(of_study), strata)

    def drawn(self, resamples: int, generator: np.random.Generator) -> IntArray:
        """How often each study is drawn `(N, resamples)` when the patients of each stratum are drawn."""
        counts = np.empty((self.studies.size, resamples), dtype=np.int32)
        for stratum in self.strata:
            size = stratum.size
            drawn = generator.integers(0, size, size=(size, resamples))
            drawn *= resamples  # in place: a quarter of the time went into new arrays
            drawn += np.arange(resamples)
            counts[stratum] = np.bincount(drawn.ravel(), minlength=size * resamples).reshape(size, resamples)
        return counts[self.of_study]


def _left_out(statistic: WeightedStatistic, patients: _Patients) -> tuple[FloatArray, ...]:
    """The statistics without one patient each: in closed form for one study, by weights of 0 for several."""
    each = statistic.without_each()
    values = np.empty((each.shape[0], patients.studies.size))
    alone = patients.studies[patients.of_study] == 1
    values[:, patients.of_study[alone]] = each[:, alone]
    several = np.flatnonzero(patients.studies > 1)
    block = max(1, BLOCK_WEIGHTS // patients.of_study.size)
    for start in range(0, several.size, block):
        some = several[start : start + block]
        values[:, some] = statistic.weighted((patients.of_study[:, None] != some).astype(np.int32))
    return tuple(values[:, stratum] for stratum in patients.strata)


def _acceleration(left_out: list[FloatArray]) -> float:
    """From each stratum's influences `(n - 1) (mean - value)`; NaN where no patient moves anything."""
    influences = [(part.size - 1) * (part.mean() - part) for part in left_out]
    cubes = sum(float((part**3).sum()) / part.size**3 for part in influences)
    squares = sum(float((part**2).sum()) / part.size**2 for part in influences)
    return cubes / (6 * squares**1.5) if squares > ROUNDING**2 else np.nan
