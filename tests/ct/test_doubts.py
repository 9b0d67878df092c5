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
