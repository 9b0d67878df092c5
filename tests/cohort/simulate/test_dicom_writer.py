"""A series as files: what was put in is read back, whatever the scanner's habits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pydicom
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from pefuse.cohort.simulate.dicom_writer import SCANNERS, Series, StudyHeader, choose_scanner, write_series


def study(scanner):
    return StudyHeader(
        study_id="case-1",
        patient_id=42,
        time=pd.Timestamp("2016-05-04 03:02:01"),
        sex="M",
        age_years=71.6,
        seed=9,
        site="north",
        scanner=scanner,
    )


def series(**changes):
    hu = np.random.default_rng(0).integers(-1024, 3071, (5, 6, 7)).astype(np.int16)
    given = {
        "number": 3,
        "description": "CTPA",
        "image_type": ("ORIGINAL", "PRIMARY", "AXIAL"),
        "kernel": "SOFT",
        "hu": hu,
        "first_mm": (-100.25, -90.5, 33.125),
        "along_row": (1.0, 0.0, 0.0),
        "along_column": (0.0, 1.0, 0.0),
        "step_mm": (0.0, 0.0, 4.83),
        "pixel_mm": (2.8359, 2.5),
        "thickness_mm": 4.83,
    }
    return Series(**(given | changes))


def read(folder):
    return sorted((pydicom.dcmread(f) for f in folder.iterdir()), key=lambda d: float(d.ImagePositionPatient[2]))


@pytest.mark.parametrize("scanner", SCANNERS, ids=lambda scanner: scanner.model)
def test_values_and_places_are_read_back(scanner, tmp_path):
    given = series()
    write_series(given, study(scanner), folder=tmp_path, names=["d", "b", "a", "e", "c"])
    images = read(tmp_path)

    for index, image in enumerate(images):
        hu = image.pixel_array.astype(int) * int(image.RescaleSlope) + int(image.RescaleIntercept)
        np.testing.assert_array_equal(hu, given.hu[index])
        np.testing.assert_allclose(image.ImagePositionPatient, [-100.25, -90.5, 33.125 + 4.83 * index], atol=1e-6)
        assert list(image.PixelSpacing) == [2.8359, 2.5]
        assert list(image.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    numbers = [image.InstanceNumber for image in images]
    assert numbers == ([5, 4, 3, 2, 1] if scanner.numbered_from_head else [1, 2, 3, 4, 5])


def test_headers_are_whole_and_identifiers_unique(tmp_path):
    write_series(series(), study(SCANNERS[0]), folder=tmp_path, names=list("abcde"))
    images = read(tmp_path)

    assert len({image.SOPInstanceUID for image in images}) == 5
    assert len({image.SeriesInstanceUID for image in images}) == 1
    for image in images:
        assert image.file_meta.MediaStorageSOPInstanceUID == image.SOPInstanceUID
        assert image.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert image.SOPClassUID == CTImageStorage
        assert (image.PatientID, image.PatientSex, image.PatientAge) == ("SIM0000042", "M", "071Y")
        assert (image.StudyDate, image.StudyTime) == ("20160504", "030201")
        assert image.ContrastBolusAgent
        tags = [element.tag for element in image]
        assert tags == sorted(tags)


def test_identifiers_of_other_series_and_studies_differ():
    one = study(SCANNERS[0])

    assert one.uid("series", 3) == study(SCANNERS[1]).uid("series", 3)
    assert one.uid("series", 3) != one.uid("series", 4)
    assert all(len(one.uid("instance", 3, index)) <= 64 for index in range(50))


def test_values_beyond_twelve_bits_are_cut_not_wrapped(tmp_path):
    hu = np.full((1, 4, 4), 5000, np.int16)
    hu[0, 0, 0] = -3000
    write_series(series(hu=hu), study(SCANNERS[0]), folder=tmp_path, names=["a"])
    image = read(tmp_path)[0]
    back = image.pixel_array.astype(int) + int(image.RescaleIntercept)

    assert back.max() == 3071
    assert back.min() == -1024


def test_a_site_keeps_to_its_two_scanners():
    north = {choose_scanner(site="north", seed=seed).model for seed in range(30)}
    anywhere = {choose_scanner(site="", seed=seed).model for seed in range(60)}

    assert len(north) == 2
    assert len(anywhere) == len(SCANNERS)


def test_scanners_differ_in_what_a_reader_must_heed():
    assert {scanner.intercept_hu for scanner in SCANNERS} == {0, -1024}
    assert {scanner.signed for scanner in SCANNERS} == {True, False}
    assert {scanner.numbered_from_head for scanner in SCANNERS} == {True, False}
    assert {scanner.patient_position for scanner in SCANNERS} == {"HFS", "FFS"}
