"""`pefuse prepare` on archives of different sizes: scans a second, and the memory of all its processes.

    python benchmarks/prepare.py [--studies 8,64] [--slices 300] [--matrix 512]

Every study is the same 512x512x300 series, in hard links, so that files are in the page cache. The memory is the
largest sum of the proportional set sizes (shared pages counted once) seen ten times a second. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from ingest import write_series


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", default="8,64", help="sizes of the archives, separated by commas")
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--matrix", type=int, default=512)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        series = Path(name, "series")
        write_series(series, slices=options.slices, matrix=options.matrix, syntax="plain")
        for studies in map(int, options.studies.split(",")):
            cohort = write_cohort(Path(name, f"cohort-{studies}"), series, studies)
            seconds, peak_mib = measured(cohort)
            rows.append(f"| {studies} | {seconds:.1f} | {studies / seconds:.2f} | {peak_mib:.0f} |")
    cores = len(os.sched_getaffinity(0))
    print(
        f"{options.matrix}x{options.matrix}x{options.slices} to 128x128x128, {datetime.date.today().isoformat()}, "
        f"{cores} cores, Python {platform.python_version()}.\n\n"
        "| studies | seconds | scans a second | peak memory of all processes, MiB |\n|---|---|---|---|"
    )
    print("\n".join(rows))


def write_cohort(folder: Path, series: Path, studies: int) -> Path:
    lines = ["study_id,patient_id,index_time,ct,age_years,sex,died"]
    for i in range(studies):
        scan = folder / "ct" / f"s{i}"
        scan.mkdir(parents=True)
        for path in series.iterdir():
            os.link(path, scan / path.name)
        lines.append(f"s{i},{i},2018-01-01T00:00:00,ct/s{i},60,F,{i % 2}")
    (folder / "studies.csv").write_text("\n".join(lines) + "\n")
    (folder / "cohort.yaml").write_text("name: benchmark\nhorizon_days: 30\n")
    return folder


def measured(cohort: Path) -> tuple[float, float]:
    """Seconds of the whole command, and the peak of its processes' memory in MiB."""
    peak, start = 0, time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-m", "pefuse", "prepare", str(cohort)], stdout=subprocess.DEVNULL
    ) as run:
        process = psutil.Process(run.pid)
        while run.poll() is None:
            peak = max(peak, memory_of(process))
            time.sleep(0.1)
    if run.returncode:
        raise SystemExit("pefuse prepare failed.")
    return time.perf_counter() - start, peak / 2**20


def memory_of(process: psutil.Process) -> int:
    total = 0
    for each in (process, *process.children(recursive=True)):
        try:
            total += each.memory_full_info().pss
        except psutil.Error:  # it ended meanwhile
            continue
    return total


if __name__ == "__main__":
    main()
