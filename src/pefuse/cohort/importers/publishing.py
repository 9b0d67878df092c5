"""Put an imported cohort in its place: made aside and checked, then moved, so that no half of one is ever seen."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pefuse.cohort.folder import load_cohort
from pefuse.errors import CohortError
from pefuse.storage import disk_error, make_folder

__all__ = ["REPORT", "check_out", "published", "write_file_lists"]

REPORT = "import_report.json"
_PREFIX = ".partial-import-"
_HALF_WAY = (".", "index.parquet", "unpacked", "scan_rules.yaml")  # of `import dicom`, or of ours
_OF_THE_USER = ("cohort.yaml", "scan_rules.yaml")
_STUDIES = "studies.csv"
_COHORT_FILES = ("cohort.yaml", _STUDIES, "studies.parquet", "events.csv", "events.parquet", "codes.csv",
                 "features.csv", "scan_keys.csv", "scans")  # fmt: skip


def check_out(out: Path, source: str) -> None:
    """Refuse a folder that holds anything but an earlier import from `source`, or what an import leaves half-way.

    Raises:
        CohortError: it does.
    """
    if not any((out / name).exists() for name in _COHORT_FILES):
        if out.is_dir() and any(not path.name.startswith(_HALF_WAY) for path in out.iterdir()):
            raise CohortError("The output folder holds something else: name a new one.")
        return
    try:
        earlier = json.loads((out / REPORT).read_text(encoding="utf-8"))["source"]
    except (OSError, ValueError, KeyError, TypeError):
        earlier = None
    if earlier != source:
        raise CohortError("The output folder holds another cohort: name a new one, or remove it first.")


@contextmanager
def published(out: Path) -> Iterator[Path]:
    """Yield an empty folder to write a cohort to, which replaces the one in `out` when the block ends well.

    A cohort.yaml and scan_rules.yaml that are there already stay: the user may have changed them.

    Raises:
        CohortError: what was written is no cohort.
        StorageError: the disk is full, or the folder cannot be written.
    """
    make_folder(out)
    for leftover in out.glob(f"{_PREFIX}*"):
        shutil.rmtree(leftover, ignore_errors=True)
    aside = Path(tempfile.mkdtemp(dir=out, prefix=_PREFIX))
    try:
        yield aside
        for name in _OF_THE_USER:
            if (out / name).exists():
                shutil.copyfile(out / name, aside / name)
        load_cohort(aside)
        _move(aside, out)
    except OSError as error:
        mended = disk_error(error)
        if mended is None:
            raise
        raise mended from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        with suppress(OSError):
            out.rmdir()  # an empty folder is nothing to leave behind; one that holds anything stays


def _move(aside: Path, out: Path) -> None:
    """First the report, which says whose folder it is; studies.csv last: without it there is no cohort."""
    (out / _STUDIES).unlink(missing_ok=True)
    names = sorted(path.name for path in aside.iterdir())
    names.sort(key=lambda name: (name != REPORT, name == _STUDIES))
    old = aside / ".replaced"
    old.mkdir()
    for name in _COHORT_FILES:
        if (out / name).exists() and name not in names:
            os.replace(out / name, old / name)
    for name in names:
        if (out / name).is_dir():
            os.replace(out / name, old / name)
        os.replace(aside / name, out / name)


def write_file_lists(scans: Mapping[str, Sequence[Path]], folder: Path, *, final: Path) -> None:
    """`<study_id>.files`, the paths of a study's files, for each.

    Paths are relative where the files lie in the cohort folder, which may then be moved, and else absolute.

    Args:
        folder: where the lists are written; it will be moved to `final`, in the cohort folder.
    """
    if not scans:
        return
    make_folder(folder)
    folder.chmod(0o700)  # paths may name patients
    final = Path(os.path.abspath(final))
    for study_id, files in scans.items():
        paths = [os.path.abspath(file) for file in files]
        lines = "".join(f"{_from(final, path)}\n" for path in paths)
        (folder / f"{study_id}.files").write_bytes(os.fsencode(lines))


def _from(final: Path, path: str) -> str:
    inside = path.startswith(f"{final.parent}{os.sep}")
    return os.path.relpath(path, final) if inside else path
