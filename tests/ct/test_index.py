"""The index: every file is told for what it is, no file stops it, and what is known is not read again."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pandas as pd
import pytest
from pydicom.dataset import Dataset

from pefuse import workers
from pefuse.ct import index, index_worker
from pefuse.ct.index import INDEX_COLUMNS, index_files
from pefuse.ct.index_worker import describe
from pefuse.errors import UsageError


@pytest.fixture
def tree(synthetic, tmp_path: Path) -> Path:
    """Three slices, and beside them what else an export holds."""
    folder = tmp_path / "tree"

    def identify(i: int, dataset: Dataset) -> None:
        dataset.AccessionNumber, dataset.StudyDate, dataset.StudyTime = "A1", "20180305", "143000"

    writer = synthetic.SeriesWriter(
        hu=synthetic.chest_hu((3, 16, 16)), study_uid="1.2.3", series_uid="1.2.3.4", edit=identify
    )
    writer.write(folder / "a")
    report = writer.dataset(0)
    report.SOPClassUID, report.Modality = "1.2.840.10008.5.1.4.1.1.88.67", "SR"
    del report.PixelData
    report.save_as(folder / "report", enforce_file_format=True)
    (folder / "readme.txt").write_text("no scan")
    (folder / "broken").write_bytes((folder / "a" / "0000").read_bytes()[:400])
    (folder / "DICOMDIR").write_bytes((folder / "report").read_bytes())
    return folder


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files that are read, in this process: starting another takes seconds."""
    names: list[str] = []

    def do(self: object, paths: list[str], *, limit_seconds: float) -> dict[str, object]:
        names.extend(os.path.basename(path) for path in paths)
        return {"files": [describe(Path(path)) for path in paths]}

    monkeypatch.setattr(workers.Worker, "do", do)
    return names


def test_each_file_has_a_row_that_says_what_it_is(tree: Path, tmp_path: Path) -> None:
    calls: list[tuple[str, int, int]] = []
    frame = index_files(tree, tmp_path / "index.parquet", jobs=1, progress=lambda *call: calls.append(call))

    assert tuple(frame.columns) == INDEX_COLUMNS
    rows = frame.set_index("path")
    assert rows["kind"].to_dict() == {
        "a/0000": "CT",
        "a/0001": "CT",
        "a/0002": "CT",
        "broken": rows.loc["broken", "kind"],
        "readme.txt": "not DICOM",
        "report": "DICOM of modality SR",
    }
    assert rows.loc["broken", "kind"] != "not DICOM"
    identity = ["1.2.3", "1.2.3.4", "P1", "A1", "20180305", "143000", "CT"]
    assert rows.loc["a/0001"].tolist()[3:] == identity
    assert rows.loc["a/0001", "size"] == (tree / "a" / "0001").stat().st_size
    assert (rows.loc["readme.txt"].iloc[3:] == "").all()
    assert calls[0] == ("files", 0, 6)
    assert calls[-1] == ("files", 6, 6)


