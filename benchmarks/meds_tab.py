"""Events to features by pefuse, by plain pandas and by meds-tab: the same events, in one run.

    python benchmarks/meds_tab.py --meds-tab VENV/bin [--events 10000000] [--studies 20000] [--limit-seconds 900]

meds-tab has an environment of its own; its executables are run as its usage guide says, with two workers. The
events of features.py are written as a MEDS dataset beforehand, unmeasured, with sex and age as events without a
time, and the index times as labels. Asked of it is what is nearest to ours: the count of each code and the largest
value of each measurement over the whole past, sex and age. It has no latest value, no visits and no units, and
fits nothing. Of its two documented ways `every-event` makes a row for each moment of the record and then takes the
labels' rows; `labels` makes those alone. Prints Markdown; "filled" is of the cells that should be filled: meds-tab
0.2.0 loses almost all (values by its issue 168, counts of moments with one event besides), and is faster for it.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from features import features, make_cohort, measured, plain_pandas
from prepare import memory_of

WORKERS = 2
FEWEST_EVENTS = 10  # of a code that is kept: its default
AGGREGATIONS = ("static/present", "static/first", "code/count", "value/max")
RUNS = ("every-event", "labels")
RECORD_SQL = """
CREATE TABLE studies AS SELECT * FROM '{cohort}/studies.csv';
CREATE VIEW record AS
SELECT subject_id, time, code, numeric_value, text_value FROM '{cohort}/events.parquet'
UNION ALL SELECT patient_id, NULL, 'GENDER//' || sex, NULL, NULL FROM studies
UNION ALL SELECT patient_id, NULL, 'AGE', CAST(age_years AS FLOAT), NULL FROM studies;
"""
SHARD_SQL = """
COPY (SELECT * FROM record WHERE subject_id BETWEEN {first} AND {last} ORDER BY subject_id, time NULLS FIRST)
TO '{work}/data/train/{shard}.parquet';
COPY (
    SELECT patient_id AS subject_id, CAST(index_time AS TIMESTAMP) AS prediction_time, died = 1 AS boolean_value
    FROM studies WHERE patient_id BETWEEN {first} AND {last} ORDER BY ALL
) TO '{work}/labels/train/{shard}.parquet';
"""
METADATA_SQL = """
COPY (
    SELECT DISTINCT code, CAST(NULL AS VARCHAR) AS description, CAST(NULL AS VARCHAR[]) AS parent_codes FROM record
) TO '{work}/metadata/codes.parquet';
COPY (SELECT patient_id AS subject_id, 'train' AS split FROM studies) TO '{work}/metadata/subject_splits.parquet';
"""
# A cell for each study and code before the index, and one where it has values; then sex, an age, and its value.
CELLS_SQL = f"""
WITH kept AS (
    SELECT code, count(numeric_value) >= {FEWEST_EVENTS} AS has_values
    FROM record WHERE time IS NOT NULL GROUP BY code HAVING count(*) >= {FEWEST_EVENTS}
), cells AS (
    SELECT bool_or(has_values AND numeric_value IS NOT NULL) AS has_value
    FROM record JOIN kept USING (code) JOIN studies ON subject_id = patient_id
    WHERE time <= CAST(index_time AS TIMESTAMP) GROUP BY subject_id, code
)
SELECT count(*) + count(*) FILTER (has_value) + 3 * (SELECT count(*) FROM studies) FROM cells
"""


@dataclass(frozen=True, kw_only=True)
class Figures:
    """Of one step, or of all. `stopped` says why it did not end, "" = it did."""

    seconds: float
    cpu_s: float
    peak_gib: float
    columns: int | None = None
    filled: float | None = None
    stopped: str = ""


Row = tuple[str, Figures]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of one run of meds-tab, all its steps together; `free_gib` is what it leaves of the disk."""

    seconds: float
    memory_gib: float
    free_gib: float = 20.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meds-tab", type=Path, metavar="BIN", help="where its executables are; else without it")
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--studies", type=int, default=20_000)
    parser.add_argument("--runs", nargs="*", choices=RUNS, default=list(RUNS), help="of meds-tab")
    parser.add_argument("--limit-seconds", type=float, default=900.0, help="of each run of meds-tab")
    parser.add_argument("--limit-gib", type=float, default=14.0, help="of memory, of each run of meds-tab")
    parser.add_argument(
        "--shard", type=int, default=1000, help="subjects of a file; 2500 in its guide takes more memory"
    )
    parser.add_argument("--memory-limit", default="1GB", help="of pefuse's pass over the events")
    options = parser.parse_args()
    executables: Path | None = options.meds_tab
    limits = Limits(seconds=options.limit_seconds, memory_gib=options.limit_gib)
    with tempfile.TemporaryDirectory(prefix="pefuse-meds-tab-") as name:
        cohort, work = Path(name, "cohort"), Path(name, "meds")
        cohort.mkdir()
        make_cohort(cohort, events=options.events, studies=options.studies)
        rows = [
            ("pefuse", of_ours(measured(features, cohort, options.memory_limit))),
            ("plain pandas, the latest labs alone", of_ours(measured(plain_pandas, cohort, options.memory_limit))),
        ]
        if executables:
            cells = write_meds(cohort, work, studies=options.studies, shard_size=options.shard)
            for run in options.runs:
                rows += of_meds_tab(executables, run, work, cells, limits)
    print(
        f"{options.events:,} events of {options.studies:,} studies, {datetime.date.today().isoformat()}, "
        f"{len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}, "
        f"meds-tab {version_of(executables) if executables else 'left out: give --meds-tab'}.\n\n"
        f"{as_markdown(rows)}"
    )


