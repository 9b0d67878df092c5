"""The verb `demo`: the whole way of the data on a simulated cohort."""

from __future__ import annotations

import json as json_format
import time
from pathlib import Path
from typing import Annotated

import typer

from pefuse.cli.explaining import explain_if_possible, tell_unexplained
from pefuse.cli.learn import resolve
from pefuse.cli.options import Debug, Json
from pefuse.cli.progress import show_progress
from pefuse.cli.results import show_results
from pefuse.errors import UsageError
from pefuse.storage import write_json

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the simulated cohort and the results.")] = Path("demo"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of the cohort and of the training.")] = 0,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Simulate 358 patients, train and compare the models on them, and write the report: minutes on two cores.

    The models of Table 1 without those on Swin UNETR, which `pefuse compare` on this cohort adds. Run again, it
    goes on from what is finished.
    """
    from pefuse.cohort import load_cohort
    from pefuse.cohort.simulate import SimulationConfig, simulate_cohort
    from pefuse.report import build_report
    from pefuse.training import compare

    started_s = time.monotonic()
    claim_folder(out, seed)
    cohort_folder, run = out / "cohort", out / "run"
    config = resolve("demo", None, None, models=", ".join(demo_models()), seeds=[seed])
    with show_progress() as progress:
        if not (cohort_folder / "cohort.yaml").exists():
            # The demo's models see 32 voxels a side: finer scans would only take longer.
            simulation = SimulationConfig(seed=seed, matrix=96, slices=48)
            simulate_cohort(cohort_folder, config=simulation, progress=progress)
        compare(load_cohort(cohort_folder), out=run, config=config, progress=progress)
        unexplained = explain_if_possible(run, cohort_folder, progress=progress)
        build_report(run)
    show_results(run, json=json, seconds=time.monotonic() - started_s)
    tell_unexplained(unexplained)


def demo_models() -> list[str]:
    """Table 1 without what starts from Swin UNETR, whose encoder alone takes longer than all of these together."""
    from pefuse.models.zoo import TABLE_1, with_needs

    return [name for name in TABLE_1 if not any(row.base == "swin" for row in with_needs([name]))]


def claim_folder(out: Path, seed: int) -> None:
    """Note the seed in a new demo folder; refuse one that was begun with another."""
    note = out / "demo.json"
    if not note.exists():
        write_json(note, {"seed": seed})
        return
    begun = json_format.loads(note.read_text(encoding="utf-8"))["seed"]
    if begun != seed:
        raise UsageError(f"This folder holds the demo of seed {begun}: give another --out for seed {seed}.")
