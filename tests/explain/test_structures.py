"""Truth masks on the model's grid, and shares of heat in them."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from pefuse.cohort.simulate.phantom import LABELS
from pefuse.explain.structures import ALL_STRAINED, STRAINED, heat_shares, structures_on_grid

UPRIGHT = np.eye(4)[[2, 1, 0, 3]]  # index (z, y, x) to mm (x, y, z), 1 mm


def write_mask(path, labels, *, spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)):
    image = SimpleITK.GetImageFromArray(labels.astype(np.uint8))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    SimpleITK.WriteImage(image, str(path))
    return path


def test_a_voxel_of_the_grid_tells_how_much_of_it_is_filled(tmp_path):
    """A grid of 4 mm voxels over a mask of 1 mm: the ventricle fills half of one, the trunk all of another."""
    labels = np.zeros((16, 16, 16))
    labels[0:2, 0:4, 0:4] = LABELS["right_ventricle"]
    labels[8:12, 4:8, 12:16] = LABELS["pulmonary_trunk"]
    affine = UPRIGHT @ np.array([[4, 0, 0, 1.5], [0, 4, 0, 1.5], [0, 0, 4, 1.5], [0, 0, 0, 1]])

    found = structures_on_grid(write_mask(tmp_path / "m.nii.gz", labels), affine, 4)

    assert found["right_ventricle"][0, 0, 0] == pytest.approx(0.5)
    assert found["right_ventricle"].sum() == pytest.approx(0.5)
    assert found["pulmonary_trunk"][2, 1, 3] == 1.0
    assert found["pulmonary_trunk"].sum() == 1.0


def test_the_masks_own_place_and_spacing_count(tmp_path):
    """A mask of 2 mm that begins at (x, y, z) = (10, 20, 30): its voxel (1, 2, 3) lies at (16, 24, 32)."""
    labels = np.zeros((8, 8, 8))
    labels[1, 2, 3] = LABELS["clot"]
    path = write_mask(tmp_path / "m.nii.gz", labels, spacing=(2.0, 2.0, 2.0), origin=(10.0, 20.0, 30.0))
    affine = UPRIGHT @ np.array([[2, 0, 0, 30], [0, 2, 0, 20], [0, 0, 2, 10], [0, 0, 0, 1.0]])

    found = structures_on_grid(path, affine, 8)["clot"]

    assert np.argwhere(found > 0).tolist() == [[1, 2, 3]]


def test_beyond_the_mask_there_is_nothing(tmp_path):
    labels = np.full((4, 4, 4), LABELS["right_atrium"])
    affine = UPRIGHT @ np.array([[1, 0, 0, -4], [0, 1, 0, -4], [0, 0, 1, -4], [0, 0, 0, 1.0]])

    found = structures_on_grid(write_mask(tmp_path / "m.nii.gz", labels), affine, 8)["right_atrium"]

    assert found[4:, 4:, 4:].min() == 1.0
    assert found.sum() == 64


def shares(heat, **filled):
    structures = {name: np.zeros(heat.shape, np.float32) for name in LABELS}
    for name, places in filled.items():
        structures[name][places] = 1.0
    return {one.structure: one for one in heat_shares(heat, structures)}


def test_a_share_of_heat_is_told_beside_the_share_of_volume():
    """Heat 3 in the ventricle's one voxel of 8 and 1 elsewhere: three quarters of the heat in an eighth."""
    heat = np.zeros((2, 2, 2), np.float32)
    heat[0, 0, 0], heat[1, 1, 1] = 3.0, 1.0

    found = shares(heat, right_ventricle=(0, 0, 0))["right ventricle"]

    assert (found.heat_share, found.volume_share, found.hit, found.hit_chance) == (0.75, 0.125, True, 0.125)


def test_all_strained_structures_are_summed_and_the_left_ventricle_is_not_among_them():
    heat = np.ones((2, 2, 2), np.float32)

    found = shares(heat, right_ventricle=(0, 0, 0), inferior_vena_cava=(0, 0, 1), left_ventricle=(1, 1, 1))

    assert found[ALL_STRAINED].volume_share == 0.25
    assert found[ALL_STRAINED].heat_share == 0.25
    assert "left_ventricle" not in STRAINED


def test_without_heat_nothing_is_pointed_at():
    found = shares(np.zeros((2, 2, 2), np.float32), right_ventricle=(0, 0, 0))["right ventricle"]

    assert (found.heat_share, found.hit) == (0.0, False)
