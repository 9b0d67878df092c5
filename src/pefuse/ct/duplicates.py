"""Slices at one and the same place: two acquisitions in one series, or the same slice exported twice."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pefuse.ct.geometry import SAME_POSITION_MM, mean_orientation, positions_along_normal
from pefuse.ct.headers import quiet_pydicom
from pefuse.ct.pixels import read_stored
from pefuse.ct.plausibility import check_slice_count
from pefuse.ct.repairs import Repair
from pefuse.ct.slices import SliceHeader
from pefuse.errors import GeometryError

__all__ = ["split_acquisitions", "without_duplicates"]


def split_acquisitions(part: list[SliceHeader]) -> list[list[SliceHeader]]:
    """Split by AcquisitionNumber where slices share places or acquisitions lie between one another.

    Each acquisition alone must have no place twice. Scanners that step count one acquisition a rotation, so the
    number alone splits nothing.
    """
    places = [header.position_mm for header in part]
    shared = len(set(places)) < len(places)
    if len({header.acquisition for header in part}) < 2 or not (shared or _in_turn(part)):
        return [part]
    acquisitions: dict[int | None, list[SliceHeader]] = {}
    for header in part:
        acquisitions.setdefault(header.acquisition, []).append(header)
    twice = any(len({header.position_mm for header in one}) < len(one) for one in acquisitions.values())
    return [part] if twice else list(acquisitions.values())


def _in_turn(part: list[SliceHeader]) -> bool:
    """Whether acquisitions change more than twice as often along the body as if they followed one another."""
    if any(header.position_mm is None or header.orientation is None for header in part):
        return False
    along = positions_along_normal(part, mean_orientation(part)[2])
    acquisitions = [part[i].acquisition for i in np.argsort(along, kind="stable")]
    changes: int = sum(one != other for one, other in pairwise(acquisitions))
    return bool(changes > 2 * len(set(acquisitions)))


def without_duplicates(part: list[SliceHeader]) -> tuple[list[SliceHeader], tuple[Repair, ...]]:
    """Keep one slice of each place where all of them are the same, pixel by pixel, and say so.

    Raises:
        GeometryError: two different slices at one place, or a slice without a place.
        SeriesError: fewer places than a chest needs.
    """
    groups = _by_place(part)
    check_slice_count(len(groups))
    removed = 0
    with quiet_pydicom():
        for group in groups:
            if not all(_same_pixels(group[0], other) for other in group[1:]):
                raise GeometryError(f"{len(group)} slices with different pixels lie at one position.")
            removed += len(group) - 1
    repair = Repair(name="duplicate-slices", detail=f"{removed} identical ones removed")
    return [group[0] for group in groups], (repair,) if removed else ()


def _by_place(part: Sequence[SliceHeader]) -> list[list[SliceHeader]]:
    along = positions_along_normal(part, mean_orientation(part)[2])
    order = np.argsort(along, kind="stable")
    groups: list[list[SliceHeader]] = []
    last = -np.inf
    for i in order:
        if along[i] - last > SAME_POSITION_MM:
            groups.append([])
        groups[-1].append(part[i])
        last = along[i]
    return groups


def _same_pixels(one: SliceHeader, other: SliceHeader) -> bool:
    if (one.slope, one.intercept, one.position_mm) != (other.slope, other.intercept, other.position_mm):
        return False
    return np.array_equal(read_stored(one), read_stored(other))
