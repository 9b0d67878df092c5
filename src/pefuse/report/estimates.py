"""A number with its interval as `results.json` holds it; what cannot be told is None, since JSON has no NaN."""

from __future__ import annotations

import math

from pydantic import BaseModel, ConfigDict

from pefuse.evaluation import Interval

__all__ = ["Estimate", "Frozen", "estimate", "told"]


class Frozen(BaseModel):
    """A noun of the results: never changed once made, and strict about its fields when read back."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Estimate(Frozen):
    """A number with its 95 % interval and how that was computed; None = cannot be told."""

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""


def estimate(value: float, interval: Interval) -> Estimate:
    """A number and its interval as they are saved."""
    return Estimate(value=told(value), low=told(interval.low), high=told(interval.high), method=interval.method)


def told(value: float) -> float | None:
    """None for what cannot be told (NaN, infinite): JSON has no such numbers."""
    return float(value) if math.isfinite(value) else None
