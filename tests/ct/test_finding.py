"""Which files belong to a scan, from a folder or a list, and what changes its fingerprint."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from pefuse.ct import ScanRules, read_scan
from pefuse.ct.finding import find_files, is_file_list, listed_names, scan_files
from pefuse.ct.scan import plan_scan
from pefuse.ct.signature import source_signature
from pefuse.ct.worker import Task, prepare_study
from pefuse.errors import ScanAccessError, ScanReadError

from .synthetic import SeriesWriter


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def listing(path: Path, *names: str | bytes) -> Path:
    path.write_bytes(b"\n".join(os.fsencode(name) for name in names) + b"\n")
    return path


def test_files_come_sorted_without_dicomdir_and_hidden_or_linked_folders(tmp_path: Path) -> None:
    make(tmp_path, "b/2", "b/10", "a", "DICOMDIR", "b/DicomDir", ".hidden", ".git/x")
    (tmp_path / "linked").symlink_to(tmp_path / "b")
    os.mkfifo(tmp_path / "pipe")

    assert [str(file.relative_to(tmp_path)) for file in find_files(tmp_path)] == [".hidden", "a", "b/10", "b/2"]
    assert list(scan_files(tmp_path)) == list(find_files(tmp_path))


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the system does not list; tests may run as root, whom no rights stop."""
    folder, scandir = tmp_path / "scan" / "locked", os.scandir
    make(folder, "slice")

    def refuse(path: Path) -> Any:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "smith")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return folder


def test_a_folder_that_may_not_be_looked_into_comes_itself(tmp_path: Path, locked: Path) -> None:
    make(tmp_path / "scan", "slice")
    assert list(find_files(tmp_path / "scan")) == [locked, tmp_path / "scan" / "slice"]


def test_a_scan_of_which_a_part_may_not_be_read_is_refused_and_tried_again(tmp_path: Path, locked: Path) -> None:
    """What lies there may be the scan's last slices."""
    SeriesWriter().write(tmp_path / "scan")
    with pytest.raises(ScanAccessError, match="1 files or folders of the scan could not be read"):
        read_scan(tmp_path / "scan")
    scratch = str(tmp_path)
    task = Task(
        scan=str(tmp_path / "scan"),
        scratch=scratch,
        volume=f"{scratch}/v.npy",
        record=f"{scratch}/r.json",
        signature=source_signature(tmp_path / "scan"),
        grid=24,
        field_of_view="whole",
        rules=ScanRules(),
    )
    record = prepare_study(task)
    assert record.refusal is not None
    assert (record.refusal.step, record.final) == ("access", False)


def test_a_list_names_files_relative_to_itself_or_absolute(tmp_path: Path) -> None:
    """Windows line ends, a byte order mark, blank lines, a doubled line and a DICOMDIR do no harm."""
    make(tmp_path, "flat/1", "flat/2", "scans/own", "flat/DICOMDIR")
    path = tmp_path / "scans" / "s1.files"
    lines = ["../flat/1\r", "", str(tmp_path / "flat" / "2"), "own", "own", "../flat/DICOMDIR"]
    path.write_bytes(b"\xef\xbb\xbf" + "\n".join(lines).encode())

    assert is_file_list(path)
    assert [file.read_bytes() for file in scan_files(path)] == [b"flat/1", b"flat/2", b"scans/own"]


def test_names_that_are_no_text_are_found(tmp_path: Path) -> None:
    """Latin-1 from an old disk, and a character that other readers take for the end of a line."""
    names = [b"sl\xe9ice", "one\u2028two".encode(), b"with space "]
    for name in names:
        (tmp_path / os.fsdecode(name)).write_bytes(name)

    files = scan_files(listing(tmp_path / "s.files", *names))

    assert [file.read_bytes() for file in files] == names


def test_files_that_are_gone_are_counted_and_refuse_the_study(tmp_path: Path) -> None:
    make(tmp_path, "1")
    path = listing(tmp_path / "s.files", "1", "smith_2", "smith_3", "nul\0")

    with pytest.raises(ScanReadError, match="3 of the 4 files that the study's list names are gone") as caught:
        scan_files(path)
    assert "smith" not in str(caught.value)
    assert isinstance(plan_scan(path).refusal, ScanReadError)


def test_an_empty_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanReadError, match="names none"):
        scan_files(listing(tmp_path / "s.files", "", "  "))


def test_a_list_that_is_not_there_is_no_list(tmp_path: Path) -> None:
    assert not is_file_list(tmp_path / "s.files")
    with pytest.raises(ScanReadError, match="cannot be read"):
        listed_names(tmp_path / "s.files")


def test_the_fingerprint_changes_with_what_is_listed(tmp_path: Path) -> None:
    make(tmp_path, "1", "2")
    path = listing(tmp_path / "s.files", "1", "2")
    seen = [source_signature(path)]
    assert source_signature(path) == seen[0]

    (tmp_path / "2").write_bytes(b"rewritten")
    seen.append(source_signature(path))
    (tmp_path / "2").unlink()
    seen.append(source_signature(path))
    seen.append(source_signature(listing(path, "1")))
    make(tmp_path, "3")
    seen.append(source_signature(listing(path, "1", "3")))
    make(tmp_path, "never listed")

    assert len(set(seen)) == 5
    assert source_signature(path) == seen[-1]


def test_a_scan_is_read_from_a_list_among_files_of_other_studies(tmp_path: Path, synthetic) -> None:
    flat = tmp_path / "flat"
    synthetic.SeriesWriter().write(flat, prefix="a")
    synthetic.SeriesWriter(hu=synthetic.chest_hu(seed=1), patient="P2").write(flat, prefix="b")
    path = listing(tmp_path / "s.files", *(f"flat/{file.name}" for file in sorted(flat.glob("a*"))))

    volume, _ = read_scan(path)
    expected, _ = read_scan(synthetic.SeriesWriter().write(tmp_path / "alone"))

    assert (volume.hu == expected.hu).all()
