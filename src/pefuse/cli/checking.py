"""The verb that looks before anything is trained: `check` a cohort."""

from __future__ import annotations

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
    jobs: Jobs = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Draw every study's scan on one page to look at, the most worrying first; prepares what is not yet."""
    from pefuse.audit import check_cohort
    from pefuse.cohort import load_cohort

    with show_progress() as progress:
        summary = check_cohort(load_cohort(cohort), out=out, grid=grid, jobs=jobs, progress=progress)
    counts = {
        "quarantined": summary.quarantined,
        "worrying": summary.worrying,
        "fine": summary.fine,
        "without_scan": summary.without_scan,
    }
    if json:
        print_json({"page": str(summary.page), "studies": summary.studies, **counts})
    else:
        said = ", ".join(f"{count} {group.replace('_', ' ')}" for group, count in counts.items())
        print_lines(f"{summary.page}: {summary.studies} studies, {said}.")
