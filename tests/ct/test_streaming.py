"""Files straight to the grid: the same bits as reading and then resampling."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from pefuse.ct import read_scan, read_to_grid, to_grid
from pefuse.errors import GeometryError, PlausibilityError, UsageError

WAYS_TO_LIE = [
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    ((-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
    ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
]


@pytest.mark.parametrize(("row", "column"), WAYS_TO_LIE)
def test_it_equals_reading_and_then_resampling(synthetic, tmp_path, row, column):
    folder = synthetic.SeriesWriter(row=row, column=column).write(tmp_path / "scan")
    volume, report = read_scan(folder)
    expected = to_grid(volume, grid=24)

    scan = read_to_grid(folder, grid=24)

    np.testing.assert_array_equal(scan.volume.hu, expected.hu)
    np.testing.assert_array_equal(scan.volume.affine, expected.affine)
    assert scan.report == report
    assert scan.original_shape == volume.hu.shape
    np.testing.assert_allclose(scan.original_spacing_mm, volume.spacing_mm)


def test_rows_that_run_to_the_back_are_turned(synthetic, tmp_path):
    """Stored transposed: rows along Y, columns along X, which makes the normal point to the feet."""
    writer = synthetic.SeriesWriter()

    def edit(i, dataset):
        writer.set_pixels(dataset, writer.hu[i].T)
        dataset.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]

    writer.edit = edit
    folder = writer.write(tmp_path / "scan")
    volume, _ = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, writer.hu)
    np.testing.assert_array_equal(read_to_grid(folder, grid=24).volume.hu, to_grid(volume, grid=24).hu)


def test_slopes_that_are_not_whole_and_padding_are_treated_alike(synthetic, tmp_path):
    writer = synthetic.SeriesWriter()

    def edit(i, dataset):
        writer.set_pixels(dataset, np.where(writer.hu[i] < -990, -3000.0, writer.hu[i]) + 2000, slope=0.5)
        dataset.RescaleIntercept = -3024

    writer.edit = edit
    folder = writer.write(tmp_path / "scan")
    volume, report = read_scan(folder)
    scan = read_to_grid(folder, grid=24)
    np.testing.assert_array_equal(scan.volume.hu, to_grid(volume, grid=24).hu)
    assert scan.report.repairs == report.repairs == ("padding: set to -1024 HU in 40 slices",)


def test_an_image_file_goes_the_same_way(synthetic, tmp_path):
    image = SimpleITK.GetImageFromArray(synthetic.chest_hu())
    image.SetSpacing((6.0, 6.0, 6.0))
    SimpleITK.WriteImage(image, str(tmp_path / "scan.nrrd"))
    expected = to_grid(read_scan(tmp_path / "scan.nrrd")[0], grid=24).hu
    np.testing.assert_array_equal(read_to_grid(tmp_path / "scan.nrrd", grid=24).volume.hu, expected)


def test_refusals_are_the_same(synthetic, tmp_path):
    with pytest.raises(GeometryError):
        read_to_grid(synthetic.SeriesWriter(skip=(9,)).write(tmp_path / "gap"))
    writer = synthetic.SeriesWriter(hu=np.full((40, 64, 64), 40, np.int16))
    with pytest.raises(PlausibilityError):
        read_to_grid(writer.write(tmp_path / "block"))
    with pytest.raises(UsageError):
        read_to_grid(synthetic.SeriesWriter().write(tmp_path / "good"), grid=2)
