"""What is measured of a prepared volume."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pefuse.audit.measures import measure
from pefuse.types import Volume

AFFINE = np.diag([5.0, 8.0, 8.0, 1.0])[[2, 1, 0, 3]]


def test_planes_go_through_the_middle_of_the_lungs(chest_hu: NDArray[np.int16]) -> None:
    """Twenty slices of belly below: the lungs' middle moves up by twenty, the volume's by ten."""
    belly = np.full((20, *chest_hu.shape[1:]), 40, np.int16)
    low = measure(Volume(hu=chest_hu, affine=AFFINE))
    high = measure(Volume(hu=np.concatenate([belly, chest_hu]), affine=AFFINE))

    assert low.lungs_found
    assert abs(high.planes[0] - low.planes[0] - 20) <= 1
    assert high.planes[1:] == low.planes[1:]


def test_without_lungs_planes_go_through_the_middle_of_the_volume() -> None:
    seen = measure(Volume(hu=np.full((20, 30, 40), 40, np.int16), affine=AFFINE))

    assert not seen.lungs_found
    assert seen.planes == (10, 15, 20)
    assert seen.tissue_hu == 40


def test_tissue_is_neither_air_nor_bone() -> None:
    """Of -1000, 50, 150 and 1200 HU, two count: their mean is 100. Without any, there is no number."""
    hu = np.full((8, 8, 8), -1000, np.int16)
    assert math.isnan(measure(Volume(hu=hu, affine=AFFINE)).tissue_hu)
    hu[:2], hu[2:4], hu[4:6] = 50, 150, 1200

    assert measure(Volume(hu=hu, affine=AFFINE)).tissue_hu == 100
