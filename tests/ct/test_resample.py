"""The pass to the model's grid, against sums, ramps, Pillow and the paper's two steps."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from pefuse.ct import to_grid
from pefuse.ct.resample import axis_weights
from pefuse.errors import UsageError
from pefuse.types import Volume

RATIOS = [(512, 128), (300, 128), (61, 128), (131, 128), (128, 128), (40, 64), (517, 96), (30, 32)]


def volume(hu: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 1.0)) -> Volume:
    affine = np.eye(4)
    affine[:3, :3] = np.diag(spacing[::-1])[:, ::-1]
    affine[:3, 3] = (-10.0, 20.0, 30.0)
    return Volume(hu=hu, affine=affine)


@pytest.mark.parametrize(("size", "side"), RATIOS)
def test_a_constant_stays_constant(size, side):
    np.testing.assert_allclose(axis_weights(size, side).sum(axis=1), 1.0, atol=1e-6)


@pytest.mark.parametrize(("size", "side"), RATIOS)
def test_weights_are_never_negative(size, side):
    assert axis_weights(size, side).min() >= 0


@pytest.mark.parametrize(("size", "side"), RATIOS)
def test_a_ramp_comes_out_at_the_centres_of_the_output_voxels(size, side):
    """Output voxel i has its centre at input index (i + 1/2) size/side - 1/2; enlarging holds the border."""
    centres = (np.arange(side) + 0.5) * size / side - 0.5
    result = axis_weights(size, side).astype(float) @ np.arange(size)
    np.testing.assert_allclose(result, np.clip(centres, 0, size - 1), atol=1e-3)


@pytest.mark.parametrize("factor", [2, 4])
def test_away_from_borders_it_is_pillows_antialiased_bilinear_resize(factor):
    plane = np.random.default_rng(0).normal(0, 300, (32 * factor, 32 * factor)).astype(np.float32)
    cube = np.repeat(plane[None], 8, axis=0)
    pillow = np.asarray(Image.fromarray(plane).resize((32, 32), Image.Resampling.BILINEAR))

    ours = to_grid(volume(cube), grid=(8, 32, 32)).hu

    np.testing.assert_allclose(ours[4, 2:-2, 2:-2], pillow[2:-2, 2:-2], atol=0.51)


def test_the_mean_is_kept():
    hu = np.random.default_rng(1).normal(0, 400, (60, 100, 90)).astype(np.float32)
    hu[:, 30:60, 20:70] += 500
    assert to_grid(volume(hu), grid=32).hu.mean() == pytest.approx(hu.mean(), abs=3)


def test_a_pattern_finer_than_the_grid_is_suppressed():
    """A checkerboard of +-1000 HU has a mean of 0; plain interpolation would keep it or turn it into moire."""
    z, y, x = np.indices((96, 96, 96))
    hu = np.where((z + y + x) % 2, 1000, -1000).astype(np.int16)
    assert np.abs(to_grid(volume(hu), grid=31).hu).max() <= 12


def test_a_pattern_that_the_grid_can_show_is_kept():
    x = np.arange(256)
    wave = 500 * np.sin(2 * np.pi * x / 64)  # 16 output voxels a period
    hu = np.broadcast_to(wave, (32, 32, 256)).astype(np.float32)
    result = to_grid(volume(hu), grid=(16, 16, 64)).hu[8, 8]
    centres = (np.arange(64) + 0.5) * 4 - 0.5
    np.testing.assert_allclose(result, 500 * np.sin(2 * np.pi * centres / 64), atol=20)


def test_it_equals_isotropic_resampling_and_then_resizing():
    """The paper's two steps, done with fine linear zooms, on a smooth volume of 0.8 x 0.8 x 2.5 mm voxels."""
    z, y, x = np.meshgrid(np.arange(48) * 2.5, np.arange(160) * 0.8, np.arange(160) * 0.8, indexing="ij")
    hu = (300 * np.sin(x / 20) * np.cos(y / 24) + 2 * z).astype(np.float32)
    isotropic = ndimage.zoom(hu, (2.5, 0.8, 0.8), order=1, grid_mode=True, mode="nearest")
    smooth = ndimage.uniform_filter(isotropic, 5, mode="nearest")
    twice = ndimage.zoom(smooth, [32 / side for side in isotropic.shape], order=1, grid_mode=True, mode="nearest")

    once = to_grid(volume(hu), grid=32).hu

    assert np.abs(once - twice)[1:-1, 1:-1, 1:-1].max() < 8
    assert np.abs(once - twice).mean() < 3


def test_a_bright_point_is_found_at_its_place_in_mm():
    """A blob's centre of mass on the grid, through the grid's affine, is where the scan's affine puts it."""
    hu = np.zeros((60, 128, 100), np.float32)
    z, y, x = np.indices(hu.shape)
    hu += 3000 * np.exp(-((z - 41) ** 2 + (y - 30) ** 2 + (x - 77) ** 2) / 18)
    scan = volume(hu, (2.0, 0.7, 0.9))

    grid = to_grid(scan, grid=48)

    centre = np.array(ndimage.center_of_mass(grid.hu.astype(float)))
    found = grid.affine @ [*centre, 1]
    np.testing.assert_allclose(found, scan.affine @ [41, 30, 77, 1], atol=0.05)


def test_the_field_of_view_of_the_grid_is_that_of_the_scan():
    scan = volume(np.zeros((30, 50, 70), np.int16), (3.0, 0.7, 0.9))
    grid = to_grid(scan, grid=16)
    for corner in np.ndindex(2, 2, 2):
        faces = np.array(corner)
        theirs = scan.affine @ [*(faces * scan.hu.shape - 0.5), 1]
        ours = grid.affine @ [*(faces * 16.0 - 0.5), 1]
        np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_values_are_rounded_to_int16_and_not_cut_off():
    hu = np.full((8, 8, 8), 12.6, np.float32)
    result = to_grid(volume(hu), grid=8).hu
    assert result.dtype == np.int16
    assert (result == 13).all()
    np.testing.assert_array_equal(to_grid(volume(np.full((8, 8, 8), 4e4, np.float32)), grid=8).hu, 32767)


def test_the_same_grid_changes_nothing():
    hu = np.random.default_rng(2).integers(-1000, 1000, (16, 16, 16)).astype(np.int16)
    np.testing.assert_array_equal(to_grid(volume(hu), grid=16).hu, hu)


def test_the_number_of_threads_does_not_change_a_bit():
    hu = np.random.default_rng(3).integers(-1000, 1000, (40, 64, 64)).astype(np.int16)
    one, three = (to_grid(volume(hu), grid=24, threads=threads).hu for threads in (1, 3))
    np.testing.assert_array_equal(one, three)


@pytest.mark.parametrize("grid", [0, 7, 2000, (32, 32), (32, 32, 0)])
def test_an_impossible_grid_is_refused(grid):
    with pytest.raises(UsageError, match="grid"):
        to_grid(volume(np.zeros((8, 8, 8), np.int16)), grid=grid)
