"""Stored values to HU: the same as pydicom's, per slice, without overflow; what cannot be HU is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from pefuse.ct import read_scan
from pefuse.ct.headers import read_header
from pefuse.ct.pixels import HuReader, read_stored
from pefuse.errors import PlausibilityError, ScanError, ScanReadError

UNREADABLE = ("2_4", "6_8", "10_12", "fragmented")  # JPEG extended and two retired ones: no permissive codec


def test_direct_reading_equals_pydicom(synthetic, tmp_path):
    """Signed and unsigned, 12 stored bits with rubbish above them, implicit and explicit."""
    generator = np.random.default_rng(0)
    for signed, bits, syntax in [
        (0, 16, "1.2.840.10008.1.2.1"),
        (1, 12, "1.2.840.10008.1.2"),
        (0, 12, "1.2.840.10008.1.2.1"),
    ]:
        dataset = synthetic.SeriesWriter().dataset(0)
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelRepresentation, dataset.BitsStored, dataset.HighBit = signed, bits, bits - 1
        dataset.PixelData = generator.integers(0, 65536, (64, 64)).astype("<u2").tobytes()
        path = tmp_path / f"{signed}{bits}"
        dataset.save_as(path, enforce_file_format=True)
        (header,) = read_header(path)
        np.testing.assert_array_equal(read_stored(header), pydicom.dcmread(path).pixel_array)
        into = np.empty((64, 64), np.int16)
        np.testing.assert_array_equal(read_stored(header, into=into), pydicom.dcmread(path).pixel_array)


def test_every_lossless_syntax_decodes_to_the_same_slice(test_data):
    folder = test_data / "ct_transfer_syntaxes"
    reference = pydicom.dcmread(folder / "CTImage.dcm").pixel_array
    decoded = 0
    for path in sorted(folder.glob("CTImage.dcm*")):
        (header,) = read_header(path)
        if any(word in path.name for word in UNREADABLE):
            continue
        stored = read_stored(header)
        np.testing.assert_array_equal(stored, pydicom.dcmread(path).pixel_array, err_msg=path.name)
        difference = np.abs(stored.astype(int) - reference).max()
        if not any(word in path.name for word in ("4.91", "4.81", "4.50")):  # lossy ones
            assert difference == 0, path.name
        decoded += 1
    assert decoded >= 11


def test_an_undecodable_slice_says_so_without_its_path(test_data):
    path = next((test_data / "ct_transfer_syntaxes").glob("*4.55.dcm"))
    (header,) = read_header(path)
    with pytest.raises(ScanReadError, match="cannot be decoded") as refusal:
        read_stored(header)
    assert "CTImage" not in str(refusal.value)


def test_each_slice_has_its_own_slope_in_float(synthetic, tmp_path):
    """Integers would lose up to half a HU each; a shared slope would be wrong by hundreds."""
    writer = synthetic.SeriesWriter()

    def edit(i, dataset):
        writer.set_pixels(dataset, writer.hu[i], slope=0.25 * (1 + i % 3))

    writer.edit = edit
    volume, _ = read_scan(writer.write(tmp_path / "scan"))
    assert volume.hu.dtype == np.float32
    assert np.abs(volume.hu - writer.hu).max() <= 0.375


@pytest.mark.parametrize(("few", "refused"), [(1, True), (4, True), (5, False), (40, False)])
def test_a_few_slices_in_a_scale_of_their_own_are_refused(synthetic, tmp_path, few, refused):
    """A changed digit of an intercept looks like this, and 40 HU more in a slice cannot be seen in its pixels."""

    def edit(i, dataset):
        if i < few:
            dataset.RescaleIntercept = -1064 if few < 40 else -1024 - i
            dataset.PixelData = (np.frombuffer(dataset.PixelData, "<u2") + (40 if few < 40 else i)).tobytes()

    writer = synthetic.SeriesWriter(edit=edit)
    folder = writer.write(tmp_path / "scan")
    if refused:
        with pytest.raises(PlausibilityError, match=f"are 1 and -1024 but for {few} of 40 slices"):
            read_scan(folder)
    else:
        volume, report = read_scan(folder)
        np.testing.assert_array_equal(volume.hu, writer.hu)
        assert any(repair.startswith("rescale-per-slice") for repair in report.repairs)


def test_scanner_padding_becomes_air_and_is_recorded(synthetic, tmp_path):
    """-2000 below, or the largest number above: both fill the corners outside the scanner's circle."""
    for signed, padding in [(True, -2000), (False, 65535)]:
        writer = synthetic.SeriesWriter(intercept=0.0 if signed else -1024.0)

        def edit(i, dataset, signed=signed, padding=padding, writer=writer):
            stored = writer.hu[i].astype(int) - int(writer.intercept)
            stored[:5, :5] = padding
            dataset.PixelRepresentation, dataset.PixelData = int(signed), (stored % 65536).astype("<u2").tobytes()
            dataset["PixelPaddingValue"] = pydicom.DataElement(0x00280120, "SS" if signed else "US", padding)

        writer.edit = edit
        volume, report = read_scan(writer.write(tmp_path / f"scan{padding}"))
        np.testing.assert_array_equal(volume.hu[:, :5, :5], -1024)
        np.testing.assert_array_equal(volume.hu[:, 5:], writer.hu[:, 5:])
        assert report.repairs == ("padding: set to -1024 HU in 40 slices",)


