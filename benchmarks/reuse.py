"""What is saved by training each encoder once a fold and seed, for every row of the tables that starts from it.

    python benchmarks/reuse.py [WORK] [--cohort COHORT] [--preset demo] [--folds 1] [--set NAME=VALUE ...]

Without a cohort, one is simulated as `pefuse demo` does. First all rows of Tables 1 and 3 in one run folder,
then each row in a folder of its own, where everything that it starts from is trained again. The same cells,
settings and cores; only the folders differ. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from pefuse.cohort import load_cohort
from pefuse.cohort.simulate import SimulationConfig, simulate_cohort
from pefuse.ct import prepare
from pefuse.machine import allowed_cores
from pefuse.training import RunConfig, compare, resolve_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", default=Path("bench/reuse"), help="its runs are made anew")
    parser.add_argument("--cohort", type=Path)
    parser.add_argument("--preset", default="demo")
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    config = resolve_config(
        options.preset, overrides=[*options.settings, f"folds={options.folds}", "ablations=true"]
    )
    cohort = options.cohort or options.work / "cohort"
    if not cohort.exists():
        simulate_cohort(cohort, config=SimulationConfig(matrix=96, slices=48))
    prepare(load_cohort(cohort), grid=config.scan.grid, field_of_view=config.scan.field_of_view)
    rows = config.all_models
    together = seconds(cohort, options.work / "together", config, models=rows)
    apart = sum(seconds(cohort, options.work / row, config, models=[row]) for row in rows)
    print(f"{len(rows)} rows, {options.folds} fold(s), preset {options.preset}, {allowed_cores()} cores, ", end="")
    print(f"{datetime.date.today().isoformat()}\n")
    print("| | seconds |\n|---|---|")
    print(f"| all rows in one run | {together:.0f} |\n| each row alone | {apart:.0f} |")
    print(f"\nSaved by reuse: {1 - together / apart:.0%} ({apart / together:.1f} times as fast).")


def seconds(cohort: Path, run: Path, config: RunConfig, *, models: Sequence[str]) -> float:
    """A run of these rows from nothing; the prepared scans are there already."""
    shutil.rmtree(run, ignore_errors=True)
    chosen = config.model_copy(update={"models": tuple(models), "ablations": False})
    started = time.perf_counter()
    compare(load_cohort(cohort), out=run, config=chosen)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
