"""Where slices lie: order, gaps, tilt, orientation; what is not one regular volume is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pefuse.ct import read_scan
from pefuse.ct.geometry import stack_slices
from pefuse.ct.headers import read_headers
from pefuse.ct.planes import PlaneReader, read_planes
from pefuse.errors import GeometryError, ScanError


def shifted(axis: int, millimetres, which=None):
    """An edit that moves each slice (or those in `which`) along LPS `axis` by `millimetres(i)`."""

    def edit(i, dataset):
        if which is None or i in which:
            position = [float(value) for value in dataset.ImagePositionPatient]
            position[axis] += millimetres(i)
            dataset.ImagePositionPatient = [round(value, 6) for value in position]

    return edit


def setting(**values):
    """An edit that sets the same elements in every slice."""

    def edit(i, dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return edit


def test_shuffled_names_and_instance_numbers_do_not_matter(synthetic, tmp_path):
    writer = synthetic.SeriesWriter(seed=3)
    volume, _ = read_scan(writer.write(tmp_path / "scan"))
    assert volume.hu.dtype == np.int16
    np.testing.assert_array_equal(volume.hu, writer.hu)
    expected = [[0, 0, 6, -190], [0, 6, 0, -200], [6, 0, 0, -300], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, expected, atol=1e-6)


@pytest.mark.parametrize("row", [(1.0, 0.0, 0.0), (-1.0, 0.0, 0.0)])
@pytest.mark.parametrize("column", [(0.0, 1.0, 0.0), (0.0, -1.0, 0.0)])
def test_every_way_of_lying_gives_the_same_volume(synthetic, tmp_path, row, column):
    """Supine or prone, head or feet first: two of the four have their normal to the feet."""
    writer = synthetic.SeriesWriter(row=row, column=column)
    volume, _ = read_scan(writer.write(tmp_path / "scan"))
    np.testing.assert_array_equal(volume.hu, writer.hu)
    np.testing.assert_allclose(volume.affine[:3, 3], writer.origin_mm, atol=1e-6)


def test_nested_folders_are_one_scan(synthetic, tmp_path):
    writer = synthetic.SeriesWriter()
    folder = writer.write(tmp_path / "scan")
    (folder / "a" / "b").mkdir(parents=True)
    for path in sorted(folder.iterdir())[:10]:
        if path.is_file():
            path.rename(folder / "a" / "b" / path.name)
    np.testing.assert_array_equal(read_scan(folder)[0].hu, writer.hu)


@pytest.mark.parametrize("missing", [(20,), (1,), (38,), (12, 13), (5, 25)])
def test_a_missing_slice_is_refused_and_counted(synthetic, tmp_path, missing):
    with pytest.raises(GeometryError, match=f"{len(missing)} slices? seems? to be missing"):
        read_scan(synthetic.SeriesWriter(skip=missing).write(tmp_path / "scan"))


def test_a_scan_with_ends_cut_off_is_still_regular(synthetic, tmp_path):
    volume, _ = read_scan(synthetic.SeriesWriter(skip=(0, 1, 39)).write(tmp_path / "scan"))
    assert volume.hu.shape == (37, 64, 64)
    assert volume.affine[2, 3] == pytest.approx(-300 + 12)


def test_an_uneven_gap_is_refused(synthetic, tmp_path):
    edit = shifted(2, lambda i: 2.0, which=range(20, 40))
    with pytest.raises(GeometryError, match="one gap"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


def test_positions_rounded_to_a_tenth_are_accepted(synthetic, tmp_path):
    def edit(i, dataset):
        dataset.ImagePositionPatient = [-190, -200, round(-300 + i * 6.25, 1)]

    volume, _ = read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))
    assert volume.spacing_mm[0] == pytest.approx(6.25, abs=0.01)


def body(points_mm):
    """A smooth HU of any place `(..., 3)` in LPS mm."""
    x, y, z = np.moveaxis(np.asarray(points_mm), -1, 0) / 40
    return 400 * np.sin(x) * np.cos(y + 0.5 * z) + 200 * np.sin(z)


def slices_of_body(synthetic, *, step, column, planes=30, spacing_mm=(4.0, 2.0, 3.0)):
    """Slices that cut `body` with their columns along `column`, each `step` mm from the one before."""
    writer = synthetic.SeriesWriter(hu=np.zeros((planes, 48, 40), np.int16), spacing_mm=spacing_mm, column=column)
    rows, columns = np.meshgrid(np.arange(48), np.arange(40), indexing="ij")

    def edit(i, dataset):
        position = np.add((-60.0, -48.0, -50.0), np.multiply(i, step))
        places = position + rows[..., None] * 2.0 * np.array(column) + columns[..., None] * 3.0 * np.eye(3)[0]
        writer.set_pixels(dataset, body(places), slope=1.0)
        dataset.ImagePositionPatient = [round(float(value), 6) for value in position]

    writer.edit = edit
    return writer


def planes_of(folder):
    headers, _ = read_headers(sorted(folder.iterdir()))
    stack = stack_slices(headers)
    return stack, read_planes(PlaneReader(stack.headers, stack.planes, stack.shape))


def against_body(stack, hu):
    """Difference to `body` at each voxel's place, but for the air that came free and the rim beside it."""
    index = np.stack(np.meshgrid(*map(np.arange, hu.shape), indexing="ij"), axis=-1)
    places = index @ stack.affine[:3, :3].T + stack.affine[:3, 3]
    inside = ndimage.binary_erosion(hu > -900, structure=np.ones((1, 5, 5)))
    return np.abs(hu - body(places))[inside], inside


