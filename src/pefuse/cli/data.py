"""The verbs that make data: `simulate` a cohort, `prepare` its scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pefuse.cli.options import CohortFolder, Debug, Jobs, Json, Seed
from pefuse.cli.output import print_json, print_lines
from pefuse.cli.progress import show_progress
from pefuse.errors import UsageError

__all__ = ["prepare", "simulate"]


def simulate(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the new cohort.", show_default=False)],
    patients: Annotated[int | None, typer.Option(min=1, help="Patients; 358 as in the paper.")] = None,
    prevalence: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Share that dies; 38/358.")] = None,
    test_patients: Annotated[int | None, typer.Option(min=0, help="Patients of the test year; 72 of 358.")] = None,
    matrix: Annotated[int | None, typer.Option(min=16, help="Rows and columns of a slice.")] = None,
    slices: Annotated[
        int | None, typer.Option(min=8, help="Slices of a scan; 40 or more, or some are too far apart.")
    ] = None,
    full_size: Annotated[bool, typer.Option("--full-size", help="Scans of 512×512×~300 at 0.7×0.7×1 mm.")] = False,
    shortcut: Annotated[
        str | None, typer.Option(metavar="site", help="Plant a mark that goes with death except in the test year.")
    ] = None,
    seed: Seed = None,
    jobs: Jobs = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a cohort whose truth is known: DICOM scans, a record, and beside them what no hospital has."""
    from pefuse.cohort import load_cohort
    from pefuse.cohort.simulate import FEWEST_SLICES, SimulationConfig, simulate_cohort

    given: dict[str, Any] = {
        "patients": patients,
        "prevalence": prevalence,
        "test_patients": test_patients,
        "matrix": matrix,
        "slices": slices,
        "full_size": full_size or None,
        "shortcut": shortcut,
        "seed": seed,
    }
    if full_size and (matrix is not None or slices is not None):
        raise UsageError(
            "--full-size sets the scans' size: leave out --matrix and --slices, or leave out --full-size."
        )
    config = SimulationConfig(**{name: value for name, value in given.items() if value is not None})
    with show_progress() as progress:
        simulate_cohort(out, config=config, jobs=jobs, progress=progress)
    studies = load_cohort(out).studies
    deaths = int(studies["label"].sum())
    if json:
        print_json({"cohort": str(out), "studies": len(studies), "deaths": deaths, "simulated": True})
    else:
        print_lines(f"{out}: a simulated cohort of {len(studies)} studies, {deaths} with death within 30 days.")
        if not full_size and config.slices < FEWEST_SLICES:
            print_lines(
                f"With {config.slices} slices a scan, those of larger people lie more than 10 mm apart: `prepare` "
                f"will put them in quarantine. {FEWEST_SLICES} or more are enough for all."
            )


def prepare(
    cohort: CohortFolder,
    out: Annotated[
        Path | None, typer.Option(help="Folder for them; by default in COHORT, named by grid and view.")
    ] = None,
    grid: Annotated[int, typer.Option(min=16, max=512, help="Voxels along each side of the model's grid.")] = 128,
    field_of_view: Annotated[
        str, typer.Option(metavar="whole|lungs", help="All of the scan, or the box around the lungs.")
    ] = "whole",
    series_rule: Annotated[
        Path | None,
        typer.Option(
            "--series-rule",
            metavar="FILE",
            help="YAML: series to prefer, repairs to forbid. Kept in COHORT as scan_rules.yaml.",
        ),
    ] = None,
    jobs: Jobs = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring the scans to the model's grid; a scan that cannot be right is put in quarantine, with the reason."""
    from pefuse.cohort import load_cohort
    from pefuse.ct import RULES_FILE, load_rules
    from pefuse.ct import prepare as prepare_scans
    from pefuse.storage import write_text

    if series_rule is not None:
        load_rules(series_rule)  # before anything is written
        write_text(cohort / RULES_FILE, series_rule.read_text(encoding="utf-8-sig"))
    with show_progress() as progress:
        scans = prepare_scans(
            load_cohort(cohort),
            out=out,
            grid=grid,
            field_of_view=field_of_view,  # type: ignore[arg-type]
            jobs=jobs,
            progress=progress,
        )
    prepared, quarantined = len(scans.available), len(scans.quarantine)
    if json:
        print_json({"prepared": prepared, "quarantined": quarantined, "folder": str(scans.folder)})
    else:
        if not prepared + quarantined:
            print_lines("The cohort has no scans: the column ct of studies.csv is empty.")
            return
        without = len(scans.table) - prepared - quarantined
        also = f"; {without} studies have no scan" if without else ""
        print_lines(f"{scans.folder}: {prepared} scans prepared, {quarantined} in quarantine{also}.")
        if quarantined:
            print_lines(f"Why, and what to do: {scans.folder / 'quarantine.csv'}")
