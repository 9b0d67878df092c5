"""Archives: honest ones are unpacked and removed again, those made to do harm are refused and do none."""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pefuse.ct import read_scan, unpacking
from pefuse.ct.unpacking import UnpackingLimits, is_archive, opened, unpack, unpack_once
from pefuse.errors import ScanReadError

TAR_MODES = {".tar": "w", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
BLANK_MIB = 8


@pytest.fixture
def into(tmp_path: Path) -> Path:
    folder = tmp_path / "inside" / "into"
    folder.mkdir(parents=True)
    return folder


def zipped(path: Path, *entries: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return path


def tarred(path: Path, *entries: tuple[str, bytes], **special: object) -> Path:
    """A tar of files; with `special`, the attributes of one more entry."""
    mode = next(mode for suffix, mode in TAR_MODES.items() if path.name.endswith(suffix))
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in entries:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        if special:
            entry = tarfile.TarInfo("special")
            for name, value in special.items():
                setattr(entry, name, value)
            archive.addfile(entry)
    return path


def packed(path: Path, *entries: tuple[str, bytes]) -> Path:
    return (zipped if path.suffix == ".zip" else tarred)(path, *entries)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def refusal(archive: Path, into: Path, limits: UnpackingLimits = unpacking.WHOLE_TREE) -> str:
    """Why the archive is refused; whatever it held, nothing may lie outside of the folder."""
    before = {path for path in into.parents[1].rglob("*") if into not in path.parents}
    with pytest.raises(ScanReadError) as caught:
        unpack(archive, into, limits=limits)
    assert {path for path in into.parents[1].rglob("*") if into not in path.parents} == before
    assert archive.name not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("suffix", [".zip", *TAR_MODES])
def test_an_honest_archive_gives_its_files_back(suffix: str, tmp_path: Path, into: Path) -> None:
    """Nested folders, an empty file, and more than one read's worth of bytes."""
    files = {"a/b/1": bytes(range(256)) * 4096, "a/2": b"", "3": b"three"}
    archive = packed(tmp_path / f"export{suffix}", *files.items())

    unpack(archive, into)

    assert is_archive(archive)
    assert contents(into) == files


def test_an_archive_inside_is_a_file_like_others(tmp_path: Path, into: Path) -> None:
    inner = zipped(tmp_path / "inner.zip", ("x", b"x")).read_bytes()

    unpack(zipped(tmp_path / "outer.zip", ("inner.zip", inner)), into)

    assert contents(into) == {"inner.zip": inner}


def test_backslashes_of_older_windows_zips_are_folders(tmp_path: Path, into: Path) -> None:
    unpack(zipped(tmp_path / "a.zip", ("study\\", b""), ("study\\series\\1", b"x")), into)

    assert contents(into) == {"study/series/1": b"x"}


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
@pytest.mark.parametrize("name", ["../x", "a/../../x", "/tmp/x", "..\\x", "a\\..\\..\\x", "C:\\x", "c:x"])
def test_a_path_that_leads_out_refuses_the_archive(suffix: str, name: str, tmp_path: Path, into: Path) -> None:
    archive = packed(tmp_path / f"a{suffix}", ("good", b"x"), (name, b"bad"))

    assert "leads out" in refusal(archive, into)


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_in_a_tar_refuse_it(kind: bytes, tmp_path: Path, into: Path) -> None:
    archive = tarred(tmp_path / "a.tar", ("good", b"x"), type=kind, linkname="good")

    assert "a link or a device" in refusal(archive, into)


def test_a_link_in_a_zip_refuses_it(tmp_path: Path, into: Path) -> None:
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(entry, "/etc")

    assert "a link or a device" in refusal(tmp_path / "a.zip", into)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("suffix", [".zip", ".tar"])
@pytest.mark.parametrize("names", [("x", "x"), ("x", "x/y"), ("x/y", "x"), ("x", "./x")])
def test_nothing_is_overwritten(suffix: str, names: tuple[str, str], tmp_path: Path, into: Path) -> None:
    archive = packed(tmp_path / f"a{suffix}", (names[0], b"first"), (names[1], b"second"))

    assert "one name twice" in refusal(archive, into)
    assert list(contents(into).values()) == [b"first"]


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz", ".tar.bz2", ".tar.xz"])
def test_a_bomb_is_stopped_at_the_ratio(
    suffix: str, tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 MiB of zeros pack to some kB: no more than the 1 MiB allowed at any ratio reaches the disk."""
    monkeypatch.setattr(unpacking, "RATIO_FREE_BYTES", 1 << 20)
    archive = packed(tmp_path / f"a{suffix}", ("zeros", bytes(BLANK_MIB << 20)))

    assert "more than 1 MiB" in refusal(archive, into)
    assert sum(map(len, contents(into).values())) <= 1 << 20


def test_the_ratio_counts_all_entries_together(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "RATIO_FREE_BYTES", 1 << 20)
    archive = zipped(tmp_path / "a.zip", *((f"{i}", bytes(1 << 16)) for i in range(32)))

    assert "more than 1 MiB" in refusal(archive, into)


@pytest.mark.parametrize("suffix", [".zip", ".tar"])
def test_the_total_size_and_the_number_of_entries_are_limited(suffix: str, tmp_path: Path, into: Path) -> None:
    archive = packed(tmp_path / f"a{suffix}", *((f"{i}", bytes(1 << 20)) for i in range(4)))

    assert "more than 3 MiB" in refusal(archive, into, UnpackingLimits(entries=9, total_bytes=3 << 20))
    for file in into.iterdir():
        file.unlink()
    assert "more than 3 entries" in refusal(archive, into, UnpackingLimits(entries=3, total_bytes=1 << 30))


def test_a_zip_that_lies_about_a_size_gives_no_more_than_it_said(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 MiB that are declared as 10 bytes, in both places where a zip says so."""
    archive = zipped(tmp_path / "a.zip", ("zeros", bytes(BLANK_MIB << 20)))
    true, lie = struct.pack("<I", BLANK_MIB << 20), struct.pack("<I", 10)
    lying = archive.read_bytes()
    assert lying.count(true) == 2
    archive.write_bytes(lying.replace(true, lie))

    assert "damaged" in refusal(archive, into)
    assert sum(map(len, contents(into).values())) <= 10


def test_a_zip_with_an_endless_list_is_refused_before_it_is_read(
    tmp_path: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = zipped(tmp_path / "a.zip", *((f"{i:0200d}", b"") for i in range(20)))
    monkeypatch.setattr(zipfile, "ZipFile", lambda file: pytest.fail("the list was read"))

    assert "more than 10 entries" in refusal(archive, into, UnpackingLimits(entries=10, total_bytes=1 << 20))


def test_a_tar_with_an_absurd_header_is_refused_before_it_is_read(tmp_path: Path, into: Path) -> None:
    """An extended header of 8 MiB, which `tarfile` would read whole into memory."""
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("x")
        entry.pax_headers = {"comment": "x" * (BLANK_MIB << 20)}
        archive.addfile(entry)

    assert "absurd length" in refusal(tmp_path / "a.tar.gz", into)


def test_a_sparse_file_that_claims_terabytes_is_refused(tmp_path: Path, into: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as made:
        entry = tarfile.TarInfo("x")
        entry.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 43), "GNU.sparse.major": "0"}
        made.addfile(entry)

    assert "a link or a device" in refusal(archive, into)
    assert contents(into) == {}


def test_an_encrypted_zip_is_named_as_such(tmp_path: Path, into: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("x", b"x"))
    content = bytearray(archive.read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + flags] |= 1
    archive.write_bytes(content)

    assert refusal(archive, into) == "The archive is encrypted."


@pytest.mark.parametrize("suffix", [".zip", *TAR_MODES])
@pytest.mark.parametrize("harm", ["cut", "empty", "noise"])
def test_a_damaged_archive_is_refused(suffix: str, harm: str, tmp_path: Path, into: Path) -> None:
    content = bytes(range(256)) * 40
    archive = packed(tmp_path / f"a{suffix}", ("x", content))
    whole = archive.read_bytes()
    harmed = {"cut": whole[: len(whole) // 2], "empty": b"", "noise": b"\x00\xff" * 5000}[harm]
    archive.write_bytes(harmed)

    assert "damaged" in refusal(archive, into)


def test_an_archive_that_cannot_be_opened_costs_its_study_alone(tmp_path: Path, into: Path) -> None:
    assert "cannot be opened" in refusal(tmp_path / "gone.zip", into)


def test_opened_gives_a_folder_that_is_gone_afterwards_and_leaves_others_alone(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", ("x", b"x"))

    with opened(archive) as folder:
        assert contents(folder) == {"x": b"x"}
    assert not folder.exists()
    for other in (tmp_path, tmp_path / "a.nii.gz", tmp_path / "not_there.zip"):
        with opened(other) as same:
            assert same == other


def test_a_tree_is_unpacked_once_and_again_when_the_archive_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, into = tmp_path / "a.zip", tmp_path / "out" / "unpacked"
    calls: list[Path] = []
    monkeypatch.setattr(unpacking, "unpack", counting(unpacking.unpack, calls))
    unpack_once(zipped(archive, ("x", b"x")), into)
    (tmp_path / "out" / ".partial-unpacked-killed").mkdir()
    unpack_once(archive, into)

    assert len(calls) == 1

    unpack_once(zipped(archive, ("y", b"new")), into)

    assert {name: text for name, text in contents(into).items() if name[0] != "."} == {"y": b"new"}
    assert [path.name for path in into.parent.iterdir()] == ["unpacked"]


def test_a_tree_that_is_refused_leaves_nothing(tmp_path: Path) -> None:
    into = tmp_path / "out" / "unpacked"
    with pytest.raises(ScanReadError):
        unpack_once(zipped(tmp_path / "a.zip", ("x", b"x"), ("../y", b"y")), into)

    assert list(into.parent.iterdir()) == []


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_an_archive_is_read_as_its_folder_would_be(suffix: str, tmp_path: Path, synthetic) -> None:
    folder = synthetic.SeriesWriter().write(tmp_path / "scan")
    files = [(f"deep/{file.name}", file.read_bytes()) for file in folder.iterdir()]

    volume, report = read_scan(packed(tmp_path / f"scan{suffix}", *files))
    expected, _ = read_scan(folder)

    assert (volume.hu == expected.hu).all()
    assert report.source == "DICOM"


def counting(function: Callable[..., None], calls: list[Path]) -> Callable[..., None]:
    def counted(archive: Path, into: Path) -> None:
        calls.append(archive)
        function(archive, into)

    return counted
