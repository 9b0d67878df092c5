"""No fault of the corpus becomes a silently wrong volume, and what can be right is right."""

from __future__ import annotations

import json

import numpy as np
import pydicom
import pytest

from pefuse.ct import read_scan
from pefuse.errors import ScanError

from .faults import FAULTS, SHAPE, Fault, chest_hu, chest_truth, uid
from .verdicts import verdict

# What should be right and may be refused until its repair is in.
AWAITING: frozenset[str] = frozenset()

# What is silently wrong today; a fault that is mended makes its test fail until it leaves this list.
WRONG_TODAY: frozenset[str] = frozenset()

IDENTIFIERS = ("SECRET", "19500101", "P1", "P2", uid("study"), uid("another study"), uid("chest"), uid("frame"))


def case(fault: Fault):
    marks = [pytest.mark.xfail(strict=True, raises=AssertionError)] if fault.name in WRONG_TODAY else []
    return pytest.param(fault, id=fault.name, marks=marks)


@pytest.mark.parametrize("fault", [case(fault) for fault in FAULTS.values()])
def test_no_fault_is_silently_wrong(fault: Fault, tmp_path):
    truths = fault.write(tmp_path / "a-secret-place")
    try:
        volume, report = read_scan(tmp_path / "a-secret-place")
    except ScanError as refusal:
        assert not fault.recoverable or fault.name in AWAITING
        said = str(refusal)
    else:
        assert verdict(volume.hu, volume.affine, truths) == "right"
        said = json.dumps(report.as_json())
    assert not [text for text in (*IDENTIFIERS, "secret-place") if text in said]


def test_the_corpus_is_as_large_as_we_say():
    assert len(FAULTS) >= 80
    assert len({fault.summary for fault in FAULTS.values()}) == len(FAULTS)
    assert set(FAULTS) >= WRONG_TODAY | AWAITING


def test_the_same_fault_gives_the_same_files(tmp_path):
    """Byte by byte: a table of verdicts can be made again."""
    contents = []
    for name in ("first", "second"):
        FAULTS["two-patients"].write(tmp_path / name)
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]


def stretched(affine, axis, share):
    affine = affine.copy()
    affine[:3, axis] *= share
    return affine


def shifted(affine, mm):
    affine = affine.copy()
    affine[:3, 3] += mm
    return affine


def test_a_verdict_is_right_whatever_the_order_of_axes():
    """Turned and flipped together with its affine, the volume is the same."""
    hu, affine = chest_hu(), chest_truth().affine
    assert verdict(hu, affine, [chest_truth()]) == "right"
    turned = affine[:, [2, 0, 1, 3]].copy()
    turned[:, 3] += turned[:, 0] * (SHAPE[2] - 1)
    turned[:, 0] *= -1
    assert verdict(hu.transpose(2, 0, 1)[::-1], turned, [chest_truth()]) == "right"


WRONG = {
    "mirrored": lambda hu, affine: (hu[:, :, ::-1], affine),
    "upside down": lambda hu, affine: (hu[::-1], affine),
    "moved by 1.4 mm along the body": lambda hu, affine: (hu, shifted(affine, (0, 0, 1.4))),
    "moved by 2 mm to the left": lambda hu, affine: (hu, shifted(affine, (2, 0, 0))),
    "two gaps of 60 lost": lambda hu, affine: (hu, stretched(affine, 0, 58 / 60)),
    "one gap of 60 spread over all": lambda hu, affine: (
        hu[[*range(30), *range(31, 60)]],
        stretched(affine, 0, 59 / 58),
    ),
    "10 % too wide": lambda hu, affine: (hu, stretched(affine, 2, 1.1)),
    "cut off": lambda hu, affine: (hu[:-1], affine),
    "3 HU too bright": lambda hu, affine: (hu + 3, affine),
    "one slice dark": lambda hu, affine: (np.concatenate([hu[:30], hu[30:31] - 3, hu[31:]]), affine),
    "two slices exchanged": lambda hu, affine: (hu[[*range(30), 31, 30, *range(32, 60)]], affine),
    "not a number": lambda hu, affine: (np.where(hu == hu.max(), np.nan, hu), affine),
    "no geometry": lambda hu, affine: (hu, np.eye(4)),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_verdict_sees_what_is_wrong(what):
    volume, affine = WRONG[what](chest_hu(), chest_truth().affine)
    assert verdict(volume, affine, [chest_truth()]) == "silently wrong"


def test_a_verdict_sees_what_lies_between_the_right_planes():
    hu = np.repeat(chest_hu(), 2, axis=0)[:-1]
    hu[1::2] = chest_hu(x=10)[:-1]
    assert verdict(hu, stretched(chest_truth().affine, 0, 0.5), [chest_truth()]) == "silently wrong"


def stacked(folder):
    """The slices one above another, in the order of their places."""
    by_place = {}
    for path in folder.iterdir():
        dataset = pydicom.dcmread(path)
        by_place[float(dataset.ImagePositionPatient[2])] = dataset.pixel_array.astype(float) - 1024
    return np.stack([by_place[place] for place in sorted(by_place)])


def test_a_verdict_sees_a_shear_left_in(tmp_path):
    """A tilted series stacked as if it were upright, which is what it looks like without its positions."""
    truths = FAULTS["gantry-tilt-12"].write(tmp_path / "scan")
    assert verdict(stacked(tmp_path / "scan"), chest_truth().affine, truths) == "silently wrong"


def test_a_verdict_sees_a_sheared_affine_whose_slices_lie_too_near(tmp_path):
    """The shear is there, but planes lie 3 cos 12 = 2.93 mm apart: 2 mm are lost over half the body."""
    truths = FAULTS["gantry-tilt-12"].write(tmp_path / "scan")
    affine = chest_truth().affine.copy()
    affine[:3, 1] = 6.0 * np.array([0, np.cos(np.radians(12)), -np.sin(np.radians(12))])
    volume = stacked(tmp_path / "scan")
    assert verdict(volume, affine, truths) == "right"
    assert verdict(volume, stretched(affine, 0, np.cos(np.radians(12))), truths) == "silently wrong"