@pytest.mark.parametrize("degrees", [12, -12, 18.5, 24])
def test_gantry_tilt_is_undone_by_shear(synthetic, tmp_path, degrees):
    """Planes turned about X, stacked along Z: at every voxel's place in mm the HU are those of the body there."""
    angle = np.radians(degrees)
    column = (0.0, float(np.cos(angle)), float(-np.sin(angle)))
    folder = slices_of_body(synthetic, step=(0, 0, 4), column=column).write(tmp_path / "scan")
    stack, hu = planes_of(folder)
    difference, inside = against_body(stack, hu)
    assert inside.mean() > 0.3
    assert difference.max() < 3  # linear interpolation over 2 mm, and rounding
    axes = stack.affine[:3, :3] / np.linalg.norm(stack.affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-5)
    assert [str(repair) for repair in stack.repairs] == [f"gantry-tilt: {abs(degrees):g} degrees undone by shear"]


def test_a_tilted_volume_holds_every_pixel_of_every_slice(synthetic, tmp_path):
    column = (0.0, float(np.cos(0.2)), float(-np.sin(0.2)))
    stack, hu = planes_of(slices_of_body(synthetic, step=(0, 0, 4), column=column).write(tmp_path / "scan"))
    assert stack.shape == (48 + int(np.ceil(29 * 4 * np.sin(0.2) / 2)), 40)
    assert ((hu > -1000).sum(axis=(1, 2)) >= 47 * 40).all()


def test_a_tilt_no_gantry_has_is_refused(synthetic, tmp_path):
    column = (0.0, float(np.cos(0.6)), float(-np.sin(0.6)))
    folder = slices_of_body(synthetic, step=(0, 0, 4), column=column).write(tmp_path / "scan")
    with pytest.raises(GeometryError, match="no gantry tilts"):
        planes_of(folder)


def test_a_tilt_that_contradicts_the_stated_one_is_refused(synthetic, tmp_path):
    column = (0.0, float(np.cos(0.2)), float(-np.sin(0.2)))  # 11.5 degrees
    writer = slices_of_body(synthetic, step=(0, 0, 4), column=column)
    cut = writer.edit

    def edit(i, dataset):
        cut(i, dataset)
        dataset.GantryDetectorTilt = 20

    writer.edit = edit
    with pytest.raises(GeometryError, match="of 20 degrees is stated"):
        planes_of(writer.write(tmp_path / "scan"))


def test_a_shear_along_the_table_is_undone(synthetic, tmp_path):
    """Planes are axial, but each lies 0.5 mm further back and 0.3 mm further left than the one before."""
    folder = slices_of_body(synthetic, step=(0.3, 0.5, 4), column=(0.0, 1.0, 0.0)).write(tmp_path / "scan")
    stack, hu = planes_of(folder)
    assert against_body(stack, hu)[0].max() < 3
    np.testing.assert_allclose(stack.affine[:3, 0], [0, 0, 4], atol=1e-6)