def version_of(executables: Path) -> str:
    code = "import importlib.metadata as metadata; print(metadata.version('meds-tab'))"
    done = subprocess.run([executables / "python", "-c", code], stdout=subprocess.PIPE, check=True, text=True)
    return done.stdout.strip()


def of_ours(figures: dict[str, float]) -> Figures:
    return Figures(
        seconds=figures["total_s"],
        cpu_s=figures["cpu_s"],
        peak_gib=figures["peak_gib"],
        columns=int(figures.get("raw_columns", figures["columns"])),
    )


# --- the dataset -------------------------------------------------------------------------------------------------


def write_meds(cohort: Path, work: Path, *, studies: int, shard_size: int) -> int:
    """Write data, metadata and labels; give the number of cells that meds-tab should fill."""
    for part in ("data/train", "labels/train", "metadata"):
        (work / part).mkdir(parents=True)
    (work / "metadata/dataset.json").write_text('{"dataset_name": "benchmark", "meds_version": "0.4.1"}\n')
    size = min(shard_size, -(-studies // WORKERS))  # no worker without a shard
    with duckdb.connect(config={"memory_limit": "3GB", "temp_directory": str(work / "spill")}) as database:
        database.execute("SET enable_progress_bar = false")
        database.execute(RECORD_SQL.format(cohort=cohort))
        for shard, first in enumerate(range(0, studies, size)):
            database.execute(SHARD_SQL.format(work=work, shard=shard, first=first, last=first + size - 1))
        database.execute(METADATA_SQL.format(work=work))
        cells: int = database.execute(CELLS_SQL).fetchall()[0][0]
    return cells


# --- meds-tab ----------------------------------------------------------------------------------------------------


def of_meds_tab(executables: Path, run: str, work: Path, cells: int, limits: Limits) -> list[Row]:
    """All steps together, then each, up to one that was stopped."""
    folder = work / "runs" / run
    folder.mkdir(parents=True)
    deadline = time.perf_counter() + limits.seconds
    steps: dict[str, Figures] = {}
    for step, arguments in commands(run, work, folder):
        command = [str(executables / step), *arguments]
        steps[step] = watched(command, folder / f"{step}.log", deadline, limits)
        if steps[step].stopped:
            break
    made = folder / ("task/task_cache" if run == "every-event" else "tabularize")
    all_steps = in_all(list(steps.values()), made, cells)
    shutil.rmtree(folder)  # every event of every study is some tens of GiB
    each = [(f"– {step.removeprefix('meds-tab-')}", figures) for step, figures in steps.items()]
    return [(f"meds-tab, {run}", all_steps), *each]


def commands(run: str, work: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Each step's executable and arguments, in order."""
    places = [f"input_dir={work / 'data'}", f"output_dir={folder}"]
    labels = f"input_label_dir={work / 'labels'}"
    settings = [
        *places,
        f"tabularization.min_code_inclusion_count={FEWEST_EVENTS}",
        "tabularization.window_sizes=[full]",
        f"tabularization.aggs=[{','.join(AGGREGATIONS)}]",
        *([labels] if run == "labels" else []),
    ]
    in_parallel = ["--multirun", f"worker=range(0,{WORKERS})", "hydra/launcher=joblib"]
    yield "meds-tab-describe", places
    yield "meds-tab-tabularize-static", settings
    yield "meds-tab-tabularize-time-series", [*in_parallel, *settings]
    if run == "every-event":
        # One worker, as in its tutorial: of two, one may read the labels while the other writes them, and fails.
        yield "meds-tab-cache-task", [*settings, labels, "task_name=task"]


def watched(command: Sequence[str], log: Path, deadline: float, limits: Limits) -> Figures:
    """Run a command, see the memory of all its processes five times a second, and stop it at a limit."""
    here = str(log.parent)  # what a worker that is stopped leaves behind goes with this folder
    own = {"TMPDIR": here, "JOBLIB_TEMP_FOLDER": here, "HYDRA_FULL_ERROR": "1"}
    began, cpu_before, peak, stopped = time.perf_counter(), children_cpu_s(), 0.0, ""
    with (
        log.open("w") as output,
        subprocess.Popen(
            command, stdout=output, stderr=output, env={**os.environ, **own}, cwd=here, start_new_session=True
        ) as process,
    ):
        try:
            while process.poll() is None and not stopped:
                peak = max(peak, memory_of(psutil.Process(process.pid)) / 2**30)
                if time.perf_counter() > deadline:
                    stopped = f"stopped: {limits.seconds:,.0f} s"
                elif peak > limits.memory_gib:
                    stopped = f"stopped: over {limits.memory_gib:g} GiB"
                elif shutil.disk_usage(here).free < limits.free_gib * 2**30:
                    stopped = f"stopped: under {limits.free_gib:g} GiB of disk left"
                time.sleep(0.2)
        finally:
            stop_group(process)
    seconds = time.perf_counter() - began
    if process.returncode and not stopped:
        stopped = f"failed: {(log.read_text().strip().splitlines() or [''])[-1]}"
    return Figures(seconds=seconds, cpu_s=children_cpu_s() - cpu_before, peak_gib=peak, stopped=stopped)


def stop_group(process: subprocess.Popen[Any]) -> None:
    """End the command's workers too: they stay in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def in_all(steps: Sequence[Figures], made: Path, cells: int) -> Figures:
    stopped = steps[-1].stopped
    columns, filled = (None, None) if stopped else columns_and_cells(made)
    return Figures(
        seconds=sum(step.seconds for step in steps),
        cpu_s=sum(step.cpu_s for step in steps),
        peak_gib=max(step.peak_gib for step in steps),
        columns=columns,
        filled=None if filled is None else filled / cells,
        stopped=stopped,
    )


def columns_and_cells(made: Path) -> tuple[int, int]:
    """Of all matrices together; a matrix is kept as its entries' values, rows and columns, and its shape."""
    columns: dict[str, int] = {}
    cells = 0
    for path in made.glob("train/*/*/*/*.npz"):
        with np.load(path) as matrix:
            columns[f"{path.parent.name}/{path.stem}"] = int(matrix["shape"][1])
            cells += matrix["array"].shape[1]
    return sum(columns.values()), cells


# --- the table ---------------------------------------------------------------------------------------------------


def as_markdown(rows: Sequence[Row]) -> str:
    ours = rows[0][1]
    lines = ["| | s | times pefuse | CPU s | peak GiB | times pefuse | columns | filled | |", "|---" * 9 + "|"]
    for name, figures in rows:
        more = "> " if figures.stopped else ""
        cells = [
            name,
            f"{more}{figures.seconds:,.1f}",
            f"{more}{figures.seconds / ours.seconds:,.1f}",
            "" if more else f"{figures.cpu_s:,.1f}",  # of workers that were killed nobody tells
            f"{more}{figures.peak_gib:.2f}",
            f"{more}{figures.peak_gib / ours.peak_gib:.2f}",
            "" if figures.columns is None else f"{figures.columns:,}",
            "" if figures.filled is None else f"{figures.filled:.1%}",
            figures.stopped,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
