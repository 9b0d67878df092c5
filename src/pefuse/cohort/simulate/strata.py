"""The studies of the cohort: whose, when, with what outcome, drawn to exact counts in each period."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pefuse.cohort.simulate.calibration import OUTCOME, SOURCE_PREVALENCE
from pefuse.cohort.simulate.config import PeriodCounts
from pefuse.cohort.simulate.population import (
    IdealRisks,
    Latents,
    draw_latents,
    ideal_risks,
    risk_of_death,
    shift_risk,
)
from pefuse.cohort.simulate.record_stays import Outcome

__all__ = ["HORIZON_DAYS", "Period", "PeriodStudies", "draw_period"]

HORIZON_DAYS = 30
DRAW = 20_000  # patients of the source population at a time
LATE_DEATH_SHARE = 0.12  # of those alive at 30 days: they die within the two years after

# How often a scan is taken in each hour of the day: an emergency department's day.
HOURS = np.array([3, 2, 2, 2, 2, 2, 3, 4, 6, 8, 9, 10, 10, 9, 9, 9, 9, 8, 8, 7, 6, 6, 5, 4], dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class Period:
    """Calendar years from `first` through `last`, and whether the planted shortcut holds in them."""

    first: int
    last: int
    shortcut_holds: bool


@dataclass(frozen=True, kw_only=True)
class PeriodStudies:
    """The `(N,)` studies of one period, in order of time."""

    latents: Latents
    outcome: Outcome
    risks: IdealRisks  # at the period's own prevalence
    index_times: NDArray[np.datetime64]  # us, on full minutes
    follow_up_days: NDArray[np.float64]  # from the scan to death or to the end of follow-up
    sites: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.latents)


def draw_period(
    counts: PeriodCounts, period: Period, *, shortcut: bool, generator: np.random.Generator
) -> PeriodStudies:
    """Draw the studies of a period: exactly `counts` dead and survivors, each a random draw of their kind."""
    latents, died = _fill(counts, generator=generator)
    death_days, follow_up_days = _draw_follow_up(died, generator=generator)
    risks = ideal_risks(OUTCOME, latents)
    index_times = _draw_times(counts.patients, period, generator=generator)
    sites = _draw_sites(died, linked=shortcut and period.shortcut_holds, generator=generator)
    return PeriodStudies(
        latents=latents,
        outcome=Outcome(died_in_horizon=died, death_days=death_days),
        risks=IdealRisks(
            ct=_at_prevalence(risks.ct, counts),
            ehr=_at_prevalence(risks.ehr, counts),
            both=_at_prevalence(risks.both, counts),
        ),
        index_times=np.sort(index_times),
        follow_up_days=follow_up_days,
        sites=sites,
    )


def _fill(counts: PeriodCounts, *, generator: np.random.Generator) -> tuple[Latents, NDArray[np.bool_]]:
    """Draw people until there are enough dead and enough survivors, keep the first of each, and shuffle them."""
    drawn: list[Latents] = []
    dead: list[NDArray[np.bool_]] = []
    while not _enough(dead, counts):
        latents = draw_latents(DRAW, generator=generator)
        dead.append(generator.random(DRAW) < risk_of_death(OUTCOME, latents))
        drawn.append(latents)
    everyone, died = _joined(drawn), np.concatenate(dead)
    kept = np.concatenate(
        [np.flatnonzero(died)[: counts.deaths], np.flatnonzero(~died)[: counts.patients - counts.deaths]]
    )
    kept = generator.permutation(kept)
    return everyone.take(kept), died[kept]


def _enough(dead: list[NDArray[np.bool_]], counts: PeriodCounts) -> bool:
    found = sum(int(flags.sum()) for flags in dead)
    survivors = sum(len(flags) for flags in dead) - found
    return found >= counts.deaths and survivors >= counts.patients - counts.deaths


def _joined(parts: list[Latents]) -> Latents:
    return Latents(
        strain=np.concatenate([part.strain for part in parts]),
        physiology=np.concatenate([part.physiology for part in parts]),
        frailty=np.concatenate([part.frailty for part in parts]),
        clot_burden=np.concatenate([part.clot_burden for part in parts]),
    )


def _draw_follow_up(
    died: NDArray[np.bool_], *, generator: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Days from the scan to death (NaN = none seen) and to the end of follow-up; nobody is lost before 30 days."""
    count = len(died)
    early = np.clip(0.15 + generator.exponential(8.0, count) % (HORIZON_DAYS - 1.5), None, HORIZON_DAYS - 1)
    late = HORIZON_DAYS + 2 + generator.exponential(200.0, count) % 700
    end = generator.uniform(60, 900, count)
    late_death = ~died & (generator.random(count) < LATE_DEATH_SHARE)
    death = np.where(died, early, np.where(late_death, late, np.nan))
    return death, np.where(np.isnan(death), end, death)


def _draw_times(count: int, period: Period, *, generator: np.random.Generator) -> NDArray[np.datetime64]:
    start, end = (np.datetime64(f"{year}-01-01", "D") for year in (period.first, period.last + 1))
    days = generator.integers(0, int((end - start).astype(int)), count)
    hours = generator.choice(24, size=count, p=HOURS / HOURS.sum())
    minutes = generator.integers(0, 60, count)
    day = start + days.astype("timedelta64[D]")
    times = day.astype("datetime64[m]") + (hours * 60 + minutes).astype("timedelta64[m]")
    return np.asarray(times.astype("datetime64[us]"))


def _draw_sites(died: NDArray[np.bool_], *, linked: bool, generator: np.random.Generator) -> NDArray[np.str_]:
    """Scanner A or B, by chance; with a shortcut B has nine of ten deaths and one of ten survivors."""
    share_b = np.where(died, 0.9, 0.1) if linked else np.full(len(died), 0.5)
    return np.where(generator.random(len(died)) < share_b, "B", "A")


def _at_prevalence(risk: NDArray[np.float64], counts: PeriodCounts) -> NDArray[np.float64]:
    return shift_risk(risk, source_prevalence=SOURCE_PREVALENCE, prevalence=counts.prevalence)
