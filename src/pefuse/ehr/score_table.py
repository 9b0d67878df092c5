"""The scores as they are published: one line a part in `scores.csv`, the classes in `score_classes.csv`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pefuse.vocabulary import read_table

__all__ = ["SCORES", "ScoreClass", "ScorePart", "part_points", "score_classes", "score_parts"]

SCORES = ("pesi", "spesi", "esc2019", "bova", "fast", "cpes", "hestia", "news2", "shock_index")
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class ScorePart:
    """A line of a score: `points` if the value of one of `concepts`, in `unit`, passes `test` against `cut`.

    test: `present` (a state), `<`, `<=`, `>`, `>=`; `above to` (more than `cut`, at most `upper`); `from to`
    (both included); `completed >` (whole years above `cut`), `completed` (`points` for each whole year); `value`
    (as many points as the value says); `needs >=` (no points: without it the score does not apply). Lines of one
    part add nothing to each other: the one that gives most counts. `lookback_hours`: an older event does not
    count; NaN = any age of it does.
    """

    score: str
    name: str
    concepts: tuple[str, ...]
    unit: str
    test: str
    cut: float
    upper: float
    points: float
    lookback_hours: float
    source: str

    @property
    def is_state(self) -> bool:
        return self.test == "present"


@dataclass(frozen=True, kw_only=True)
class ScoreClass:
    """A class of a score, from `lowest_points` up to the next.

    `risk` is the middle of its published range of deaths within 30 days, NaN where none is published.
    """

    score: str
    name: str
    lowest_points: float
    risk: float


@cache
def score_parts(score: str = "") -> tuple[ScorePart, ...]:
    """The lines of `scores.csv`, of one score or of all."""
    return tuple(
        ScorePart(
            score=row["score"],
            name=row["part"],
            concepts=tuple(row["concepts"].split("|")),
            unit=row["unit"],
            test=row["test"],
            cut=float(row["cut"].split("..")[0] or "nan"),
            upper=float(row["cut"].partition("..")[2] or "nan"),
            points=float(row["points"]),
            lookback_hours=float(row["lookback_hours"] or "nan"),
            source=row["source"],
        )
        for row in read_table("scores.csv", package="pefuse.ehr")
        if score in ("", row["score"])
    )


@cache
def score_classes(score: str) -> tuple[ScoreClass, ...]:
    """The classes of a score, from low to high."""
    return tuple(
        ScoreClass(
            score=score,
            name=row["class"],
            lowest_points=float(row["lowest_points"]),
            risk=(float(row["mortality_low_percent"] or "nan") + float(row["mortality_high_percent"] or "nan"))
            / 200,
        )
        for row in read_table("score_classes.csv", package="pefuse.ehr")
        if row["score"] == score
    )


def part_points(part: ScorePart, value: Floats) -> Floats:
    """Points of one line for values in its unit, NaN where they are missing."""
    return np.where(np.isnan(value), np.nan, _TESTS[part.test](value, part))


def _if(passed: NDArray[np.bool_], part: ScorePart) -> Floats:
    return np.where(passed, part.points, 0.0)


_TESTS: dict[str, Callable[[Floats, ScorePart], Floats]] = {
    "present": lambda value, part: value * part.points,
    "<": lambda value, part: _if(value < part.cut, part),
    "<=": lambda value, part: _if(value <= part.cut, part),
    ">": lambda value, part: _if(value > part.cut, part),
    ">=": lambda value, part: _if(value >= part.cut, part),
    "above to": lambda value, part: _if((value > part.cut) & (value <= part.upper), part),
    "from to": lambda value, part: _if((value >= part.cut) & (value <= part.upper), part),
    "completed >": lambda value, part: _if(np.floor(value) > part.cut, part),
    "completed": lambda value, part: np.floor(value) * part.points,
    "value": lambda value, part: value * part.points,
    "needs >=": lambda value, part: np.where(value >= part.cut, 0.0, np.inf),
}
