"""Any value in any element that geometry or HU hang on: refused, recorded, or of no consequence."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pefuse.ct import read_scan
from pefuse.ct.headers import quiet_pydicom
from pefuse.errors import ScanError

from .test_fuzz import SHAPE, paths_in_order, same, told, write_clean

TEXTS = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
    "RescaleType", "GantryDetectorTilt", "SliceThickness", "NumberOfFrames", "ImageType", "ConvolutionKernel",
    "AcquisitionNumber", "SeriesNumber", "PatientID", "PatientBirthDate", "StudyInstanceUID", "SeriesInstanceUID",
    "FrameOfReferenceUID", "PhotometricInterpretation", "SeriesDescription", "ImagesInAcquisition",
)  # fmt: skip
NUMBERS = (
    "Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelPaddingValue",
)  # fmt: skip
ODD = ("", "1e400", "-0", "1,5", "0x10", "NaN", "inf", "-inf", "1_0", "1e-400", ".", "+", "9" * 60, " 1 ", "1\\2")
numbers_as_text = st.one_of(
    st.sampled_from(ODD),
    st.floats().map(str),
    st.floats(min_value=-10, max_value=10).map(str),
    st.integers().map(str),
    st.text(st.characters(codec="latin-1"), max_size=16),
)
values_as_text = st.lists(numbers_as_text, max_size=7).map("\\".join)
changes = st.one_of(
    st.tuples(st.sampled_from(TEXTS), values_as_text),
    st.tuples(st.sampled_from(NUMBERS), st.one_of(st.integers(0, 40), st.integers(0, 65535))),
)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean")
    write_clean(folder, 0)
    return paths_in_order(folder), read_scan(folder)


def with_change(paths: list[Path], folder: Path, which: set[int], change: tuple[str, object]) -> None:
    keyword, value = change
    for i, path in enumerate(paths):
        if i not in which:
            os.link(path, folder / path.name)
            continue
        dataset = pydicom.dcmread(path)
        if keyword not in dataset:
            dataset.add_new(
                keyword, "US" if isinstance(value, int) else pydicom.datadict.dictionary_VR(keyword), None
            )
        dataset[keyword]._value = value  # past pydicom's own checks, as a broken exporter would
        dataset.save_as(folder / path.name, enforce_file_format=True)


def read_changed(paths, which, change):
    """The volume and its report, or None where it is refused; any other error is a failure."""
    with TemporaryDirectory() as name, quiet_pydicom():
        with_change(paths, Path(name), which, change)
        try:
            return read_scan(Path(name))
        except ScanError:
            return None


EXAMPLES = int(os.environ.get("PEFUSE_HYPOTHESIS_EXAMPLES", "40"))
anything = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.slow
@anything
@given(change=changes, place=st.integers(0, SHAPE[0] - 1))
def test_one_slices_header_never_changes_the_volume_without_a_word(clean, change, place):
    paths, expected = clean
    found = read_changed(paths, {place}, change)
    assert found is None or same(found[0], expected[0]) or told(found[1]) != told(expected[1])


@pytest.mark.slow
@anything
@given(change=changes)
def test_a_header_that_is_odd_in_all_slices_is_refused_or_gives_a_finite_volume(clean, change):
    """Whether it is true cannot be known, where every slice says the same."""
    paths, _ = clean
    found = read_changed(paths, set(range(len(paths))), change)
    if found is not None:
        volume, _ = found
        assert np.isfinite(volume.affine).all()
        assert abs(np.linalg.det(volume.affine[:3, :3])) > 0
        assert np.isfinite(volume.hu).all()
