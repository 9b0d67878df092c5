"""How often intervals around calibration, operating points and net benefit hold the truth: 10 of 72, 500 of 5,000.

Patients are drawn from a known law: a log-odds of death, normal with SD 2, which is also the model's. So its risks
are true: slope 1, intercept 0, observed to expected 1, the curve is the diagonal. What is true of rates, ratios
and net benefit is counted on two million patients. Each round draws how many die, as patients come.

    $ python benchmarks/decision_coverage.py --rounds 2000
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from pefuse.evaluation import (
    calibration_curve,
    calibration_line,
    conformal_coverage,
    decision_curve,
    fit_conformal,
    likelihood_ratios,
    observed_to_expected,
    operating_point,
    predictive_values,
)

SPREAD = 2.0  # SD of the log-odds: an AUC of about 0.87
THRESHOLD, ACTING_AT, LOOKED_AT, ELSEWHERE, STATED = 0.15, 0.10, (0.05, 0.20), 0.05, 0.90

FloatArray = NDArray[np.float64]


class Law:
    """Deaths and survivors of known risks, as many of each as asked for."""

    def __init__(self, mortality: float, random: np.random.Generator) -> None:
        spread = SPREAD * random.standard_normal(2_000_000)
        low, high = -12.0, 4.0
        for _ in range(60):  # the shift at which that share dies
            shift = (low + high) / 2
            low, high = (shift, high) if expit(spread + shift).mean() < mortality else (low, shift)
        risk = expit(spread + shift)
        died = random.random(risk.size) < risk
        self.deaths, self.survivors = risk[died], risk[~died]

    def draw(self, deaths: int, survivors: int, random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """Labels and risks."""
        risk = np.concatenate([random.choice(self.deaths, deaths), random.choice(self.survivors, survivors)])
        return np.repeat([1.0, 0.0], [deaths, survivors]), risk


def truths(law: Law, mortality: float) -> dict[str, float]:
    sensitivity, alarm = (law.deaths >= THRESHOLD).mean(), (law.survivors >= THRESHOLD).mean()
    caught, alarmed = (law.deaths >= ACTING_AT).mean(), (law.survivors >= ACTING_AT).mean()
    weight = ACTING_AT / (1 - ACTING_AT)
    return {
        "LR+ (log)": sensitivity / alarm,
        "LR− (log)": (1 - sensitivity) / (1 - alarm),
        "PPV at 5 % (logit)": ELSEWHERE * sensitivity / (ELSEWHERE * sensitivity + (1 - ELSEWHERE) * alarm),
        "observed to expected (Wilson)": 1.0,
        "calibration intercept (Wald)": 0.0,
        "calibration slope (Wald)": 1.0,
        "net benefit at 10 % (bootstrap)": mortality * caught - (1 - mortality) * alarmed * weight,
    } | {f"calibration curve at {at:.0%} (spline)": at for at in LOOKED_AT}


def intervals(label: FloatArray, risk: FloatArray, seed: int) -> dict[str, tuple[float, float]]:
    """Low and high of each interval; NaN where it cannot be told."""
    point, line = operating_point(label, risk, THRESHOLD), calibration_line(label, risk)
    ratios, curve = likelihood_ratios(point), calibration_curve(label, risk)
    benefit = decision_curve(label, risk, [ACTING_AT], resamples=1000, seed=seed)
    found = {
        "LR+ (log)": ratios["positive"].interval,
        "LR− (log)": ratios["negative"].interval,
        "PPV at 5 % (logit)": predictive_values(point, ELSEWHERE)["ppv"].interval,
        "observed to expected (Wilson)": observed_to_expected(label, risk).interval,
        "calibration intercept (Wald)": line.intercept_interval,
        "calibration slope (Wald)": line.slope_interval,
    }
    bounds = {name: (one.low, one.high) for name, one in found.items()}
    bounds["net benefit at 10 % (bootstrap)"] = (float(benefit.low[0]), float(benefit.high[0]))
    for at in LOOKED_AT:
        inside = curve.method != "shares" and curve.risk[0] <= at <= curve.risk[-1]
        ends = (float(np.interp(at, curve.risk, ends)) for ends in (curve.low, curve.high))
        bounds[f"calibration curve at {at:.0%} (spline)"] = tuple(ends) if inside else (np.nan, np.nan)  # type: ignore[assignment]
    return bounds


def coverage(deaths: int, cases: int, rounds: int, random: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Of each interval: the share of rounds that it holds the truth in, and its median width."""
    mortality = deaths / cases
    law = Law(mortality, random)
    true, held, widths = truths(law, mortality), defaultdict(list), defaultdict(list)
    for seed in range(rounds):
        drawn = random.binomial(cases, mortality)
        label, risk = law.draw(max(2, drawn), cases - max(2, drawn), random)
        for name, (low, high) in intervals(label, risk, seed).items():
            if np.isfinite(low):
                held[name].append(low <= true[name] <= high)
                widths[name].append(high - low)
    return {name: (float(np.mean(held[name])), float(np.median(widths[name]))) for name in true}


def conformal(calibration: tuple[int, int], rounds: int, random: np.random.Generator) -> tuple[float, float]:
    """Mean share of 20,000 new deaths and survivors whose outcome is in their set, stated 90 %."""
    law = Law(calibration[0] / sum(calibration), random)
    shares = []
    for _ in range(rounds):
        rule = fit_conformal(*law.draw(*calibration, random), coverage=STATED)
        found = conformal_coverage(rule, *law.draw(1000, 1000, random))
        shares.append((found.covered_deaths / 1000, (found.covered - found.covered_deaths) / 1000))
    deaths, survivors = np.mean(shares, axis=0)
    return float(deaths), float(survivors)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    rounds = parser.parse_args().rounds
    random = np.random.default_rng(0)
    small = coverage(10, 72, rounds, random)
    large = coverage(500, 5000, max(1, rounds // 5), random)
    print("| nominal 95 % | 10 of 72: holds | width | 500 of 5,000: holds | width |\n|---|---|---|---|---|")
    for name, (held, width) in small.items():
        print(f"| {name} | {held:.3f} | {width:.3f} | {large[name][0]:.3f} | {large[name][1]:.3f} |")
    print("\n| conformal, stated 90 %; calibrated on | deaths covered | survivors covered |\n|---|---|---|")
    for deaths, survivors in ((5, 39), (9, 60), (28, 258), (200, 1800)):
        of_deaths, of_survivors = conformal((deaths, survivors), rounds // 2, random)
        print(f"| {deaths} deaths, {survivors} survivors | {of_deaths:.3f} | {of_survivors:.3f} |")


if __name__ == "__main__":
    main()
