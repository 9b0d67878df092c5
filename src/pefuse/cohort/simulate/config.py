"""What to simulate: how many studies and deaths, before and in the test year, how large the scans, which trap."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from pefuse.errors import UsageError

__all__ = ["FEWEST_SLICES", "PeriodCounts", "SimulationConfig"]

PAPER_EARLIER = (286, 28)  # studies and deaths, 2012 to 2017
PAPER_TEST = (72, 10)  # in 2018
MOST_PATIENTS = 100_000
Shortcut = Literal["", "site"]
FEWEST_SLICES = 40  # a tall person's chest in fewer has slices more than 10 mm apart, which no reader should take


@dataclass(frozen=True, kw_only=True)
class PeriodCounts:
    """Studies of one period, and how many of them end in death within 30 days."""

    patients: int
    deaths: int

    @property
    def prevalence(self) -> float:
        return self.deaths / self.patients


@dataclass(frozen=True, kw_only=True)
class SimulationConfig:
    """Size and kind of a simulated cohort; the defaults give the counts of the paper.

    Raises:
        UsageError: an option is outside its range, or leaves a period with too few deaths or survivors.
    """

    patients: int = 358  # each has one study; 72/358 of them in the test year, to the nearest whole
    prevalence: float | None = None  # share of deaths in both periods; None = the paper's, 28/286 and 10/72
    seed: int = 0
    matrix: int = 128  # rows and columns of the scans
    slices: int = 64
    full_size: bool = False  # 512 x 512 x about 300 at 0.7 x 0.7 x 1 mm, whatever `matrix` and `slices` say
    test_patients: int | None = None  # so many studies in the test year; the earlier years keep theirs
    shortcut: Shortcut = ""  # "site": a scanner's mark that goes with death, but not in the test year

    def __post_init__(self) -> None:
        _check_range("patients", self.patients, low=10, high=MOST_PATIENTS)
        _check_range("seed", self.seed, low=0, high=2**63 - 1)
        _check_range("matrix", self.matrix, low=32, high=1024)
        _check_range("slices", self.slices, low=16, high=1024)
        if self.test_patients is not None:
            _check_range("test-patients", self.test_patients, low=4, high=MOST_PATIENTS)
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise UsageError(
                f"--prevalence is {self.prevalence:g}: it needs a share between 0 and 1 (0.106, say)."
            )
        if self.shortcut not in get_args(Shortcut):
            raise UsageError(f"--shortcut {self.shortcut}: there is only 'site'; leave the option out for none.")
        _check_deaths("before the test year", self.earlier, fewest=2)
        _check_deaths("in the test year", self.test, fewest=1)

    @property
    def earlier(self) -> PeriodCounts:
        """The studies of 2012 to 2017."""
        in_test = _nearest(self.patients * PAPER_TEST[0] / (PAPER_TEST[0] + PAPER_EARLIER[0]))
        return self._period(self.patients - in_test, paper=PAPER_EARLIER)

    @property
    def test(self) -> PeriodCounts:
        """The studies of 2018."""
        patients = self.patients - self.earlier.patients if self.test_patients is None else self.test_patients
        return self._period(patients, paper=PAPER_TEST)

    def _period(self, patients: int, *, paper: tuple[int, int]) -> PeriodCounts:
        share = paper[1] / paper[0] if self.prevalence is None else self.prevalence
        return PeriodCounts(patients=patients, deaths=_nearest(patients * share))


def _nearest(number: float) -> int:
    """To the nearest whole number, halves up."""
    return math.floor(number + 0.5)


def _check_range(option: str, value: int, *, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise UsageError(f"--{option} is {value}: it needs a whole number from {low} to {high}.")


def _check_deaths(period: str, counts: PeriodCounts, *, fewest: int) -> None:
    survivors = counts.patients - counts.deaths
    if counts.deaths < fewest or survivors < fewest:
        raise UsageError(
            f"{counts.patients} studies {period} would hold {counts.deaths} deaths and {survivors} survivors: "
            f"at least {fewest} of each are needed. Ask for more patients or another prevalence."
        )
