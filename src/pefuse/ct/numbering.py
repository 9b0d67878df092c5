"""What slices say of their order beside their positions: SliceLocation and InstanceNumber.

Neither is ever used to order slices. But where one agrees with the positions but for a few slices, those few are
wrong in one or the other; and numbers that begin in the middle tell of slices that are not here.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pefuse.ct.geometry import mean_orientation, positions_along_normal
from pefuse.ct.slices import SliceHeader
from pefuse.errors import GeometryError

__all__ = ["check_locations", "numbering_doubts"]

FEW_SHARE = 0.1  # of the steps; where more contradict, the locations mean something else
BACKWARDS = 0.1  # of the usual step: less is rounding


def check_locations(headers: Sequence[SliceHeader]) -> None:
    """Refuse slices of which a few lie elsewhere than their SliceLocation says, in order.

    Raises:
        GeometryError: with how many.
    """
    locations = np.array([header.slice_location_mm for header in headers], dtype=np.float64)
    if len(headers) < 3 or np.isnan(locations).any():
        return
    order = np.argsort(positions_along_normal(headers, mean_orientation(headers)[2]))
    steps = np.diff(locations[order])
    usual = float(np.median(steps))
    backwards = int((steps * np.sign(usual) < -BACKWARDS * abs(usual)).sum())
    if 0 < backwards <= FEW_SHARE * len(steps):
        raise GeometryError(
            f"Positions and SliceLocation contradict each other in their order at {backwards} of {len(headers)} "
            "slices."
        )


def numbering_doubts(headers: Sequence[SliceHeader]) -> tuple[str, ...]:
    """A warning where the InstanceNumbers of a whole series begin in the middle, or leave out every other one."""
    known = [header.instance for header in headers if header.instance is not None and header.frame is None]
    numbers = np.unique(known)
    if len(known) != len(headers) or len(numbers) != len(headers) or len(headers) < 3:
        return ()
    steps = np.diff(numbers)
    if numbers[0] > 1 and (steps == 1).all():
        return (f"InstanceNumbers run from {numbers[0]} to {numbers[-1]}: slices before them may be missing",)
    if (steps == steps[0]).all() and steps[0] > 1:
        return (f"InstanceNumbers go up by {steps[0]}: the slices between may be missing",)
    return ()
