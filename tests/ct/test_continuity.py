"""Planes that belong between their neighbours, and such that do not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pefuse.ct.continuity import ContinuityCheck
from pefuse.errors import GeometryError

generator = np.random.default_rng(0)
BODY = 300 * ndimage.gaussian_filter(generator.normal(size=(50, 96, 96)), 4) / 0.03  # slowly changing HU


def check(hu):
    checked = ContinuityCheck(hu.shape)
    for z in np.random.default_rng(1).permutation(len(hu)):
        checked.add(z, hu[z])
    return checked.finish()


@pytest.mark.parametrize("noise_hu", [0, 20, 100])
def test_a_body_passes_with_and_without_noise(noise_hu):
    check(BODY + np.random.default_rng(2).normal(0, 1, BODY.shape) * noise_hu)


def test_noise_alone_passes():
    check(np.random.default_rng(3).normal(0, 50, (40, 128, 128)))


def test_planes_that_are_all_the_same_pass():
    check(np.repeat(BODY[:1], 20, axis=0))


def test_a_step_between_two_slabs_passes_and_is_told():
    """The patient breathed between two rotations: planes on either side belong to one side each."""
    hu = BODY.copy()
    hu[25:] = np.roll(hu[25:], 2, axis=1)
    assert check(hu) == ("the body changes abruptly at 1 of 49 steps from slice to slice",)
    assert check(BODY) == ()


@pytest.mark.parametrize(
    "broken",
    [
        lambda hu: np.concatenate([hu[25:], hu[:25]]),
        lambda hu: np.concatenate([hu[:25], hu[25:, :, ::-1]]),
        lambda hu: np.concatenate([hu[:15], hu[15:30][::-1], hu[30:]]),
    ],
    ids=["halves exchanged", "half mirrored", "a block in reverse"],
)
def test_parts_that_do_not_meet_are_refused(broken):
    with pytest.raises(GeometryError, match="changes abruptly"):
        check(broken(BODY))


def test_slices_exchanged_in_pairs_are_refused():
    with pytest.raises(GeometryError, match="exchanged in pairs"):
        check(BODY.reshape(25, 2, 96, 96)[:, ::-1].reshape(BODY.shape))


def test_a_copy_in_another_s_place_is_refused():
    hu = BODY.copy()
    hu[20] = hu[19]
    with pytest.raises(GeometryError, match="1 of 50 slices have the pixels of the slice before"):
        check(hu)


def test_a_volume_enlarged_by_copies_passes():
    check(np.repeat(BODY[:20], 2, axis=0))


@pytest.mark.parametrize("place", [0, 1, 24, 48, 49])
@pytest.mark.parametrize("wrong", ["blank", "offset", "slope"])
def test_one_plane_of_another_kind_is_refused_wherever_it_lies(place, wrong):
    hu = BODY.copy()
    hu[place] = {"blank": np.full_like(hu[0], -1000), "offset": hu[place] - 400, "slope": 3 * hu[place] - 200}[
        wrong
    ]
    with pytest.raises(GeometryError, match="do not fit between their neighbours"):
        check(hu)


def test_two_planes_in_each_others_place_are_refused():
    hu = BODY.copy()
    hu[[10, 30]] = hu[[30, 10]]
    with pytest.raises(GeometryError, match="2 of 50 slices"):
        check(hu)


def test_two_acquisitions_in_turn_are_refused():
    """The same body with and without contrast, plane by plane."""
    hu = BODY.copy()
    hu[::2] += 250
    with pytest.raises(GeometryError, match=r"4\d of 50 slices"):
        check(hu)