def test_a_second_run_reads_only_what_changed(tree: Path, tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "index.parquet"
    first = index_files(tree, path, jobs=1)
    read.clear()

    pd.testing.assert_frame_equal(index_files(tree, path, jobs=1), first)
    assert read == []

    (tree / "readme.txt").write_text("another length")
    os.utime(tree / "report", ns=(1, 1))
    (tree / "a" / "0002").unlink()
    (tree / "new").write_bytes((tree / "a" / "0000").read_bytes())
    again = index_files(tree, path, jobs=1)

    assert sorted(read) == ["new", "readme.txt", "report"]
    assert list(again["path"]) == ["a/0000", "a/0001", "broken", "new", "readme.txt", "report"]
    read.clear()
    index_files(tree, path, jobs=1)
    assert read == []


def test_the_index_of_another_tree_is_not_believed(tree: Path, tmp_path: Path, read: list[str]) -> None:
    """Its files may have the same names, sizes and times."""
    path = tmp_path / "index.parquet"
    index_files(tree, path, jobs=1)
    tree.rename(tmp_path / "moved")
    read.clear()

    index_files(tmp_path / "moved", path, jobs=1)

    assert len(read) == 6


@pytest.mark.parametrize("content", [b"", b"PAR1 no more"])
def test_a_damaged_index_is_made_again(content: bytes, tree: Path, tmp_path: Path, read: list[str]) -> None:
    path = tmp_path / "index.parquet"
    path.write_bytes(content)

    assert len(index_files(tree, path, jobs=1)) == len(read) == 6


def test_a_run_that_is_killed_goes_on_where_it_was(
    tree: Path, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chunks of one file, parts of two: stopped at the fifth, four are known."""
    monkeypatch.setattr(index, "CHUNK_FILES", 1)
    monkeypatch.setattr(index, "PART_FILES", 2)
    path = tmp_path / "index.parquet"

    def stop(what: str, done: int, total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        index_files(tree, path, jobs=1, progress=stop)
    assert not path.exists()
    read.clear()
    frame = index_files(tree, path, jobs=1)

    assert len(read) == 2
    assert list(frame["path"]) == ["a/0000", "a/0001", "a/0002", "broken", "readme.txt", "report"]
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []
    read.clear()
    pd.testing.assert_frame_equal(index_files(tree, path, jobs=1), frame)
    assert read == []


def test_parts_left_beside_a_finished_index_are_taken_in(
    tree: Path, tmp_path: Path, read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after the last part and before the index was written."""
    monkeypatch.setattr(index, "PART_FILES", 1)
    path = tmp_path / "index.parquet"
    index_files(tree, path, jobs=1)
    (tree / "new").write_text("new")
    with monkeypatch.context() as patched:
        patched.setattr(index._Parts, "finish", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            index_files(tree, path, jobs=1)
    read.clear()

    assert len(index_files(tree, path, jobs=1)) == 7
    assert len(pd.read_parquet(path)) == 7
    assert read == []


def test_names_and_values_that_are_no_plain_text_do_no_harm(synthetic, tmp_path: Path, read: list[str]) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    dataset = synthetic.SeriesWriter(hu=synthetic.chest_hu((1, 16, 16))).dataset(0)
    dataset.PatientID = "M\u00fcller"
    dataset.save_as(tree / os.fsdecode(b"\xff\xfe"), enforce_file_format=True)
    (tree / "line\nbreak").write_bytes((tree / os.fsdecode(b"\xff\xfe")).read_bytes())

    frame = index_files(tree, tmp_path / "index.parquet", jobs=1)

    assert list(frame["path"]) == ["line\nbreak", os.fsdecode(b"\xff\xfe")]
    assert list(frame["kind"]) == ["a file with a line break in its name", "CT"]
    assert list(frame["study_uid"] != "") == [False, True]


def test_a_list_of_paths_may_take_the_place_of_a_folder(tree: Path, tmp_path: Path, read: list[str]) -> None:
    listed = tmp_path / "files.txt"
    listed.write_text(f"tree/a/0000\n{tree / 'report'}\ntree/gone\n")

    frame = index_files(listed, tmp_path / "index.parquet", jobs=1).set_index("path")

    assert frame["kind"].to_dict() == {
        "tree/a/0000": "CT",
        str(tree / "report"): "DICOM of modality SR",
        "tree/gone": "a file or folder that could not be read",
    }


def _crash_or_hang() -> None:
    """A worker that one file crashes and another hangs."""
    from pefuse.workers import serve

    def do(paths: list[str]) -> dict[str, object]:
        for path in paths:
            if path.endswith("broken"):
                os._exit(9)
            if path.endswith("report"):
                time.sleep(60)
        return {"files": [describe(Path(path)) for path in paths]}

    serve(lambda: do)


@pytest.mark.slow
def test_a_file_that_crashes_or_hangs_the_reader_costs_itself_alone(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is tried again: the disk may have been why."""
    path = tmp_path / "index.parquet"
    monkeypatch.setattr(index, "FILE_LIMIT_SECONDS", 8.0)
    start = workers.Worker.__init__

    def with_bad_worker(self: workers.Worker, main: str, **options: object) -> None:
        start(self, main, **options)  # type: ignore[arg-type]
        here = str(Path(__file__).parent)
        self._command[-1] = (
            f"import sys; sys.path.insert(0, {here!r}); import test_index; test_index._crash_or_hang()"
        )

    with monkeypatch.context() as patched:
        patched.setattr(workers.Worker, "__init__", with_bad_worker)
        kinds = index_files(tree, path, jobs=1).set_index("path")["kind"]

    assert kinds["broken"] == "a file that crashes the reader"
    assert kinds["report"] == "a file that takes too long to read"
    assert (kinds[["a/0000", "a/0001", "a/0002"]] == "CT").all()
    assert index_files(tree, path, jobs=1).set_index("path")["kind"]["report"] == "DICOM of modality SR"


@pytest.mark.slow
def test_a_header_that_unpacks_to_more_memory_than_allowed_costs_itself_alone(synthetic, tmp_path: Path) -> None:
    """A deflated file of 2 MB whose data set has 2 GiB: the worker's limit is 1 GiB beyond its start."""
    import zlib

    tree = tmp_path / "tree"
    tree.mkdir()
    dataset = synthetic.SeriesWriter(hu=synthetic.chest_hu((1, 16, 16))).dataset(0)
    dataset.save_as(tree / "good", enforce_file_format=True)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    dataset.save_as(tree / "bomb", enforce_file_format=True)
    content = (tree / "bomb").read_bytes()
    meta_end = 132 + 12 + int.from_bytes(content[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    zeros = bytes(1 << 24)
    bomb = b"".join(packer.compress(zeros) for _ in range(128)) + packer.flush()
    (tree / "bomb").write_bytes(content[:meta_end] + bomb)

    kinds = index_files(tree, tmp_path / "index.parquet", jobs=1).set_index("path")["kind"]

    assert kinds.to_dict() == {"bomb": "unreadable DICOM", "good": "CT"}


def test_a_value_longer_than_any_identifier_is_none(synthetic, tmp_path: Path) -> None:
    dataset = synthetic.SeriesWriter(hu=synthetic.chest_hu((1, 16, 16))).dataset(0)
    with index_worker.quiet_pydicom():
        dataset.PatientID = "x" * 129
        dataset.Modality = "MR SMITH"
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        dataset.save_as(tmp_path / "x", enforce_file_format=True)
        kind, *values = describe(tmp_path / "x")

    assert kind == "DICOM of modality unknown"
    assert values[2] == ""


@pytest.mark.parametrize("charset", ["ISO_IR 192", "ISO_IR 100", ""])
def test_identifiers_are_read_in_the_file_s_own_character_set(synthetic, tmp_path: Path, charset: str) -> None:
    """A list of studies is in UTF-8: the same name has to come out. Without a stated set it is Latin-1 here."""
    dataset = synthetic.SeriesWriter(patient="MÜLLER 7").dataset(0)
    dataset.SpecificCharacterSet = charset
    dataset.save_as(tmp_path / "x", enforce_file_format=True)
    _, *values = describe(tmp_path / "x")
    assert values[list(index_worker.HEADER_COLUMNS).index("patient_id")] == "MÜLLER 7"


def test_no_job_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="At least one job"):
        index_files(tmp_path, tmp_path / "index.parquet", jobs=0)
