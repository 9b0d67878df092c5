"""DeLong of 14 models on 20,000 cases, and 10,000 bootstrap resamples of 14 AUCs on 400 cases, beside other ways.

    python benchmarks/statistics_speed.py [--seconds 20] [--json]

The budgets are 0.2 s and 2 s on two cores. All ways run in one process, one after the other, on the same
simulated scores, so that the ratios hold on any machine. Seconds are the processor's, all threads added: other
work on the machine does not count. Ours are timed five times, median. The others do a part of the work
for as many seconds as are allowed, the rest is worked out from it: "share done". scikit-learn has no DeLong: its
row is the 14 AUCs alone. MLstatkit compares two models at a time: seven pairs are its least. pauc and MLstatkit
(extra `dev`) are left out with a line where they are not installed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from types import ModuleType

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from pefuse.evaluation import bootstrap_scores, delong, permutation_test

MODELS, CASES, BOOTSTRAP_CASES, RESAMPLES = 14, 20_000, 400, 10_000
MORTALITY = 0.139  # of the paper's test year

Step = Callable[[], object]


def simulated(cases: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels `(N,)` and correlated scores `(14, N)`."""
    random = np.random.default_rng(0)
    labels = (np.arange(cases) < round(cases * MORTALITY)).astype(int)
    return labels, random.normal(size=cases) + random.normal(size=(MODELS, cases)) + 2 * labels


def median_seconds(work: Step, times: int = 5) -> float:
    def once() -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    return float(np.median([once() for _ in range(times)]))


def seconds_of_all(steps: Iterator[Step], total: int, allowed: float) -> tuple[float, float]:
    """Seconds that `total` steps would take, from those done while the time lasts, and the share that was done."""
    began, done = time.process_time(), 0
    for step in steps:
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars
            step()
        done += 1
        if time.process_time() - began > allowed:
            break
    return (time.process_time() - began) * total / done, done / total


def installed(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed: left out (pip install -e '.[dev]')")
        return None


def delong_ways(allowed: float) -> Iterator[tuple[str, float, float]]:
    """(way, seconds, share done) of DeLong's covariance of all models."""
    labels, scores = simulated(CASES)
    yield "pefuse", median_seconds(lambda: delong(labels, scores)), 1.0
    aucs = (lambda row=row: roc_auc_score(labels, row) for row in scores)
    yield "scikit-learn, AUCs alone", *seconds_of_all(aucs, MODELS, allowed)
    if pauc := installed("pauc"):
        curves = [pauc.ROC(labels, row, direction="<") for row in scores]
        pairs = [(a, b) for a in range(MODELS) for b in range(a + 1)]
        covariances = (
            lambda a=a, b=b: pauc.cov(curves[a], curves[b]) if a != b else pauc.var(curves[a]) for a, b in pairs
        )
        yield "pauc, covariance of each pair", *seconds_of_all(covariances, len(pairs), allowed)
    if mlstatkit := installed("MLstatkit"):
        tests = (
            lambda a=a: mlstatkit.Delong_test(labels, _as_risk(scores[a]), _as_risk(scores[a + 1]))
            for a in range(0, MODELS, 2)
        )
        yield "MLstatkit, seven pairs", *seconds_of_all(tests, MODELS // 2, allowed)


def bootstrap_ways(allowed: float) -> Iterator[tuple[str, float, float]]:
    """(way, seconds, share done) of the resampled AUCs of all models."""
    labels, scores = simulated(BOOTSTRAP_CASES)
    precision = {"statistic": "average_precision"}
    yield "pefuse", median_seconds(lambda: bootstrap_scores(labels, scores)), 1.0
    yield "pefuse, average precision", median_seconds(lambda: bootstrap_scores(labels, scores, **precision)), 1.0
    died, lived = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    random = np.random.default_rng(1)

    def resample(metric: Callable[..., float]) -> None:
        cases = np.concatenate([random.choice(died, died.size), random.choice(lived, lived.size)])
        for row in scores:
            metric(labels[cases], row[cases])

    for name, metric in (("AUC", roc_auc_score), ("average precision", average_precision_score)):
        loop = (lambda metric=metric: resample(metric) for _ in range(RESAMPLES))
        yield f"scikit-learn in a loop, {name}", *seconds_of_all(loop, RESAMPLES, allowed)
    total, part = MODELS * RESAMPLES, 200
    if pauc := installed("pauc"):
        curves = [pauc.ROC(labels, row, direction="<") for row in scores]
        loop = (
            lambda index=index: pauc.ci_auc(curves[index % MODELS], method="bootstrap", n_boot=part)
            for index in range(total // part)
        )
        yield "pauc", *seconds_of_all(loop, total // part, allowed)
    if mlstatkit := installed("MLstatkit"):
        loop = (
            lambda index=index: mlstatkit.Bootstrapping(
                labels, _as_risk(scores[index % MODELS]), "roc_auc", n_bootstraps=part
            )
            for index in range(total // part)
        )
        yield "MLstatkit", *seconds_of_all(loop, total // part, allowed)


def permutation_ways(allowed: float) -> Iterator[tuple[str, float, float]]:
    """(way, seconds, share done) of 10,000 permutations of two scores on 400 cases."""
    labels, (first, second, *_) = simulated(BOOTSTRAP_CASES)
    yield "pefuse", median_seconds(lambda: permutation_test(labels, first, second, permutations=RESAMPLES)), 1.0
    if mlstatkit := installed("MLstatkit"):
        part = 200
        loop = (
            lambda: mlstatkit.Permutation_test(labels, _as_risk(first), _as_risk(second), "roc_auc", part)
            for _ in range(RESAMPLES // part)
        )
        yield "MLstatkit", *seconds_of_all(loop, RESAMPLES // part, allowed)


def _as_risk(scores: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-scores))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20, help="that each of the other ways may take")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    parts = {
        f"DeLong, {MODELS} models x {CASES:,} cases": list(delong_ways(options.seconds)),
        f"Bootstrap, {RESAMPLES:,} resamples of {MODELS} AUCs x {BOOTSTRAP_CASES} cases": list(
            bootstrap_ways(options.seconds)
        ),
        f"Permutation test, {RESAMPLES:,} of 2 models x {BOOTSTRAP_CASES} cases": list(
            permutation_ways(options.seconds)
        ),
    }
    if options.json:
        named = ("way", "seconds", "share")
        print(
            json.dumps(
                {title: [dict(zip(named, row, strict=True)) for row in rows] for title, rows in parts.items()}
            )
        )
        return
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}\n")
    for title, rows in parts.items():
        ours = rows[0][1]
        print(f"| {title} | processor seconds | times ours | share done |\n|---|---|---|---|")
        for way, seconds, share in rows:
            print(f"| {way} | {seconds:,.3g} | {seconds / ours:,.3g} | {share:.1%} |")
        print()


if __name__ == "__main__":
    main()
