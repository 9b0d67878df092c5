"""Heat lies on the anatomy that it was found in, as a reader of other makers sees both."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK

from pefuse.ct import cut_to_lungs, read_scan, to_grid
from pefuse.errors import UsageError
from pefuse.explain import to_scanner, write_nifti
from pefuse.explain.scanner import heat_bytes
from pefuse.types import Volume

from ..ct.faults import FAULTS, ORIGIN_MM, SPACING_MM, body_hu, chest_series

DEGREES = 9.0
NOWHERE = -1e6
COSINE, SINE = math.cos(math.radians(DEGREES)), math.sin(math.radians(DEGREES))


def oblique(folder):
    """Planes turned about X and stacked along their own normal, and the body really cut there."""

    def edit(i, dataset):
        offset = SPACING_MM[0] * i
        x, y, z = ORIGIN_MM
        dataset.ImagePositionPatient = [round(v, 6) for v in (x, y - SINE * offset, z + COSINE * offset)]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, round(COSINE, 9), round(SINE, 9)]

    planes, rows, columns = (step * np.arange(side) for step, side in zip(SPACING_MM, (60, 64, 64), strict=True))
    k, r, c = planes[:, None, None], rows[None, :, None], columns[None, None, :]
    x, y, z = ORIGIN_MM[0] + c, ORIGIN_MM[1] + COSINE * r - SINE * k, ORIGIN_MM[2] + SINE * r + COSINE * k
    chest_series(edit, hu=np.rint(body_hu(x, y, z)).astype(np.int16)).write(folder)


SERIES = {
    "oblique": oblique,
    "tilted and repaired": FAULTS["gantry-tilt-12"].write,
    "flipped left to right": FAULTS["feet-first"].write,
    "flipped both ways": FAULTS["prone"].write,
    "turned by a quarter": FAULTS["decubitus"].write,
}


def seen_by_simpleitk(folder):
    """Each slice as SimpleITK reads it alone, with its own place: no stacking, so no rules for it."""
    return [SimpleITK.ReadImage(str(path), SimpleITK.sitkFloat32) for path in sorted(folder.iterdir())]


def apart(slices, image, moved_mm=(0.0, 0.0, 0.0)):
    """Mean square distance of the slices' HU from the image's at the same mm, the image moved."""
    move = SimpleITK.TranslationTransform(3, moved_mm)
    distances = []
    for one in slices:
        found = SimpleITK.GetArrayFromImage(SimpleITK.Resample(image, one, move, SimpleITK.sitkLinear, NOWHERE))
        inside = found > -1100  # a share of NOWHERE, at the faces, is far below
        distances.append((found - SimpleITK.GetArrayFromImage(one))[inside])
    return float(np.mean(np.square(np.concatenate(distances))))


def best_move_mm(slices, image, axis, step_mm=6.0):
    """By how many mm along an axis the image would have to be moved to agree best: the vertex of a parabola."""
    before, here, after = (apart(slices, image, tuple(step * step_mm * axis)) for step in (-1, 0, 1))
    assert here < min(before, after)
    return step_mm * (before - after) / (2 * (before - 2 * here + after))


@pytest.mark.parametrize("name", SERIES)
@pytest.mark.parametrize("view", ["whole", "lungs"])
def test_mapped_back_values_lie_on_the_same_anatomy_for_an_independent_reader(tmp_path, name, view):
    """The grid's own HU are mapped back as if they were heat, written, and read beside the DICOM by SimpleITK.

    They agree best where they are: along no axis would half a millimetre be gained, a twelfth of a voxel.
    """
    folder = tmp_path / "scan"
    folder.mkdir()
    SERIES[name](folder)
    scan, _ = read_scan(folder)
    grid = to_grid(cut_to_lungs(scan) if view == "lungs" else scan, grid=64)
    back = to_scanner(grid.hu.astype(np.float32) + 5000.0, grid.affine, scan)
    back = np.where(back > 0, back - 5000.0, NOWHERE)
    write_nifti(tmp_path / "back.nii.gz", back.astype(np.float32), scan.affine)
    image = SimpleITK.ReadImage(str(tmp_path / "back.nii.gz"))
    slices = seen_by_simpleitk(folder)

    moves = [best_move_mm(slices, image, axis) for axis in np.eye(3)]

    assert image.GetSize() == scan.hu.shape[::-1]
    assert moves == pytest.approx([0, 0, 0], abs=0.5)


def test_one_hot_voxel_comes_back_at_its_own_millimetres():
    """Grid voxel (3, 4, 5) of 8 is centred at ((i + 1/2) * side / 8 - 1/2) voxels of the scan along each axis."""
    affine = np.array([[0, 0, 0.7, -100], [0, 0.8, 0, -50], [2.0, 0, 0, 30], [0, 0, 0, 1]], dtype=float)
    scan = Volume(hu=np.zeros((40, 48, 56), np.int16), affine=affine)
    grid = to_grid(scan, grid=8)
    heat = np.zeros((8, 8, 8), np.float32)
    heat[3, 4, 5] = 1.0

    back = to_scanner(heat, grid.affine, scan)

    centre = np.array([np.average(np.arange(n), weights=back.sum(axis=tuple({0, 1, 2} - {a}))) for a, n in
                       enumerate(back.shape)])  # fmt: skip
    assert centre == pytest.approx([3.5 * 5 - 0.5, 4.5 * 6 - 0.5, 5.5 * 7 - 0.5])
    assert (affine @ [*centre, 1])[:3] == pytest.approx((grid.affine @ [3, 4, 5, 1])[:3])


def test_beyond_the_grid_there_is_no_heat_and_to_its_faces_it_is_level():
    scan = Volume(hu=np.zeros((32, 32, 32), np.int16), affine=np.eye(4)[[2, 1, 0, 3]])
    part = Volume(hu=scan.hu[8:24], affine=scan.affine @ np.array(
        [[1, 0, 0, 8], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))  # fmt: skip
    grid = to_grid(part, grid=8)

    back = to_scanner(np.ones((8, 8, 8), np.float32), grid.affine, scan)

    assert (back[8:24] == 1).all()
    assert not back[:8].any()
    assert not back[24:].any()


def test_a_grid_of_another_scan_is_refused():
    turned = np.array([[0.1, 0, 1, 0], [0, 1, 0, 0], [1, 0, -0.1, 0], [0, 0, 0, 1]])
    scan = Volume(hu=np.zeros((16, 16, 16), np.int16), affine=turned)

    with pytest.raises(UsageError, match="not made of this scan"):
        to_scanner(np.ones((8, 8, 8), np.float32), np.eye(4)[[2, 1, 0, 3]], scan)


def test_the_hottest_voxel_is_255_and_no_heat_is_0():
    heat = np.array([0.0, 0.25, 0.5], np.float32)

    assert heat_bytes(heat).tolist() == [0, 128, 255]
    assert heat_bytes(np.zeros(3, np.float32)).tolist() == [0, 0, 0]