@pytest.mark.parametrize("tilt", [0.0, 0.2])
def test_a_small_gap_is_filled_between_its_neighbours(synthetic, tmp_path, tilt):
    """Two of 60 slices, one after the other: 6 mm, tilted or not."""
    column = (0.0, float(np.cos(tilt)), float(-np.sin(tilt)))
    spacing = (2.0, 2.0, 3.0)
    writer = slices_of_body(synthetic, step=(0, 0, 2), column=column, planes=60, spacing_mm=spacing)
    writer.skip = (20, 21)
    stack, hu = planes_of(writer.write(tmp_path / "scan"))
    assert len(hu) == 60
    assert against_body(stack, hu)[0].max() < 4
    assert "missing-slices: 2 of 60 interpolated" in map(str, stack.repairs)


@pytest.mark.parametrize("missing", [(20, 21, 22), (5, 20, 35, 50)])
def test_a_larger_gap_is_refused_and_counted(synthetic, tmp_path, missing):
    """Three in a row, or more than a twentieth of all."""
    spacing = (2.0, 2.0, 3.0)
    writer = slices_of_body(synthetic, step=(0, 0, 2), column=(0.0, 1.0, 0.0), planes=60, spacing_mm=spacing)
    writer.skip = missing
    with pytest.raises(GeometryError, match=f"{len(missing)} slices? seems? to be missing"):
        planes_of(writer.write(tmp_path / "scan"))


def test_a_stated_tilt_that_positions_do_not_show_is_refused(synthetic, tmp_path):
    with pytest.raises(GeometryError, match="gantry tilt of 12 degrees is stated"):
        read_scan(synthetic.SeriesWriter(edit=setting(GantryDetectorTilt=12)).write(tmp_path / "scan"))


def test_a_table_that_moved_sideways_is_refused(synthetic, tmp_path):
    with pytest.raises(GeometryError, match="beside the line"):
        read_scan(synthetic.SeriesWriter(edit=shifted(0, lambda i: 5.0, which={17})).write(tmp_path / "scan"))


def test_a_small_obliqueness_stays_in_the_affine(synthetic, tmp_path):
    """The whole stack turned by 5 degrees about X: slices are stacked along their normal, so nothing is tilted."""
    cosine, sine = np.cos(np.radians(5)), np.sin(np.radians(5))

    def edit(i, dataset):
        dataset.ImagePositionPatient = [-190, round(-200 - i * 6 * sine, 6), round(-300 + i * 6 * cosine, 6)]

    writer = synthetic.SeriesWriter(column=(0.0, float(cosine), float(sine)), edit=edit)
    volume, _ = read_scan(writer.write(tmp_path / "scan"))
    np.testing.assert_array_equal(volume.hu, writer.hu)
    np.testing.assert_allclose(volume.affine[:3, 0], [0, -6 * sine, 6 * cosine], atol=1e-4)
    np.testing.assert_allclose(volume.spacing_mm, (6, 6, 6), atol=1e-4)


def test_jitter_of_the_orientation_is_tolerated(synthetic, tmp_path):
    def edit(i, dataset):
        dataset.ImageOrientationPatient = [1, 1e-6 * (i % 3), 0, 0, 1, -1e-6 * (i % 2)]

    volume, _ = read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))
    assert volume.hu.shape == (40, 64, 64)


