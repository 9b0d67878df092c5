"""NIfTI, NRRD and MHA: any order of axes, any direction, the same volume."""

from __future__ import annotations

import shutil
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import SimpleITK

from pefuse.ct import read_scan, to_grid
from pefuse.ct.axes import to_axes
from pefuse.errors import GeometryError, PlausibilityError, ScanReadError


def write(hu, path, *, spacing=(6.0, 6.0, 6.0), origin=(-190.0, -200.0, -300.0), direction=None):
    image = SimpleITK.GetImageFromArray(hu)
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    if direction is not None:
        image.SetDirection(direction)
    SimpleITK.WriteImage(image, str(path))
    return path


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
def test_each_format_gives_the_volume_as_written(synthetic, tmp_path, suffix):
    """NIfTI's own frame is RAS, the others' LPS: both end as the design's."""
    hu = synthetic.chest_hu()
    volume, report = read_scan(write(hu, tmp_path / f"scan{suffix}"))
    np.testing.assert_array_equal(volume.hu, hu)
    np.testing.assert_allclose(volume.affine[:3, 3], (-190, -200, -300), atol=1e-3)
    np.testing.assert_allclose(volume.affine[:3, :3], 6 * np.eye(3)[::-1], atol=1e-4)
    assert report.source == "image file"


def test_a_folder_or_archive_may_hold_one(synthetic, tmp_path):
    hu, folder = synthetic.chest_hu(), tmp_path / "study" / "ct"
    folder.mkdir(parents=True)
    file = write(hu, folder / "scan.nii.gz")
    (folder / "scan.json").write_text("{}")
    archive = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "study")
    for path in (tmp_path / "study", Path(archive)):
        volume, report = read_scan(path)
        np.testing.assert_array_equal(volume.hu, hu)
        assert report.source == "image file"
    file.rename(folder / "one.nii.gz")
    write(hu, folder / "two.mha")
    with pytest.raises(ScanReadError, match="2 image files"):
        read_scan(tmp_path / "study")


def test_all_48_ways_to_lay_out_an_array_give_one_volume(synthetic):
    hu = synthetic.chest_hu((18, 24, 30))
    affine = np.array([[0, 0, 2.0, -50], [0, 3.0, 0, -60], [4.0, 0, 0, -70], [0, 0, 0, 1]])
    for order in permutations(range(3)):
        for flips in np.ndindex(2, 2, 2):
            stored, place = hu.transpose(order), affine[:, [*order, 3]].copy()
            for axis, flip in enumerate(flips):
                if flip:
                    stored = np.flip(stored, axis)
                    place[:, 3] += place[:, axis] * (stored.shape[axis] - 1)
                    place[:, axis] *= -1
            volume = to_axes(stored, place)
            np.testing.assert_array_equal(volume.hu, hu)
            np.testing.assert_allclose(volume.affine, affine, atol=1e-9)


def test_the_caller_s_affine_is_left_alone(synthetic):
    affine = np.array([[0, 0, -2.0, 50], [0, 3.0, 0, -60], [4.0, 0, 0, -70], [0, 0, 0, 1]])
    before = affine.copy()
    to_axes(synthetic.chest_hu((18, 24, 30)), affine)
    np.testing.assert_array_equal(affine, before)


def test_a_sagittal_file_is_turned(synthetic, tmp_path):
    """The array runs (X, Z, Y): voxel by voxel the same chest."""
    hu = synthetic.chest_hu()
    sagittal = np.ascontiguousarray(hu.transpose(2, 0, 1))
    # ITK's columns are the directions of i (Y), j (Z) and k (X).
    direction = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    volume, _ = read_scan(write(sagittal, tmp_path / "scan.nrrd", direction=direction))
    np.testing.assert_array_equal(volume.hu, hu)


def test_a_volume_askew_by_45_degrees_is_refused(synthetic, tmp_path):
    half = float(np.sqrt(0.5))
    direction = (half, -half, 0.0, half, half, 0.0, 0.0, 0.0, 1.0)
    with pytest.raises(GeometryError, match="askew"):
        read_scan(write(synthetic.chest_hu(), tmp_path / "scan.nrrd", direction=direction))


def test_float_values_stay_float(synthetic, tmp_path):
    hu = synthetic.chest_hu().astype(np.float32) + 0.25
    volume, _ = read_scan(write(hu, tmp_path / "scan.nii.gz"))
    assert volume.hu.dtype == np.float32
    np.testing.assert_allclose(volume.hu, np.maximum(hu, -1024), atol=1e-3)
    assert to_grid(volume, grid=32).hu.dtype == np.int16


def test_values_that_are_not_finite_are_refused(synthetic, tmp_path):
    hu = synthetic.chest_hu().astype(np.float32)
    hu[20, 30, 30] = np.inf
    with pytest.raises(PlausibilityError, match="finite"):
        read_scan(write(hu, tmp_path / "scan.nrrd"))


def test_a_damaged_file_is_refused_without_its_path(tmp_path, capfd):
    path = tmp_path / "smith.nii.gz"
    path.write_bytes(b"not an image")
    with pytest.raises(ScanReadError, match="damaged") as refusal:
        read_scan(path)
    assert "smith" not in str(refusal.value)
    assert "smith" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize("lost", [8, 5000])
def test_a_truncated_file_is_refused(synthetic, tmp_path, suffix, lost):
    """ITK alone reads a truncated NIfTI, and invents the rest."""
    path = write(synthetic.chest_hu(), tmp_path / f"scan{suffix}")
    path.write_bytes(path.read_bytes()[:-lost])
    with pytest.raises(ScanReadError, match="damaged"):
        read_scan(path)


def test_a_compressed_nifti_with_a_flipped_bit_is_refused(synthetic, tmp_path):
    path = write(synthetic.chest_hu(), tmp_path / "scan.nii.gz")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)
    with pytest.raises(ScanReadError, match="damaged"):
        read_scan(path)


def test_a_namesake_without_compression_is_not_read_instead(synthetic, tmp_path):
    hu = synthetic.chest_hu()
    path = write(hu, tmp_path / "scan.nii.gz")
    write(synthetic.chest_hu(seed=9), tmp_path / "scan.nii")
    np.testing.assert_array_equal(read_scan(path)[0].hu, hu)


def test_a_mask_is_no_chest(synthetic, tmp_path):
    with pytest.raises(PlausibilityError):
        read_scan(write((synthetic.chest_hu() > 0).astype(np.uint8), tmp_path / "mask.nrrd"))


def test_a_plane_is_refused(synthetic, tmp_path):
    path = tmp_path / "plane.nrrd"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(synthetic.chest_hu()[0]), str(path))
    with pytest.raises(ScanReadError, match="3D"):
        read_scan(path)


def test_a_nifti_without_orientation_is_refused(synthetic, tmp_path):
    """qform_code and sform_code (bytes 252 to 255 of the header) set to 0: nothing says where the head is."""
    path = write(synthetic.chest_hu(), tmp_path / "scan.nii")
    content = bytearray(path.read_bytes())
    content[252:256] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(GeometryError, match="how it lies"):
        read_scan(path)


def test_an_nrrd_without_a_space_is_refused(synthetic, tmp_path):
    path = write(synthetic.chest_hu(), tmp_path / "scan.nrrd")
    content = path.read_bytes()
    lines, data = content.split(b"\n\n", 1)
    kept = [line for line in lines.split(b"\n") if not line.startswith(b"space:")]
    path.write_bytes(b"\n".join([*kept[:4], b"space dimension: 3", *kept[4:]]) + b"\n\n" + data)
    with pytest.raises(GeometryError, match="how it lies"):
        read_scan(path)
