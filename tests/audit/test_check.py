"""`check_cohort`: from a cohort folder to its page, whatever its scans are like."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pefuse.audit import check_cohort
from pefuse.audit.worry import KINDS, WORRYING
from pefuse.errors import UsageError
from pefuse.types import Cohort

MakeCohort = Callable[..., Cohort]


def studies_on(page: Path) -> list[tuple[str, str]]:
    """Group and study_id of each row, from the top."""
    return re.findall(r'data-group="([^"]+)" data-study="([^"]+)"', page.read_text(encoding="utf-8"))


def test_the_page_holds_each_study_the_most_worrying_first(
    make_cohort: MakeCohort, identifiers: tuple[str, ...]
) -> None:
    """Contrast is unknown in image files, which weighs 1; slices of 6 mm add 2, those of 2.9 mm nothing."""
    cohort = make_cohort({"none": "", "good": 2.9, "thick": 6.0, "cut": "broken"})
    summary = check_cohort(cohort, grid=32, jobs=1)
    text = summary.page.read_text(encoding="utf-8")

    assert summary.page == cohort.folder / "check.html"
    assert studies_on(summary.page) == [
        *(("quarantined", "cut"), ("worrying", "thick"), ("fine", "good"), ("no scan", "none"))
    ]
    assert (summary.studies, summary.quarantined, summary.worrying, summary.fine) == (4, 1, 1, 1)
    assert text.count("data:image/jpeg") == 2 * 6
    assert text.count("no volume") == 2
    assert [one for one in identifiers if one in text] == []


def test_a_file_that_is_no_page_is_not_overwritten(make_cohort: MakeCohort) -> None:
    cohort = make_cohort({"one": 5.0})
    studies = cohort.folder / "studies.csv"
    before = studies.read_bytes()
    with pytest.raises(UsageError, match="is no page of"):
        check_cohort(cohort, grid=32, jobs=1, out=studies)
    assert studies.read_bytes() == before


def test_what_a_killed_run_left_is_removed(make_cohort: MakeCohort) -> None:
    cohort = make_cohort({"one": 5.0})
    left = cohort.folder / ".partial-abc.html"
    left.write_text('<html><meta name="generator" content="pefuse check">', encoding="utf-8")
    check_cohort(cohort, grid=32, jobs=1)
    assert not left.exists()


def test_a_second_look_reads_no_scan_again(make_cohort: MakeCohort) -> None:
    cohort = make_cohort({"one": 5.0})
    first = check_cohort(cohort, grid=32, jobs=1)
    before = first.page.read_bytes()
    volume = cohort.folder / "prepared-32" / "volumes" / "one.npy"
    written = volume.stat().st_mtime_ns

    second = check_cohort(cohort, grid=32, jobs=1)

    assert volume.stat().st_mtime_ns == written
    assert second.page.read_bytes() == before


@pytest.mark.parametrize(("scan", "group"), [("", "no scan"), ("broken", "quarantined")])
def test_a_cohort_without_any_volume_has_a_page(make_cohort: MakeCohort, scan: str, group: str) -> None:
    summary = check_cohort(make_cohort({"b": scan, "a": scan}), grid=32, jobs=1)

    assert studies_on(summary.page) == [(group, "a"), (group, "b")]
    assert (summary.worrying, summary.fine) == (0, 0)


def test_progress_tells_of_every_step(make_cohort: MakeCohort) -> None:
    said: list[tuple[str, int, int]] = []
    check_cohort(make_cohort({"a": 5.0, "b": ""}), grid=32, jobs=1, progress=lambda *step: said.append(step))

    assert said[-3:] == [("scans measured", 1, 1), ("rows drawn", 1, 2), ("rows drawn", 2, 2)]


def test_a_folder_is_no_page(make_cohort: MakeCohort, tmp_path: Path) -> None:
    """It is refused before any scan is read."""
    cohort = make_cohort({"a": 5.0})

    with pytest.raises(UsageError, match="name a file"):
        check_cohort(cohort, out=tmp_path, grid=32)
    assert not (cohort.folder / "prepared-32").exists()


def test_the_document_lists_every_reason_with_its_weight() -> None:
    document = (Path(__file__).parents[2] / "docs" / "checking.md").read_text(encoding="utf-8")

    assert [kind.label for kind in KINDS.values() if f"| {kind.label} | {kind.weight:g} |" not in document] == []
    assert f"from {WORRYING:g} on" in document