def test_slices_of_two_orientations_in_turn_are_refused(synthetic, tmp_path):
    """Each half alone would look regular, at twice the spacing."""

    cosine, sine = (round(float(value), 6) for value in (np.cos(0.05), np.sin(0.05)))

    def edit(i, dataset):
        if i % 2:
            dataset.ImageOrientationPatient = [cosine, sine, 0, -sine, cosine, 0]

    with pytest.raises(GeometryError, match="another size, spacing or orientation"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


@pytest.mark.parametrize("which", [{20}, set(range(1, 39, 2))])
def test_slices_of_another_size_are_refused(synthetic, tmp_path, which):
    """One alone in the middle, or every second one: the rest would look regular at twice its spacing."""

    def edit(i, dataset):
        if i in which:
            dataset.Rows, dataset.PixelData = 32, dataset.PixelData[: 32 * 64 * 2]

    with pytest.raises(GeometryError, match="another size"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("ImagePositionPatient", None, "ImagePositionPatient is missing"),
        ("ImagePositionPatient", ["nan", "0", "0"], "ImagePositionPatient is missing or not"),
        ("ImageOrientationPatient", None, "ImageOrientationPatient is missing"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0.5, 0], "perpendicular"),
        ("PixelSpacing", None, "PixelSpacing is missing"),
        ("PixelSpacing", ["inf", "inf"], "PixelSpacing is missing or not"),
        ("PixelSpacing", [7000, 7000], "PixelSpacing is 7000"),
        ("PixelSpacing", [0, 0], "PixelSpacing is 0"),
        ("PixelSpacing", [-6, 6], "PixelSpacing is -6"),
    ],
)
def test_geometry_that_is_missing_or_impossible_is_refused(synthetic, tmp_path, keyword, value, reason):
    def edit(i, dataset):
        if value is None:
            delattr(dataset, keyword)
        else:
            text = "\\".join(str(number) for number in value)
            dataset[keyword]._value = text  # past pydicom's own checks, as a broken exporter would

    with pytest.raises(ScanError, match=reason):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


def test_one_slice_without_a_position_is_refused(synthetic, tmp_path):
    def edit(i, dataset):
        if i == 7:
            del dataset.ImagePositionPatient

    with pytest.raises(GeometryError, match="in 1 of 40 slices"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


def test_identical_duplicates_are_removed_and_recorded(synthetic, tmp_path):
    writer = synthetic.SeriesWriter()
    folder = writer.write(tmp_path / "scan")
    writer.write(folder, prefix="copy")
    for extra in sorted(folder.glob("copy*"))[3:]:
        extra.unlink()
    volume, report = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, writer.hu)
    assert report.repairs == ("duplicate-slices: 3 identical ones removed",)


def test_duplicates_with_different_pixels_are_refused(synthetic, tmp_path):
    writer = synthetic.SeriesWriter()
    folder = writer.write(tmp_path / "scan")
    writer.hu = writer.hu + np.int16(1)
    writer.write(folder, prefix="other")
    for extra in sorted(folder.glob("other*"))[1:]:
        extra.unlink()
    with pytest.raises(GeometryError, match="different pixels"):
        read_scan(folder)


def test_two_acquisitions_in_one_series_are_told_apart(synthetic, tmp_path):
    """The same places twice; AcquisitionNumber separates them, and one whole volume is taken."""
    writer = synthetic.SeriesWriter()
    folder = writer.write(tmp_path / "scan")
    first = writer.hu
    writer.hu, writer.edit = writer.hu + np.int16(5), setting(AcquisitionNumber=2)
    writer.write(folder, prefix="second")
    volume, report = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, first)
    assert [entry.slices for entry in report.entries] == [40, 40]


def test_two_acquisitions_at_places_in_turn_are_told_apart(synthetic, tmp_path):
    """Together they look like one regular volume of half the spacing; they are two, half a gap apart."""
    writer = synthetic.SeriesWriter(edit=setting(AcquisitionNumber=1))
    folder = writer.write(tmp_path / "scan")
    first = writer.hu
    writer.hu, writer.edit = writer.hu + np.int16(80), setting(AcquisitionNumber=2)
    writer.origin_mm = (-190.0, -200.0, -297.0)
    writer.write(folder, prefix="second")
    volume, report = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, first)
    assert [entry.slices for entry in report.entries] == [40, 40]


def test_acquisitions_that_follow_one_another_stay_one_volume(synthetic, tmp_path):
    """A scanner that steps counts one for each rotation of four slices."""

    def edit(i, dataset):
        dataset.AcquisitionNumber = 1 + i // 4

    writer = synthetic.SeriesWriter(edit=edit)
    np.testing.assert_array_equal(read_scan(writer.write(tmp_path / "scan"))[0].hu, writer.hu)
