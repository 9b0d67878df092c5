"""How close the models come to the ideal, and which of the paper's claims hold: five simulated cohorts.

    python benchmarks/simulated_cohorts.py [WORK] [--ablations] [--seeds 1,2,3,4,5] [--set NAME=VALUE ...]

Each cohort has the paper's 286 studies before the test year and 400 test studies. WORK keeps cohorts and runs,
so the script goes on where it stopped. Prints a Markdown table of test AUCs (of the fold ensemble, as in Table
1) beside the ideal ones of the same test patients, and with --ablations each claim of the paper with the paired
difference behind it. Simulated data.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats
from scipy.special import logit

from pefuse.cohort import load_cohort
from pefuse.cohort.simulate import SimulationConfig, simulate_cohort
from pefuse.evaluation import auroc
from pefuse.machine import allowed_cores
from pefuse.models.zoo import REFERENCE, ZOO
from pefuse.report import build_report
from pefuse.report.results import load_results
from pefuse.training import RunConfig, compare, resolve_config

TEST_PATIENTS = 400
FULL = REFERENCE
SINGLE = [name for name, row in ZOO.items() if row.kind in ("trees", "record", "scan")]
FUSED = [name for name, row in ZOO.items() if row.kind in ("late", "fusion")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", default=Path("bench/simulated_cohorts"))
    parser.add_argument("--seeds", default="1,2,3,4,5", type=lambda text: [int(seed) for seed in text.split(",")])
    parser.add_argument("--ablations", action="store_true", help="the rows of Table 3 too, and the claims")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    options = parser.parse_args()
    config = resolve_config("demo", overrides=[*options.settings, f"ablations={str(options.ablations).lower()}"])
    aucs = pd.DataFrame({f"seed {seed}": one_cohort(options.work, seed, config) for seed in options.seeds})
    print(f"Test AUC, {TEST_PATIENTS} simulated test patients each; {allowed_cores()} cores.\n")
    print(markdown(with_summary(aucs)))
    if options.ablations:
        print("\n" + "\n".join(claims_table(aucs)))


def one_cohort(work: Path, seed: int, config: RunConfig) -> pd.Series[float]:
    """Simulate, compare, and return each model's test AUC by its name."""
    cohort, run = work / f"cohort{seed}", work / f"run{seed}"
    if not cohort.exists():
        simulate_cohort(cohort, config=SimulationConfig(seed=seed, test_patients=TEST_PATIENTS))
    compare(load_cohort(cohort), out=run, config=config)
    build_report(run)
    results = load_results(run)
    assert results is not None  # just written
    aucs = {model.name: model.test.auc.value for model in results.models if model.table and model.test}
    return pd.concat([pd.Series(aucs, dtype=float), fused_ideals(cohort)])


def fused_ideals(cohort: Path) -> pd.Series[float]:
    """What the ideal risks of scan and record would reach if they were only joined after the fact."""
    truth = pd.read_csv(cohort / "truth.csv", dtype={"study_id": str}).set_index("study_id")
    studies = load_cohort(cohort).studies
    test = studies.index[studies["year"] == studies["year"].max()]
    died = studies.loc[test, "label"].to_numpy()
    scan, record = (truth.loc[test, f"ideal_risk_{part}"].to_numpy() for part in ("ct", "ehr"))
    return pd.Series(
        {
            "ideal risks averaged": auroc(died, (scan + record) / 2),
            "ideal log-odds added": auroc(died, logit(scan) + logit(record)),
        }
    )


def with_summary(aucs: pd.DataFrame) -> pd.DataFrame:
    """Mean, SD and distance to the ideal from both before the cohorts."""
    table = aucs.copy()
    table.insert(0, "mean", aucs.mean(axis=1))
    table.insert(1, "SD", aucs.std(axis=1))
    table.insert(2, "below ideal", (aucs.loc["ideal-both"] - aucs).mean(axis=1))
    return table


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A claim of the paper: the first model is better than the second, or no other than it."""

    says: str
    first: str
    second: str
    kind: Literal["better", "as good", "equal"] = "better"


def claims(aucs: pd.DataFrame) -> Iterator[Claim]:
    """The paper's claims. Where one speaks of the best or weakest of several, that is the one by mean."""
    mean = aucs.mean(axis=1)
    others = [name for name in FUSED if name != "late-average"]
    heads = [f"{FULL}-{head}" for head in ("fc", "cnn1d", "xgboost")]
    yield Claim(says="fusion beats the best single modality", first=FULL, second=mean[SINGLE].idxmax())
    yield Claim(says="averaging is the weakest fusion", first=mean[others].idxmin(), second="late-average")
    yield Claim(says="reduction helps", first=FULL, second=f"{FULL}-none")
    yield Claim(says="TabNet is the best head", first=FULL, second=mean[heads].idxmax())
    yield Claim(says="bilinear attention is as good as PCA", first=f"{FULL}-bilinear", second=FULL, kind="as good")
    yield Claim(says="SANet is better than Swin UNETR", first="sanet", second="swin")
    yield Claim(says="MBT falls behind", first=FULL, second="mbt")
    for dim in (256, 1024):
        yield Claim(says=f"the width is immaterial ({dim})", first=f"{FULL}-dim{dim}", second=FULL, kind="equal")


NEGLIGIBLE = 0.02  # of AUC: two models so near are taken as equal


def claims_table(aucs: pd.DataFrame) -> list[str]:
    """A line a claim: the paired difference over the cohorts with its t-interval, and yes, no or can't tell."""
    lines = ["| the paper says | compared | difference [95 % CI] | here |", "|---|---|---|---|"]
    for claim in claims(aucs):
        differences = (aucs.loc[claim.first] - aucs.loc[claim.second]).to_numpy()
        if len(differences) < 2:  # of one cohort nothing can be told
            low, high = -np.inf, np.inf
        else:
            middle, error = differences.mean(), stats.sem(differences)
            low, high = stats.t.interval(0.95, len(differences) - 1, loc=middle, scale=error)
        found = f"{differences.mean():+.3f} [{low:+.3f} to {high:+.3f}]"
        lines.append(f"| {claim.says} | {claim.first} − {claim.second} | {found} | {verdict(claim, low, high)} |")
    return lines


def verdict(claim: Claim, low: float, high: float) -> str:
    if not np.isfinite([low, high]).all():
        return "can't tell"
    if claim.kind == "as good":
        return "yes" if low > -NEGLIGIBLE else "no" if high < -NEGLIGIBLE else "can't tell"
    if claim.kind == "equal":
        within, apart = low > -NEGLIGIBLE and high < NEGLIGIBLE, low > NEGLIGIBLE or high < -NEGLIGIBLE
        return "yes" if within else "no" if apart else "can't tell"
    return "yes" if low > 0 else "no" if high < 0 else "can't tell"


def markdown(table: pd.DataFrame) -> str:
    head = ["model", *table.columns]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {name} | {' | '.join(f'{value:.3f}' for value in row)} |" for name, row in table.iterrows()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
