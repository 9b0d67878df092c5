"""Look at a cohort's scans: prepare them, weigh what is worrying, and draw them on one page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pefuse.audit.findings import collect_findings
from pefuse.audit.measures import Measures, measure
from pefuse.audit.page import PageHead, is_page, remove_partial_pages, write_page
from pefuse.audit.record_checks import RecordAudit, audit_record
from pefuse.audit.row import Row
from pefuse.audit.thumbnails import Thumbnail, draw_thumbnails
from pefuse.audit.worry import find_worries, usual_ranges
from pefuse.ct import PreparedScans, prepare
from pefuse.errors import UsageError
from pefuse.types import Cohort, Progress, Volume

__all__ = ["CheckSummary", "check_cohort"]


@dataclass(frozen=True, kw_only=True)
class CheckSummary:
    """The page that was written, and how many studies are of which group."""

    page: Path
    quarantined: int
    worrying: int
    fine: int
    without_scan: int
    record: RecordAudit

    @property
    def clean(self) -> bool:
        """Whether nothing needs a look: no scan in quarantine, no warning of the record."""
        return not (self.quarantined or self.record.count("warning") or self.record.count("refused"))

    @property
    def studies(self) -> int:
        return self.quarantined + self.worrying + self.fine + self.without_scan


def check_cohort(
    cohort: Cohort,
    *,
    out: Path | None = None,
    grid: int = 128,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> CheckSummary:
    """Look at a cohort's studies and record, and draw every scan, on one offline page, the most worrying first.

    Scans are prepared where they are not yet. Each volume is read twice, to compare it with the cohort and to draw
    it, so that no more than one is ever held.

    Args:
        out: the page; by default `check.html` in the cohort's folder.
        grid, jobs: as for `pefuse.ct.prepare`.
        progress: called with what is done, how many are, and of how many.

    Raises:
        UsageError: `out` is a folder or another file, or a grid or number of jobs that is not possible.
        CohortError: a study_id that cannot name a file.
        RecordError: the events cannot be read as the contract says.
        RunError: the prepared scans are damaged.
        StorageError: the disk is full or a folder cannot be written.
    """
    page = out or cohort.folder / "check.html"
    if page.is_dir():
        raise UsageError("The page's name is that of a folder: name a file, such as check.html.")
    if page.exists() and not is_page(page):
        raise UsageError("A file of the page's name is there, and is no page of `pefuse check`: name another one.")
    remove_partial_pages(page)
    record = audit_record(cohort)
    scans = prepare(cohort, grid=grid, jobs=jobs, progress=progress)
    rows = _rows(scans, progress)
    write_page(
        page,
        head=PageHead.of(
            rows, cohort=cohort.name, simulated=cohort.simulated, outcome=cohort.outcome, record=record
        ),
        rows=_drawn(scans, rows, progress),
    )
    groups = Counter(row.group for row in rows)
    return CheckSummary(
        page=page,
        quarantined=groups["quarantined"],
        worrying=groups["worrying"],
        fine=groups["fine"],
        without_scan=groups["no scan"],
        record=record,
    )


def _rows(scans: PreparedScans, progress: Progress | None) -> list[Row]:
    """All studies without their pictures, in the page's order."""
    findings = collect_findings(scans)
    measures = _measured(scans, progress)
    usual = usual_ranges([(study, measures[study.study_id]) for study in findings if study.study_id in measures])
    rows = [
        Row(study=study, measures=seen, worries=tuple(find_worries(study, seen, usual)))
        if (seen := measures.get(study.study_id))
        else Row(study=study)
        for study in findings
    ]
    return sorted(rows, key=lambda row: row.rank)


def _measured(scans: PreparedScans, progress: Progress | None) -> dict[str, Measures]:
    found = {}
    for done, study_id in enumerate(scans.available, start=1):
        found[study_id] = measure(_volume(scans, study_id))
        if progress is not None:
            progress("scans measured", done, len(scans.available))
    return found


def _drawn(
    scans: PreparedScans, rows: Sequence[Row], progress: Progress | None
) -> Iterator[tuple[Row, list[Thumbnail]]]:
    """The rows with their pictures, drawn as the page asks for them."""
    for done, row in enumerate(rows, start=1):
        if row.measures is None:
            yield row, []
        else:
            yield row, draw_thumbnails(_volume(scans, row.study.study_id), row.measures.planes)
        if progress is not None:
            progress("rows drawn", done, len(rows))


def _volume(scans: PreparedScans, study_id: str) -> Volume:
    return Volume(hu=scans.load([study_id])[0], affine=scans.affine(study_id))
