"""Repairs: what may be changed in a faulty series to make it one right volume; each has a name, to forbid it by.

A repair restores what the files themselves determine (or, for missing slices, what their neighbours do). It is
recorded with the study, and where it is forbidden the series is refused instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pefuse.errors import GeometryError, UsageError

__all__ = ["REPAIRS", "Repair", "check_allowed", "check_repair_names"]

REPAIRS = {
    "duplicate-slices": "one of several identical slices at one place is kept",
    "missing-slices": "a small gap is filled by interpolation between its neighbours",
    "gantry-tilt": "slices stacked askew are moved within their planes, so that the volume is upright to them",
    "orientation-jitter": "directions that differ in their last digits are averaged",
    "turned-axes": "a patient lying prone or feet first is turned to the common axes",
    "multi-frame": "the frames of an enhanced CT are read as slices",
    "rescale-per-slice": "a slope and intercept of its own is applied to each slice",
    "padding": "the scanner's filling outside its circle becomes air",
    "kernel": "slices without ConvolutionKernel are taken as of the only one of their series",
    "frame-of-reference": "slices without FrameOfReferenceUID are taken as positions in one frame",
}


@dataclass(frozen=True, kw_only=True)
class Repair:
    """One repair of one series, and how much was done."""

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


def check_allowed(repairs: Iterable[Repair], forbidden: Collection[str]) -> None:
    """Refuse what could only be read with a forbidden repair.

    Raises:
        GeometryError: with the repair.
    """
    for repair in repairs:
        if repair.name in forbidden:
            raise GeometryError(
                f"It needs the repair {repair.name} ({repair.detail}), which is forbidden.",
                remedy="Allow the repair, or leave the study out.",
            )


def check_repair_names(names: Iterable[str]) -> None:
    """Refuse names of no repair.

    Raises:
        UsageError: with the names there are.
    """
    if unknown := sorted(set(names) - set(REPAIRS)):
        raise UsageError(f"There is no repair '{unknown[0]}': there are {', '.join(REPAIRS)}.")
