"""A folder that cannot be made is told in words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pefuse.errors import StorageError
from pefuse.storage import make_folder, write_text


def test_a_folder_below_a_file_is_refused(tmp_path):
    write_text(tmp_path / "file", "text")
    with pytest.raises(StorageError, match="A file stands where a folder is needed"):
        make_folder(tmp_path / "file" / "folder")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="/proc is Linux's")
def test_a_place_that_takes_no_folders_is_refused():
    with pytest.raises(StorageError, match="name another output folder"):
        write_text(Path("/proc/none/file"), "text")
