"""What a person should look at, seen from headers."""

from __future__ import annotations

import pytest

from pefuse.ct import read_scan


def edit_all(**values):
    def edit(i, dataset):
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return edit


@pytest.mark.parametrize(("stated", "warned"), [(60, True), (40, False), (1, False)])
def test_fewer_images_than_the_scanner_states_are_told(synthetic, tmp_path, stated, warned):
    """An export that was cut off: what came is regular, covers 240 mm, and is not all of it."""
    writer = synthetic.SeriesWriter(edit=edit_all(ImagesInAcquisition=stated))
    _, report = read_scan(writer.write(tmp_path / "scan"))
    expected = (f"40 images are here, but the scanner states {stated} for the acquisition",)
    assert report.warnings == (expected if warned else ())


def test_loss_in_compression_is_told(synthetic, tmp_path):
    writer = synthetic.SeriesWriter(edit=edit_all(LossyImageCompression="01"))
    _, report = read_scan(writer.write(tmp_path / "scan"))
    assert report.warnings == ("40 slices were compressed with loss",)


def test_damaged_files_beside_the_slices_are_told(synthetic, tmp_path):
    """They may be the first slices: the rest is regular without them."""
    folder = synthetic.SeriesWriter(skip=(0, 1)).write(tmp_path / "scan")
    head = b"\0" * 128 + b"DICM"
    (folder / "half").write_bytes(head + b"\x02\x00\x00\x00UL\x04\x00")
    (folder / "empty").write_bytes(head)
    (folder / "note.txt").write_text("no DICOM at all")
    _, report = read_scan(folder)
    assert "2 files are damaged DICOM and were left out: an end of the scan may be missing" in report.warnings


def test_lungs_cut_off_at_an_end_are_told(synthetic, tmp_path):
    hu = synthetic.chest_hu()
    for name, planes, end in (("low", slice(12, 40), "lower"), ("high", slice(0, 28), "upper")):
        _, report = read_scan(synthetic.SeriesWriter(hu=hu[planes]).write(tmp_path / name))
        assert f"the lungs are cut off at the {end} end of the scan" in report.warnings, name
    _, report = read_scan(synthetic.SeriesWriter(hu=hu).write(tmp_path / "whole"))
    assert report.warnings == ()


@pytest.mark.parametrize(
    ("number", "warning"),
    [
        (lambda i: 31 + i, "InstanceNumbers run from 31 to 70: slices before them may be missing"),
        (lambda i: 1 + 2 * i, "InstanceNumbers go up by 2: the slices between may be missing"),
        (lambda i: 40 - i, ""),
        (lambda i: 7, ""),
    ],
)
def test_numbers_that_begin_in_the_middle_are_told(synthetic, tmp_path, number, warning):
    def edit(i, dataset):
        dataset.InstanceNumber = number(i)

    _, report = read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))
    assert report.warnings == ((warning,) if warning else ())
