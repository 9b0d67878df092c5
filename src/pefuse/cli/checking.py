"""The verb that looks before anything is trained: `check` a cohort."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pefuse.cli.options import CohortFolder, Debug, Jobs, Json
from pefuse.cli.output import print_json, print_lines
from pefuse.cli.progress import show_progress

__all__ = ["check"]


def check(
    cohort: CohortFolder,
    out: Annotated[Path | None, typer.Option(help="The page; by default COHORT/check.html.")] = None,
    grid: Annotated[int, typer.Option(min=16, max=512, help="Voxels along each side of the model's grid.")] = 128,
    record_only: Annotated[
        bool,
        typer.Option("--record-only", help="Look at studies and record alone: no scan is opened, no page made."),
    ] = False,
    jobs: Jobs = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at studies, record and scans before training: findings, and a page with every scan, the worst first.

    Exit status 0: clean; 2: warnings, or scans in quarantine; 1: refused.
    """
    from pefuse.audit import audit_record, check_cohort
    from pefuse.cohort import load_cohort

    loaded = load_cohort(cohort)
    if record_only:
        record = audit_record(loaded)
        clean, told = not (record.count("warning") or record.count("refused")), {}
    else:
        with show_progress() as progress:
            summary = check_cohort(loaded, out=out, grid=grid, jobs=jobs, progress=progress)
        record, clean = summary.record, summary.clean
        told = {
            "quarantined": summary.quarantined,
            "worrying": summary.worrying,
            "fine": summary.fine,
            "without_scan": summary.without_scan,
        }
    if json:
        page = {} if record_only else {"page": str(summary.page)}
        print_json(
            {**page, "studies": len(loaded.studies), **told, "findings": list(map(asdict, record.findings))}
        )
    else:
        print_lines(*(f"{finding.level}, {finding.topic}: {finding.text}" for finding in record.findings))
        if not record_only:
            said = ", ".join(f"{count} {group.replace('_', ' ')}" for group, count in told.items())
            print_lines(f"{summary.page}: {summary.studies} studies, {said}.")
    if record.count("refused"):
        raise typer.Exit(1)
    if not clean:
        raise typer.Exit(2)
