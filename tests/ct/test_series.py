"""Which series is taken, which is not, and why."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pefuse.ct import read_scan, read_to_grid, to_grid
from pefuse.ct.kinds import kernel_kind
from pefuse.errors import GeometryError, ScanError, ScanReadError, SeriesError


@pytest.fixture
def study(synthetic, tmp_path):
    """A function that adds a series to one study in `tmp_path`."""
    first = synthetic.SeriesWriter()

    def add(name, **options):
        common = {"study_uid": first.study_uid, "frame_uid": first.frame_uid}
        synthetic.SeriesWriter(**{**common, **options}).write(tmp_path / name)
        return tmp_path

    return add


def reasons(report):
    return {entry.slices: entry.reason for entry in report.entries if not entry.kept}


def with_type(*words):
    def edit(i, dataset):
        dataset.ImageType = list(words)

    return edit


def test_localizers_captures_projections_and_tracking_are_dropped_with_their_reason(synthetic, study):
    chest = synthetic.chest_hu
    study("chest", number=9)
    study("scout", hu=chest()[:2], number=1, edit=with_type("ORIGINAL", "PRIMARY", "LOCALIZER"))
    study("capture", hu=chest()[:30], edit=with_type("DERIVED", "SECONDARY", "AXIAL"))
    study("mip", hu=chest()[:31], edit=with_type("DERIVED", "PRIMARY", "AXIAL", "MIP"))
    folder = study("tracking", hu=chest()[:3], description="PreMonitoring")
    _, report = read_scan(folder)
    assert report.chosen is not None
    assert report.chosen.slices == 40
    found = reasons(report)
    assert "localizer" in found[2]
    assert "bolus tracking" in found[3]
    assert "secondary" in found[30]
    assert "projection" in found[31]


def test_a_coronal_reformat_is_dropped(synthetic, study):
    def edit(i, dataset):
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        dataset.ImagePositionPatient = [-190, -200 + 6 * i, 100]

    study("chest")
    _, report = read_scan(study("coronal", hu=synthetic.chest_hu()[:35], edit=edit))
    assert "not axial (coronal)" in reasons(report)[35]
    assert report.chosen is not None
    assert report.chosen.slices == 40


def test_a_localizer_inside_the_series_is_split_off(synthetic, tmp_path):
    """Even one that claims to be axial: its orientation tells."""
    writer = synthetic.SeriesWriter()
    folder = writer.write(tmp_path / "scan")
    dataset = writer.dataset(0)
    dataset.ImageOrientationPatient, dataset.ImagePositionPatient = [0, 1, 0, 0, 0, -1], [0, -200, 0]
    dataset.save_as(folder / "scout", enforce_file_format=True)
    volume, report = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, writer.hu)
    assert len(report.entries) == 2


@pytest.mark.parametrize(
    ("worse", "why"),
    [
        ({"contrast": "", "description": "Thorax nativ"}, "shows contrast"),
        ({"spacing_mm": (5.0, 6.0, 6.0)}, "slices of at most 3 mm"),
        ({"kernel": "Br64"}, "softer kernel"),
        ({"edit": with_type("DERIVED", "PRIMARY", "AXIAL")}, "original"),
        ({"hu": "half"}, "covers more"),
        ({"spacing_mm": (2.7, 6.0, 6.0)}, "thinner slices"),
    ],
)
def test_preferences(synthetic, study, worse, why):
    """The good series: 2.5 mm, contrast, soft kernel, original, 180 mm. The other lacks one thing but is first."""
    fine = synthetic.chest_hu((72, 64, 64))
    good = {"hu": fine, "spacing_mm": (2.5, 6.0, 6.0), "number": 7}
    if worse.get("hu") == "half":
        worse = {"hu": fine[:61]}
    study("b", **good)
    folder = study("a", **{**good, "number": 1, **worse})
    _, report = read_scan(folder)
    chosen, other = report.entries
    assert chosen.kept
    assert chosen.reason.startswith("kept")
    assert why in other.reason


def test_equal_series_are_decided_by_their_number(study):
    study("a", number=5)
    _, report = read_scan(study("b", number=4))
    assert "by its number" in report.entries[1].reason


def test_a_usable_series_is_taken_though_a_better_one_is_broken(synthetic, study):
    study("broken", skip=(20,), number=1)
    _, report = read_scan(study("whole", kernel="Br64", number=2))
    assert report.chosen is not None
    assert report.chosen.kernel == "sharp"
    assert "one gap" in report.entries[1].reason


def out_of_place(i, dataset):
    """Slice 20's pixels are air: it does not belong between its neighbours."""
    if i == 20:
        dataset.PixelData = np.full(64 * 64, 24, "<u2").tobytes()


def test_a_series_whose_pixels_are_wrong_gives_way_to_the_next(synthetic, study):
    study("broken", edit=out_of_place, number=1)
    good = synthetic.SeriesWriter(hu=synthetic.chest_hu(seed=3))
    folder = study("whole", kernel="Br64", number=2, hu=good.hu)
    volume, report = read_scan(folder)
    np.testing.assert_array_equal(volume.hu, good.hu)
    kept, refused = report.entries
    assert (kept.kept, kept.kernel) == (True, "sharp")
    assert (refused.kept, refused.kernel) == (False, "soft")
    assert "do not fit" in refused.reason
    assert report.warnings == (f"A series that came before the kept one was refused: {refused.reason}",)
    on_grid = read_to_grid(folder, grid=24)
    np.testing.assert_array_equal(on_grid.volume.hu, to_grid(volume, grid=24).hu)
    assert on_grid.report == report


