"""How close the models come to the ideal: five simulated cohorts, 400 test patients each, preset demo.

    python benchmarks/simulated_cohorts.py WORK [--seeds 1,2,3,4,5] [--set NAME=VALUE ...]

WORK keeps cohorts and runs, so the script goes on where it stopped. Prints a Markdown table of test AUCs (of the
fold ensemble, as in Table 1) beside the ideal ones of the same test patients. Simulated data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from scipy.special import logit

from pefuse.cohort import load_cohort
from pefuse.cohort.simulate import SimulationConfig, simulate_cohort
from pefuse.evaluation import auroc
from pefuse.machine import allowed_cores
from pefuse.report import build_report, table1
from pefuse.training import RunConfig, compare, resolve_config

TEST_PATIENTS = 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--seeds", default="1,2,3,4,5", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    config = resolve_config("demo", overrides=options.settings)
    columns = {f"seed {seed}": one_cohort(options.work, seed, config) for seed in options.seeds}
    table = pd.DataFrame(columns)
    table.insert(0, "mean", table.mean(axis=1))
    table.insert(1, "SD", table.drop(columns="mean").std(axis=1))
    print(f"Test AUC, {TEST_PATIENTS} simulated test patients each; {allowed_cores()} cores.\n")
    print(markdown(table))


def one_cohort(work: Path, seed: int, config: RunConfig) -> pd.Series[float]:
    """Simulate, compare, and return each model's test AUC."""
    cohort, run = work / f"cohort{seed}", work / f"run{seed}"
    if not cohort.exists():
        simulate_cohort(cohort, config=SimulationConfig(seed=seed, test_patients=TEST_PATIENTS))
    compare(load_cohort(cohort), out=run, config=config)
    build_report(run)
    return pd.concat([table1(run).set_index("label")["auc"], fused_ideals(cohort)])


def fused_ideals(cohort: Path) -> pd.Series[float]:
    """What the ideal risks of scan and record would reach if they were only joined after the fact."""
    truth = pd.read_csv(cohort / "truth.csv", dtype={"study_id": str}).set_index("study_id")
    studies = load_cohort(cohort).studies
    test = studies.index[studies["year"] == studies["year"].max()]
    died = studies.loc[test, "label"].to_numpy()
    scan, record = (truth.loc[test, f"ideal_risk_{part}"].to_numpy() for part in ("ct", "ehr"))
    return pd.Series(
        {
            "Ideal risks averaged": auroc(died, (scan + record) / 2),
            "Ideal log-odds added": auroc(died, logit(scan) + logit(record)),
        }
    )


def markdown(table: pd.DataFrame) -> str:
    head = ["model", *table.columns]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |" for name, row in table.iterrows()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