@pytest.mark.parametrize(
    ("intercept", "stored", "hu"), [(-1024, 65535, 32767), (1000, 32767, 32767), (-1024, 0, -1024)]
)
def test_extreme_values_are_clipped_and_never_wrap_round(synthetic, tmp_path, intercept, stored, hu):
    dataset = synthetic.SeriesWriter(intercept=intercept).dataset(0)
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, intercept
    dataset.PixelData = np.full((64, 64), stored, "<u2").tobytes()
    dataset.save_as(tmp_path / "slice", enforce_file_format=True)
    (header,) = read_header(tmp_path / "slice")
    plane = np.empty((64, 64), np.int16)
    HuReader([header]).read(0, plane)
    assert set(np.unique(plane)) == {hu}


@pytest.mark.parametrize(
    ("keyword", "value", "error", "reason"),
    [
        ("RescaleIntercept", None, PlausibilityError, "RescaleIntercept is missing"),
        ("RescaleSlope", None, PlausibilityError, "RescaleSlope or"),
        ("RescaleSlope", "nan", PlausibilityError, "not a finite number"),
        ("RescaleSlope", "inf", PlausibilityError, "not a finite number"),
        ("RescaleSlope", "1e30", PlausibilityError, "RescaleSlope outside"),
        ("RescaleSlope", "0", PlausibilityError, "RescaleSlope outside"),
        ("RescaleSlope", "-1", PlausibilityError, "RescaleSlope outside"),
        ("RescaleIntercept", "1e30", PlausibilityError, "RescaleIntercept outside"),
        ("RescaleIntercept", "1_000", PlausibilityError, "missing or not"),
        ("PhotometricInterpretation", "RGB", ScanReadError, "grey"),
        ("NumberOfFrames", "3", ScanReadError, "Several frames"),
        ("PixelData", None, ScanReadError, "pixel data are missing"),
    ],
)
def test_one_slice_that_cannot_be_hu_refuses_the_series(synthetic, tmp_path, keyword, value, error, reason):
    def edit(i, dataset):
        if i != 11:
            return
        if value is None:
            delattr(dataset, keyword)
        elif keyword not in dataset:
            setattr(dataset, keyword, value)
        else:
            dataset[keyword]._value = value  # past pydicom's own checks

    with pytest.raises(error, match=reason) as refusal:
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))
    assert "1 of 40 slices" in refusal.value.reason


@pytest.mark.parametrize("keep", [0.3, 0.99])
def test_truncated_files_are_refused(synthetic, tmp_path, keep):
    folder = synthetic.SeriesWriter().write(tmp_path / "scan")
    for path in sorted(folder.iterdir())[:3]:
        cut(path, keep)
    with pytest.raises(ScanReadError, match="Truncated pixel data in 3 of 40"):
        read_scan(folder)


def cut(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) - (1 - keep) * 8192)])


def test_truncated_compressed_data_are_refused(synthetic, tmp_path):
    """RLE: the chain of fragments does not reach its end."""
    from pydicom.uid import RLELossless

    def edit(i, dataset):
        dataset.compress(RLELossless, generate_instance_uid=False)

    writer = synthetic.SeriesWriter(edit=edit)
    folder = writer.write(tmp_path / "scan")
    np.testing.assert_array_equal(read_scan(folder)[0].hu, writer.hu)
    victim = sorted(folder.iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-500])
    with pytest.raises(ScanReadError, match="Truncated pixel data in 1 of 40"):
        read_scan(folder)


def test_a_decoder_that_panics_is_a_slice_that_cannot_be_decoded(synthetic, tmp_path):
    """RLE whose second segment begins before the first: the decoder's own error is no Exception of Python."""
    from pydicom.uid import RLELossless

    folder = synthetic.SeriesWriter(edit=lambda i, dataset: dataset.compress(RLELossless)).write(tmp_path / "scan")
    victim = sorted(folder.iterdir())[0]
    content = bytearray(victim.read_bytes())
    header = content.index((2).to_bytes(4, "little") + (64).to_bytes(4, "little"))
    content[header + 8 : header + 12] = (1).to_bytes(4, "little")
    victim.write_bytes(content)
    with pytest.raises(ScanReadError, match="cannot be decoded"):
        read_scan(folder)


def test_pixels_shorter_than_rows_and_columns_are_refused(synthetic, tmp_path):
    def edit(i, dataset):
        if i == 3:
            dataset.PixelData = dataset.PixelData[:-128]

    with pytest.raises(ScanReadError, match="Truncated"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


def test_files_cut_within_the_header_leave_a_gap_that_is_refused(synthetic, tmp_path):
    folder = synthetic.SeriesWriter().write(tmp_path / "scan")
    middle = next(
        path for path in folder.iterdir() if abs(float(pydicom.dcmread(path).ImagePositionPatient[2]) + 180) < 1
    )
    middle.write_bytes(middle.read_bytes()[:600])
    with pytest.raises(ScanError):
        read_scan(folder)