def test_where_the_pixels_of_all_series_are_wrong_the_first_ones_reason_is_told(study):
    study("a", edit=out_of_place, number=1)
    study("b", edit=out_of_place, number=2)
    study("scout", edit=with_type("ORIGINAL", "PRIMARY", "LOCALIZER"), number=3)
    folder = study("gap", skip=(20,), number=4)
    with pytest.raises(GeometryError, match=r"None of 4 series is usable. The preferred: .* do not fit"):
        read_scan(folder)


def test_two_patients_are_refused(study, synthetic):
    study("a")
    with pytest.raises(SeriesError, match="2 different patient identifiers"):
        read_scan(study("b", patient="P2"))


def test_two_patients_in_one_series_are_refused(synthetic, tmp_path):
    def edit(i, dataset):
        if i == 5:
            dataset.PatientBirthDate = "19510101"

    with pytest.raises(SeriesError, match="2 different dates of birth"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


def test_two_studies_of_one_patient_are_refused(study):
    study("now")
    with pytest.raises(SeriesError, match="2 DICOM studies"):
        read_scan(study("before", study_uid="1.2.3"))


def test_deidentified_scans_without_identifiers_are_read(synthetic, tmp_path):
    def edit(i, dataset):
        for keyword in ("PatientID", "PatientBirthDate", "FrameOfReferenceUID", "SeriesDescription"):
            delattr(dataset, keyword)

    assert read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))[0].hu.shape == (40, 64, 64)


def test_a_folder_without_ct_is_refused_and_says_what_it_holds(synthetic, tmp_path):
    def edit(i, dataset):
        dataset.SOPClassUID, dataset.Modality = "1.2.840.10008.5.1.4.1.1.4", "MR"

    with pytest.raises(SeriesError, match="only 40 DICOM of modality MR"):
        read_scan(synthetic.SeriesWriter(edit=edit).write(tmp_path / "scan"))


def test_files_that_are_cut_within_their_header_are_told_from_other_modalities(synthetic, tmp_path):
    folder = synthetic.SeriesWriter().write(tmp_path / "scan")
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SeriesError, match="only 40 DICOM without a header, cut off perhaps"):
        read_scan(folder)


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ScanReadError, match="no DICOM file"):
        read_scan(tmp_path)


def test_a_path_that_does_not_exist_is_refused_without_being_named(tmp_path):
    with pytest.raises(ScanReadError, match="nothing at the scan's path") as refusal:
        read_scan(tmp_path / "smith_john")
    assert "smith" not in str(refusal.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "scan.txt").write_text("nothing")
    with pytest.raises(ScanReadError, match="single file and no NIfTI"):
        read_scan(tmp_path / "scan.txt")


def test_other_files_are_left_alone_and_counted(synthetic, tmp_path):
    """A DICOMDIR is not even counted: it is never opened. Files with hidden names may be slices."""
    folder = synthetic.SeriesWriter().write(tmp_path / "scan")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 64)
    (folder / ".hidden").write_bytes(b"x")
    (folder / "readme.txt").write_text("x")
    (folder / "half").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04\x00")
    _, report = read_scan(folder)
    assert report.other_files["not DICOM"] == 2
    assert sum(report.other_files.values()) == 3


def test_slices_with_hidden_names_are_read(synthetic, tmp_path):
    writer = synthetic.SeriesWriter()
    folder = writer.write(tmp_path / "scan")
    for path in sorted(folder.iterdir())[::7]:
        path.rename(folder / f".{path.name}")
    np.testing.assert_array_equal(read_scan(folder)[0].hu, writer.hu)


def test_a_report_is_json_and_names_nobody(synthetic, study):
    _, report = read_scan(study("chest", patient="SMITH-123"))
    text = json.dumps(report.as_json(), allow_nan=False)
    assert "SMITH" not in text
    assert "SECRET" not in text
    assert "1950" not in text
    assert "CTPA" not in text


def test_too_few_slices_are_refused(synthetic, tmp_path):
    writer = synthetic.SeriesWriter(hu=synthetic.chest_hu()[:9], spacing_mm=(20.0, 6.0, 6.0))
    with pytest.raises(ScanError, match="9 slice positions"):
        read_scan(writer.write(tmp_path / "scan"))


@pytest.mark.parametrize(
    ("kernel", "kind"),
    [
        ("Br40", "soft"), ("B30f", "soft"), ("Bv36d\\3", "soft"), ("B70f", "sharp"), ("Bl57", "sharp"),
        ("STANDARD", "soft"), ("LUNG", "sharp"), ("BONEPLUS", "sharp"), ("FC08", "soft"), ("FC52", "sharp"),
        ("YA", "soft"), ("", "unknown"), ("SOMETHING", "unknown"),
    ],
)  # fmt: skip
def test_kernels(kernel, kind):
    assert kernel_kind(kernel) == kind
