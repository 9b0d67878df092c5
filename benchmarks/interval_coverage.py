"""How often intervals hold the truth: nominal 95 %, simulated, for 10 deaths of 72 studies and 500 of 5,000.

    python benchmarks/interval_coverage.py [--deaths 10 500] [--repetitions 2000] [--resamples 500]

Two models, binormal: scores of survivors are normal around 0, those of deaths around sqrt(2) times the normal
quantile of the AUC, so that the true AUC is known. The second model's AUC is 0.05 less, and the two correlate by
0.5 within each class, as models of the same patients do. With 2,000 repetitions a coverage of 95 % is known to 1
percentage point. Of the difference, "wald" is DeLong's. Prints Markdown; simulated data.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pefuse.evaluation import (
    Interval,
    bootstrap_scores,
    delong_interval,
    delong_test,
    newcombe_interval,
    percentile_interval,
)

SURVIVORS = {10: 62, 500: 4500}
AUCS = (0.75, 0.85, 0.95, 0.98)
LESS = 0.05  # by which the second model's AUC is lower
CORRELATION = 0.5


@dataclass(frozen=True)
class Drawn:
    """Intervals of one simulated test set, by name; those of the difference begin with "difference"."""

    intervals: dict[str, Interval]
    fell_back: bool  # the first score is perfect: DeLong has no variance to offer


def two_models(
    random: np.random.Generator, deaths: int, survivors: int, auc: float
) -> tuple[np.ndarray, np.ndarray]:
    """Labels `(N,)` and scores `(2, N)` with the AUCs `auc` and `auc - LESS`."""
    labels = np.repeat([1, 0], [deaths, survivors])
    shared, own = random.normal(size=labels.size), random.normal(size=(2, labels.size))
    noise = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * own
    distance = np.sqrt(2) * stats.norm.ppf([[auc], [auc - LESS]])
    return labels, noise + distance * labels


def draw(random: np.random.Generator, deaths: int, survivors: int, auc: float, resamples: int) -> Drawn:
    labels, scores = two_models(random, deaths, survivors, auc)
    found = bootstrap_scores(labels, scores, resamples=resamples, seed=random)
    logit = delong_interval(labels, scores[0])
    intervals = {
        "DeLong, wald": delong_interval(labels, scores[0], method="wald"),
        "DeLong, logit": logit,
        "bootstrap, percentile": percentile_interval(found.resampled[0]),
        "bootstrap, BCa": found.interval(0),
        "Newcombe": newcombe_interval(labels, scores[0]),
        "exact": delong_interval(labels, scores[0], method="exact"),
        "difference: DeLong, wald": delong_test(labels, *scores).interval,
        "difference: bootstrap, percentile": percentile_interval(found.resampled[0] - found.resampled[1]),
        "difference: bootstrap, BCa": found.difference(0, 1).interval,
    }
    # A perfect score has the bootstrap say [1, 1]: that is a miss, as is an interval that is not told.
    return Drawn(intervals, fell_back=logit.method == "exact")


def coverage_rows(
    deaths: int, survivors: int, auc: float, *, repetitions: int, resamples: int
) -> Iterator[dict[str, object]]:
    """One row a method: share of intervals that hold the truth, of those too low and too high, median width."""
    random = np.random.default_rng([deaths, round(100 * auc)])
    drawn = [draw(random, deaths, survivors, auc, resamples) for _ in range(repetitions)]
    for name in drawn[0].intervals:
        truth = LESS if name.startswith("difference") else auc
        of_method = [one.intervals[name] for one in drawn]
        yield {
            "studies": deaths + survivors,
            "deaths": deaths,
            "auc": auc,
            "method": name,
            "covered": np.mean([truth in one for one in of_method]),
            "too_low": np.mean([one.high < truth for one in of_method]),
            "too_high": np.mean([one.low > truth for one in of_method]),
            "width": np.nanmedian([one.high - one.low for one in of_method]),
            "fell_back": np.mean([one.fell_back for one in drawn]),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deaths", type=int, nargs="+", choices=SURVIVORS, default=list(SURVIVORS))
    parser.add_argument("--repetitions", type=int, default=2000)
    parser.add_argument("--resamples", type=int, default=500)
    options = parser.parse_args()
    began = time.perf_counter()
    print("| deaths of studies | AUC | interval | covered | too low | too high | median width | fell back |")
    print("|---|---|---|---|---|---|---|---|")
    for deaths in options.deaths:
        for auc in AUCS:
            for row in coverage_rows(
                deaths, SURVIVORS[deaths], auc, repetitions=options.repetitions, resamples=options.resamples
            ):
                print(
                    f"| {row['deaths']} of {row['studies']:,} | {row['auc']:.2f} | {row['method']} "
                    f"| {row['covered']:.1%} | {row['too_low']:.1%} | {row['too_high']:.1%} "
                    f"| {row['width']:.3f} | {row['fell_back']:.1%} |",
                    flush=True,
                )
    minutes = (time.perf_counter() - began) / 60
    print(
        f"\n{options.repetitions:,} repetitions, {options.resamples:,} resamples, {minutes:.0f} minutes, "
        f"{os.cpu_count()} cores, {platform.machine()}."
    )


if __name__ == "__main__":
    main()
