"""How long, and in how much memory, events become features: 10 million events of 20,000 studies by default.

    python benchmarks/features.py [--events 10000000] [--studies 20000] [--memory-limit 1GB]

The events are made once in a temporary folder; the measured part runs in a process of its own, so that its peak
memory is its own. The same work in plain pandas is measured beside it, for the latest labs alone.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd

from pefuse.cohort import load_cohort
from pefuse.ehr import FeaturePreparation, clinical_scores, extract
from pefuse.types import Cohort
from pefuse.vocabulary import concepts

EVENTS_SQL = """
COPY (
    SELECT CAST(floor(random() * {studies}) AS BIGINT) AS subject_id,
           TIMESTAMP '2008-01-01' + to_seconds(CAST(random() * 315000000 AS BIGINT)) AS time,
           CASE WHEN kind < 0.55 THEN 'LAB//' || labs[1 + CAST(floor(pick * {labs}) AS INTEGER)]
                WHEN kind < 0.75 THEN 'MEDICATION//' || CASE WHEN pick < 0.5 THEN 'IN' ELSE 'OUT' END
                                      || '//class ' || CAST(floor(pick * pick * 641) AS INTEGER)
                WHEN kind < 0.97 THEN 'ICD9CM//' || CAST(140 + floor(pick * pick * 800) AS INTEGER) || '.'
                                      || CAST(floor(random() * 9) AS INTEGER)
                WHEN kind < 0.985 THEN 'VISIT//INPATIENT//START'
                ELSE 'VISIT//INPATIENT//END' END AS code,
           CASE WHEN kind < 0.55 THEN CAST(20 + random() * 100 AS FLOAT) END AS numeric_value,
           CAST(NULL AS VARCHAR) AS text_value
    FROM (SELECT random() AS kind, random() AS pick, {lab_list} AS labs FROM range({events}))
    ORDER BY subject_id, time
) TO '{path}'
"""


def make_cohort(folder: Path, *, events: int, studies: int) -> None:
    """A cohort of random events with the code forms and proportions of a real record."""
    labs = [item.name for item in concepts().values() if item.kind in ("vital", "lab")]
    lab_list = "[" + ", ".join(f"'{name}'" for name in labs) + "]"
    with duckdb.connect(config={"memory_limit": "3GB", "temp_directory": str(folder / "spill")}) as database:
        database.sql("SET enable_progress_bar = false")
        database.sql(
            EVENTS_SQL.format(
                studies=studies, events=events, labs=len(labs), lab_list=lab_list, path=folder / "events.parquet"
            )
        )
    rows = pd.DataFrame({"patient_id": range(studies)})
    rows.insert(0, "study_id", [f"study{number:06d}" for number in range(studies)])
    years = 2012 + rows["patient_id"] % 6
    table = rows.assign(index_time=years.astype(str) + "-06-01T12:00", ct="", age_years=64, sex="F", died="0")
    table.to_csv(folder / "studies.csv", index=False)


def features(cohort: Cohort, memory_limit: str) -> dict[str, float]:
    """Events to raw record to prepared matrix, timed apart."""
    began = time.perf_counter()
    raw = extract(cohort, memory_limit=memory_limit)
    extracted = time.perf_counter()
    half = raw.study_ids[: len(raw.study_ids) // 2]
    prepared = FeaturePreparation.fit(raw, half).transform(raw, raw.study_ids)
    done = time.perf_counter()
    return {
        "extract_s": extracted - began,
        "fit_and_transform_s": done - extracted,
        "total_s": done - began,
        "raw_columns": len(raw.columns),
        "columns": prepared.values.shape[1],
    }


def scores(cohort: Cohort, memory_limit: str) -> dict[str, float]:
    """PESI and sPESI of all studies."""
    began = time.perf_counter()
    clinical_scores(cohort, memory_limit=memory_limit)
    return {"total_s": time.perf_counter() - began}


def plain_pandas(cohort: Cohort, memory_limit: str) -> dict[str, float]:
    """The usual way, for comparison: read all, merge, sort, last of each group, pivot; the labs only."""
    began = time.perf_counter()
    events = pd.read_parquet(str(cohort.events))
    events = events[events["numeric_value"].notna()]
    merged = events.merge(cohort.studies.reset_index(), left_on="subject_id", right_on="patient_id")
    merged = merged[merged["time"] < merged["index_time"]].sort_values("time")
    latest = merged.groupby(["study_id", "code"])["numeric_value"].last().unstack()
    return {"total_s": time.perf_counter() - began, "columns": latest.shape[1]}


def measured(work: Callable[[Cohort, str], dict[str, float]], folder: Path, memory_limit: str) -> dict[str, float]:
    """Run `work` in a fresh process; add its processor time (of all cores) and its peak resident memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_in_process, (work, folder, memory_limit))


def _in_process(
    work: Callable[[Cohort, str], dict[str, float]], folder: Path, memory_limit: str
) -> dict[str, float]:
    cohort = load_cohort(folder)
    began = time.process_time()
    figures = {**work(cohort, memory_limit), "cpu_s": time.process_time() - began}
    return {**figures, "peak_gib": _peak_gib()}


def _peak_gib() -> float:
    """Of this process alone: Linux's ru_maxrss begins with the size of the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024**2
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**3 if sys.platform == "darwin" else 1024**2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--memory-limit", default="1GB", help="of the pass over the events")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_cohort(folder, events=options.events, studies=options.studies)
        results = {
            work.__name__: measured(work, folder, options.memory_limit)
            for work in (features, scores, plain_pandas)
        }
    if options.json:
        print(json.dumps(results, indent=2))
        return
    for name, figures in results.items():
        print(f"{name:14s}" + "  ".join(f"{key} {value:,.2f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
