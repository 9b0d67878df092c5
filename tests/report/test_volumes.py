"""Scans that travel in the page: read back by an independent reader they lie where they lay."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK

from pefuse.report.volumes import LONGEST_SIDES, STEP_HU, fitting_pairs, small_pair
from pefuse.types import Volume

OBLIQUE = np.array(  # index (z, y, x) to LPS mm: a gantry's tilt of some degrees, unlike spacings
    [[0.02, -0.05, 2.0, -150.0], [-0.4, 2.5, 0.06, -170.0], [3.0, 0.5, -0.03, 40.0], [0, 0, 0, 1]]
)
STRAIGHT = np.array([[0, 0, 2.0, -150.0], [0, 2.5, 0, -170.0], [3.0, 0, 0, 40.0], [0, 0, 0, 1]])


def made_up(shape, affine, *, seed=0):
    random = np.random.default_rng(seed)
    hu = np.clip(random.normal(0, 300, shape), -1024, 1000).astype(np.int16)
    heat = np.zeros(shape, np.int16)
    heat[shape[0] // 2, shape[1] // 4, shape[2] // 3] = 255
    return Volume(hu=hu, affine=affine), Volume(hu=heat, affine=affine)


def read(content, folder):
    path = folder / "volume.nii.gz"
    path.write_bytes(content)
    return SimpleITK.ReadImage(str(path))


def test_hu_come_back_within_half_a_step(tmp_path):
    ct, heat = made_up((10, 12, 14), STRAIGHT)
    pair = small_pair(ct, heat, longest=96)

    back = SimpleITK.GetArrayFromImage(read(pair.ct, tmp_path))

    assert np.abs(back - ct.hu).max() <= STEP_HU / 2
    assert (SimpleITK.GetArrayFromImage(read(pair.heat, tmp_path)) == heat.hu).all()


def test_hu_beyond_the_steps_stay_at_their_ends(tmp_path):
    ct, heat = made_up((8, 8, 8), STRAIGHT)
    ct.hu[0, 0, 0], ct.hu[0, 0, 1] = 3071, -2048

    back = SimpleITK.GetArrayFromImage(read(small_pair(ct, heat, longest=96).ct, tmp_path))

    assert (back[0, 0, 0], back[0, 0, 1]) == (1016, -1024)


def test_every_voxel_lies_where_it_lay(tmp_path):
    """Corners of the grid in LPS mm, by SimpleITK's arithmetic and by the affine."""
    orthogonal = OBLIQUE.copy()
    rotation, _ = np.linalg.qr(OBLIQUE[:3, :3][:, ::-1])
    orthogonal[:3, :3] = (rotation * np.sign(np.diag(rotation)) * [2.0, 2.5, 3.0])[:, ::-1]
    ct, heat = made_up((10, 12, 14), orthogonal)

    image = read(small_pair(ct, heat, longest=96).ct, tmp_path)

    for z, y, x in [(0, 0, 0), (9, 0, 0), (0, 11, 0), (0, 0, 13), (9, 11, 13)]:
        expected = (orthogonal @ [z, y, x, 1])[:3]
        assert image.TransformIndexToPhysicalPoint((x, y, z)) == pytest.approx(expected, abs=1e-3)


def test_the_hottest_point_is_told_in_ras(tmp_path):
    """Voxel (5, 3, 4): LPS x = -150 + 2 * 4 = -142, y = -170 + 2.5 * 3 = -162.5, z = 40 + 3 * 5 = 55."""
    pair = small_pair(*made_up((10, 12, 14), STRAIGHT), longest=96)

    assert pair.hottest_mm == pytest.approx((142, 162.5, 55))


def test_without_heat_the_middle_is_told():
    ct, heat = made_up((10, 12, 14), STRAIGHT)
    heat.hu[:] = 0

    assert small_pair(ct, heat, longest=96).hottest_mm == pytest.approx((150 - 2 * 7, 170 - 2.5 * 6, 40 + 3 * 5))


def test_a_large_grid_gets_coarser_and_stays_in_place(tmp_path):
    """Its outer faces stay: 3 mm * 40 = 6 mm * 20 along Z."""
    ct, heat = made_up((40, 30, 16), STRAIGHT)
    pair = small_pair(ct, heat, longest=20)

    image = read(pair.ct, tmp_path)

    assert image.GetSize() == (16, 20, 20)
    assert image.GetSpacing() == pytest.approx((2.0, 3.75, 6.0))
    face = image.TransformContinuousIndexToPhysicalPoint((-0.5, -0.5, -0.5))
    assert face == pytest.approx((-151.0, -171.25, 38.5))
    assert pair.longest == 20


def test_all_scans_get_as_coarse_as_it_takes_to_fit():
    pairs = [made_up((64, 64, 64), STRAIGHT, seed=seed) for seed in range(2)]
    whole = sum(small_pair(*pair, longest=64).size for pair in pairs)

    assert {pair.longest for pair in fitting_pairs(pairs, most_bytes=whole)} == {64}
    smaller = fitting_pairs(pairs, most_bytes=whole // 2)
    assert {pair.longest for pair in smaller} == {48}
    assert sum(pair.size for pair in smaller) <= whole // 2


def test_the_coarsest_is_taken_where_nothing_fits():
    pairs = [made_up((64, 64, 64), STRAIGHT)]

    assert fitting_pairs(pairs, most_bytes=10)[0].longest == LONGEST_SIDES[-1]


def test_the_same_scan_gives_the_same_bytes():
    pair = made_up((10, 12, 14), STRAIGHT)

    assert small_pair(*pair, longest=8) == small_pair(*pair, longest=8)
    assert len(gzip.decompress(small_pair(*pair, longest=8).heat)) == 352 + 8**3
