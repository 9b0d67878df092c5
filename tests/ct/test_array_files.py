"""Bare arrays: what they do not say of themselves has to be stated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pefuse.ct import read_scan
from pefuse.ct.rules import ArrayRules, ScanRules, load_rules
from pefuse.errors import GeometryError, PlausibilityError, ScanReadError, UsageError

SPACING = (6.0, 6.0, 6.0)


def rules(**more: object) -> ScanRules:
    return ScanRules(arrays=ArrayRules.model_validate({"spacing_mm": SPACING, **more}))


@pytest.mark.parametrize("first", ["head", "feet"])
def test_an_array_becomes_the_volume_with_its_head_last(synthetic, tmp_path: Path, first: str) -> None:
    hu = synthetic.chest_hu()  # its last slice is the nearest to the head
    np.save(tmp_path / "scan.npy", hu[::-1] if first == "head" else hu)
    volume, report = read_scan(tmp_path / "scan.npy", rules=rules(first_slice=first))
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.spacing_mm == SPACING
    assert volume.affine[2, 0] > 0
    assert report.source == "image file"


def test_an_intercept_is_added_in_a_type_that_holds_it(synthetic, tmp_path: Path) -> None:
    hu = synthetic.chest_hu().clip(-1024)
    np.save(tmp_path / "scan.npy", (hu.astype(np.int32) + 1024).astype(np.uint16))
    volume, _ = read_scan(tmp_path / "scan.npy", rules=rules(first_slice="feet", intercept=-1024))
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.hu.dtype == np.int16
    np.save(tmp_path / "scan.npy", hu.astype(np.float64) - 0.5)
    volume, _ = read_scan(tmp_path / "scan.npy", rules=rules(first_slice="feet", intercept=0.5))
    np.testing.assert_array_equal(volume.hu, hu)
    assert volume.hu.dtype == np.float32


def test_without_a_stated_spacing_it_is_refused(synthetic, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", synthetic.chest_hu())
    with pytest.raises(GeometryError, match="does not say its spacing") as error:
        read_scan(tmp_path / "scan.npy")
    assert "arrays: {spacing_mm" in error.value.remedy


def test_stored_values_taken_for_hu_are_refused_as_no_chest(synthetic, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", synthetic.chest_hu().astype(np.int32) + 1024)
    with pytest.raises(PlausibilityError):
        read_scan(tmp_path / "scan.npy", rules=rules())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda path, hu: np.save(path, hu[0]), ScanReadError, "2 dimensions"),
        (lambda path, hu: np.save(path, hu[None]), ScanReadError, "4 dimensions"),
        (
            lambda path, hu: np.save(path, np.array([{"a": 1}], dtype=object)),
            ScanReadError,
            "no whole NumPy array",
        ),
        (lambda path, hu: np.save(path, hu.astype(str)), ScanReadError, "no plain numbers"),
        (lambda path, hu: np.save(path, hu > 0), ScanReadError, "no plain numbers"),
        (lambda path, hu: path.write_bytes(b""), ScanReadError, "no whole NumPy array"),
        (lambda path, hu: path.write_bytes(b"\x93NUMPY\x01\x00"), ScanReadError, "no whole NumPy array"),
        (lambda path, hu: np.save(path, np.full(hu.shape, np.nan)), PlausibilityError, "not finite"),
    ],
)
def test_what_is_no_array_of_a_scan_is_refused(synthetic, tmp_path: Path, make, error, message) -> None:
    make(tmp_path / "scan.npy", synthetic.chest_hu())
    with pytest.raises(error, match=message):
        read_scan(tmp_path / "scan.npy", rules=rules())


def test_a_file_cut_short_is_refused(synthetic, tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", synthetic.chest_hu())
    whole = (tmp_path / "scan.npy").read_bytes()
    (tmp_path / "scan.npy").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ScanReadError, match="no whole NumPy array"):
        read_scan(tmp_path / "scan.npy", rules=rules())


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("arrays: {spacing_mm: [1, 1]}", "arrays.spacing_mm"),
        ("arrays: {spacing_mm: [0, 1, 1]}", "arrays.spacing_mm.0"),
        ("arrays: {spacing_mm: [1, 1, 1], first_slice: top}", "arrays.first_slice"),
        ("arrays: {spacing: [1, 1, 1]}", "arrays"),
    ],
)
def test_rules_that_are_none_are_refused(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    with pytest.raises(UsageError, match=where):
        load_rules(tmp_path / "rules.yaml")
