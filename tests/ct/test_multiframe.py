"""Enhanced CT: the frames of one file are slices, each at its own place and with its own rescale."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from highdicom.legacy import LegacyConvertedEnhancedCTImage
from pydicom.uid import JPEG2000Lossless, RLELossless, generate_uid

from pefuse.ct import read_scan, read_to_grid, to_grid
from pefuse.errors import ScanError


def enhanced(synthetic, folder, *, edit=None):
    """A chest as one legacy-converted enhanced CT; `edit(dataset)` may change it. The plain slices are gone."""
    writer = synthetic.SeriesWriter()
    plain = writer.write(folder / "plain")
    slices = [pydicom.dcmread(path) for path in plain.iterdir()]
    for dataset in slices:
        dataset.AccessionNumber, dataset.StudyID = "", ""
        dataset.StudyDate, dataset.StudyTime = "20200101", "100000"
        dataset.Manufacturer, dataset.ReferringPhysicianName = "", ""
        dataset.AcquisitionDateTime = "20200101100000"
    converted = LegacyConvertedEnhancedCTImage(
        slices,
        series_instance_uid=generate_uid(),
        series_number=5,
        sop_instance_uid=generate_uid(),
        instance_number=1,
    )
    if edit is not None:
        edit(converted)
    for path in plain.iterdir():
        path.unlink()
    converted.save_as(folder / "enhanced", enforce_file_format=True)
    return folder, writer


def test_frames_are_slices_in_their_places(synthetic, tmp_path):
    folder, writer = enhanced(synthetic, tmp_path)
    volume, report = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, writer.hu)
    np.testing.assert_allclose(volume.affine[:3, 3], writer.origin_mm, atol=1e-6)
    assert "multi-frame: 40 frames of 1 files" in report.repairs
    np.testing.assert_array_equal(read_to_grid(folder, grid=24).volume.hu, to_grid(volume, grid=24).hu)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_frames_are_the_same(synthetic, tmp_path, syntax):
    folder, writer = enhanced(synthetic, tmp_path, edit=lambda dataset: dataset.compress(syntax))
    np.testing.assert_array_equal(read_scan(folder)[0].hu, writer.hu)


def test_each_frame_has_its_own_rescale(synthetic, tmp_path):
    """Every second frame is stored with half the slope and twice the numbers."""

    def edit(dataset):
        stored = dataset.pixel_array.copy()
        shared = dataset.SharedFunctionalGroupsSequence[0]
        for i, frame in enumerate(dataset.PerFrameFunctionalGroupsSequence):
            own = pydicom.Dataset()
            own.RescaleSlope, own.RescaleIntercept, own.RescaleType = (0.5 if i % 2 else 1), -1024, "HU"
            frame.PixelValueTransformationSequence = [own]
            stored[i] *= 1 + i % 2
        if "PixelValueTransformationSequence" in shared:
            del shared.PixelValueTransformationSequence
        dataset.PixelData = stored.tobytes()

    folder, writer = enhanced(synthetic, tmp_path, edit=edit)
    volume, report = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, writer.hu)
    assert any(repair.startswith("rescale-per-slice: 2") for repair in report.repairs)


def test_a_file_with_fewer_groups_than_frames_is_refused(synthetic, tmp_path):
    def edit(dataset):
        del dataset.PerFrameFunctionalGroupsSequence[7]

    folder, _ = enhanced(synthetic, tmp_path, edit=edit)
    with pytest.raises(ScanError, match="does not place each of them"):
        read_scan(folder)


def test_a_frame_without_a_place_is_refused(synthetic, tmp_path):
    def edit(dataset):
        del dataset.PerFrameFunctionalGroupsSequence[7].PlanePositionSequence

    folder, _ = enhanced(synthetic, tmp_path, edit=edit)
    with pytest.raises(ScanError, match="in 1 of 40 slices"):
        read_scan(folder)


def test_frames_cut_off_at_the_end_are_refused(synthetic, tmp_path):
    folder, _ = enhanced(synthetic, tmp_path)
    path = folder / "enhanced"
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ScanError, match="Truncated"):
        read_scan(folder)
