"""The box around the lungs: on drawn chests, where its sides are known, and on a real one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from pefuse.ct import prepare, read_scan, read_to_grid, to_grid
from pefuse.ct.lungs import MARGIN_MM, cut_to_lungs, lung_box
from pefuse.errors import PlausibilityError, UsageError
from pefuse.types import STUDY_COLUMNS, Cohort, Volume


def volume(hu: np.ndarray, spacing_mm: tuple[float, float, float] = (6.0, 6.0, 6.0)) -> Volume:
    """Voxels along the body's axes; index (z, y, x) to LPS (x, y, z), with an origin that is not zero."""
    affine = np.zeros((4, 4))
    z, y, x = spacing_mm
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = z, y, x, 1
    affine[:3, 3] = (-190.0, -200.0, -300.0)
    return Volume(hu=hu.astype(np.int16), affine=affine)


def body(shape=(40, 64, 64)) -> np.ndarray:
    """Tissue in air: rows 10 to 53, columns 6 to 57."""
    hu = np.full(shape, -1000)
    hu[:, 10:54, 6:58] = 40
    return hu


def two_lungs() -> np.ndarray:
    hu = body()
    hu[8:30, 20:40, 12:26] = -850
    hu[8:32, 20:42, 36:50] = -850
    return hu


def test_the_box_is_the_lungs_and_a_margin():
    """Slices 8 to 31, rows 20 to 41, columns 12 to 49; the margin of 15 mm is 3 voxels of 6 mm."""
    margin = int(np.ceil(MARGIN_MM / 6))
    box = lung_box(volume(two_lungs()))

    # The smoothing within a slice may take a voxel of the rim.
    found = np.array([(side.start, side.stop) for side in box])
    wanted = np.array([(8 - margin, 32 + margin), (20 - margin, 42 + margin), (12 - margin, 50 + margin)])
    assert (found[0] == wanted[0]).all()
    assert np.abs(found - wanted).max() <= 1


def test_air_of_the_bowel_and_of_the_room_is_no_lung():
    hu = two_lungs()
    hu[0:3, 30:34, 30:34] = -900  # a bubble below
    hu[:, :5] = -1000

    assert lung_box(volume(hu)) == lung_box(volume(two_lungs()))


def test_the_box_does_not_leave_the_scan():
    hu = body((20, 64, 64))
    hu[:, 12:52, 8:56] = -850

    assert lung_box(volume(hu)) == (slice(0, 20), *lung_box(volume(hu))[1:])


def test_voxels_stay_where_they_are_in_the_scanner():
    whole = volume(two_lungs(), (5.0, 2.0, 3.0))
    part = cut_to_lungs(whole)
    box = lung_box(whole)
    place = (4, 5, 6)

    inside = part.affine @ [*place, 1]
    outside = whole.affine @ [*(side.start + n for side, n in zip(box, place, strict=True)), 1]
    np.testing.assert_allclose(inside, outside)
    assert part.hu[place] == whole.hu[box][place]
    assert part.spacing_mm == whole.spacing_mm


def test_no_air_inside_a_body_is_told():
    with pytest.raises(PlausibilityError, match="lungs cannot be found"):
        lung_box(volume(body()))


def test_reading_the_lungs_is_cutting_to_them_then_the_grid(synthetic, tmp_path):
    folder = synthetic.SeriesWriter().write(tmp_path / "scan")
    whole, _ = read_scan(folder)

    scan = read_to_grid(folder, grid=24, field_of_view="lungs")

    expected = to_grid(cut_to_lungs(whole), grid=24)
    np.testing.assert_array_equal(scan.volume.hu, expected.hu)
    np.testing.assert_allclose(scan.volume.affine, expected.affine)
    assert scan.original_shape == whole.hu.shape
    assert scan.volume.spacing_mm[1:] < to_grid(whole, grid=24).spacing_mm[1:]  # finer: less is seen


@pytest.fixture
def cohort_of_one(synthetic, tmp_path) -> Cohort:
    synthetic.SeriesWriter().write(tmp_path / "ct")
    row = (1, pd.Timestamp("2018-01-01"), "ct", 60.0, "F", 0.0, 2018, "", "")
    studies = pd.DataFrame([row], columns=list(STUDY_COLUMNS), index=pd.Index(["s1"], name="study_id"))
    return Cohort(
        folder=tmp_path,
        name="one",
        horizon_days=30,
        simulated=True,
        studies=studies,
        events=None,
        codes=pd.DataFrame(),
        features=None,
    )


def test_each_view_has_a_folder_and_none_passes_for_the_other(cohort_of_one):
    whole, lungs = prepare(cohort_of_one, grid=24), prepare(cohort_of_one, grid=24, field_of_view="lungs")

    assert (whole.folder.name, lungs.folder.name) == ("prepared-24", "prepared-24-lungs")
    assert (whole.field_of_view, lungs.field_of_view) == ("whole", "lungs")
    assert whole.table["checksum"].tolist() != lungs.table["checksum"].tolist()
    # The same folder, asked for the other view: read again, not taken as it is.
    again = prepare(cohort_of_one, out=whole.folder, grid=24, field_of_view="lungs")
    assert again.table["checksum"].tolist() == lungs.table["checksum"].tolist()


def test_another_view_is_refused(cohort_of_one):
    with pytest.raises(UsageError, match="whole or lungs"):
        prepare(cohort_of_one, grid=24, field_of_view="heart")


@pytest.mark.parametrize("name", ["lung1_image.nrrd", "lung2_image.nrrd"])
def test_on_a_real_chest_the_box_holds_the_lungs_and_leaves_the_table_out(name, test_data):
    """All air of the lungs is inside, in between a quarter and three quarters of the scan."""
    whole, _ = read_scan(test_data / "pyradiomics_lung" / name)
    box = lung_box(whole)
    inside = np.zeros(whole.hu.shape, bool)
    inside[box] = True
    # Lung seen another way: the largest dark pieces that do not reach the scan's rim, noise opened away.
    dark = ndimage.binary_opening((whole.hu > -980) & (whole.hu < -700), np.ones((1, 5, 5)))
    labels, _ = ndimage.label(dark)
    sizes = np.bincount(labels.ravel())
    sizes[np.unique(np.concatenate([labels[:, 0].ravel(), labels[:, -1].ravel(), labels[:, :, 0].ravel()]))] = 0
    lung = np.isin(labels, np.flatnonzero(sizes > 0.3 * sizes.max()))

    assert 0.25 < inside.mean() < 0.75
    assert lung.sum() > 1e5
    assert (lung & inside).sum() > 0.98 * lung.sum()


def test_the_windpipe_in_the_neck_does_not_stretch_the_box():
    hu = two_lungs()
    hu[30:40, 28:31, 30:33] = -950  # from the lungs up to the last slice
    hu[28:31, 28:31, 26:36] = -950

    assert lung_box(volume(hu))[0].stop <= lung_box(volume(two_lungs()))[0].stop + 1
