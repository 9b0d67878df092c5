"""From nothing to a report in Python: simulate a small cohort, compare models on it, look at the result.

python examples/from_python.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import pefuse


def main(folder: Path) -> None:
    cohort_folder = folder / "cohort"
    if not cohort_folder.exists():
        config = pefuse.SimulationConfig(patients=40, prevalence=0.3, seed=1)
        pefuse.simulate_cohort(cohort_folder, config=config)
    cohort = pefuse.load_cohort(cohort_folder)
    print(f"{len(cohort.studies)} simulated studies, {int(cohort.studies['label'].sum())} deaths within 30 days")

    # Few folds and epochs: this shows how it is done, not what the models can do.
    run = pefuse.compare(
        cohort,
        ["xgboost", "intermediate-sanet"],
        out=folder / "run",
        preset="demo",
        settings={"folds": 2, "sanet.loop.epochs": 3, "tabnet.loop.epochs": 10, "fusion.loop.epochs": 10},
    )
    print(run.predictions.table.groupby(["model", "split"]).size())
    print(pefuse.evaluate(run.predictions).round(2))

    pefuse.build_report(run.folder)
    print(f"Report: {folder / 'run' / 'report.html'}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "from-python"))
