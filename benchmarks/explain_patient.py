"""One patient, from a DICOM folder to the risk, the heat in the scanner's geometry and its figure.

    python benchmarks/explain_patient.py [WORK] [--members 1,5]

The scan is a simulated one of 512×512×about 290 voxels, the model a SANet of the preset `paper` at 128³ that was
never trained (that changes no time). The budget is 10 s on two cores. Prints Markdown: wall-clock and
processor seconds of each step. Starting Python and importing PyTorch, once a process, is not counted.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from pefuse.cohort.simulate.scan import ScanRequest, write_scan
from pefuse.ct import read_scan, to_grid
from pefuse.explain import find_heat, to_scanner, write_nifti
from pefuse.explain.scanner import heat_bytes
from pefuse.explain.slices import draw_slices, hot_slices
from pefuse.machine import allowed_cores
from pefuse.models import SANet, SANetConfig
from pefuse.models.bundle import About, Bundle, Calibration, Member, ScanModel, ScanPart, TrainingCohort
from pefuse.models.scan_normalisation import ScanNormalisation

GRID = 128


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, nargs="?", default=Path("bench/explain_patient"))
    parser.add_argument("--members", default="1,5", help="of the bundle")
    options = parser.parse_args()
    scan = options.work / "scan"
    if not scan.exists():
        write_scan(request(), folder=scan, truth_mask=options.work / "truth.nii.gz")
    print(f"{allowed_cores()} cores, torch {torch.__version__}, {datetime.date.today().isoformat()}\n")
    print("| members | step | s | processor s |\n|---|---|---|---|")
    for members in map(int, options.members.split(",")):
        shutil.rmtree(options.work / "out", ignore_errors=True)
        (options.work / "out").mkdir()
        steps = explain(untrained(members), scan, options.work / "out")
        for name, wall, processor in [*steps, ("all", *np.sum([step[1:] for step in steps], axis=0))]:
            print(f"| {members} | {name} | {wall:.1f} | {processor:.1f} |", flush=True)


def request() -> ScanRequest:
    return ScanRequest(
        study_id="S1",
        patient_id=1,
        index_time=pd.Timestamp("2020-01-01T10:00"),
        sex="F",
        age_years=60.0,
        strain=1.5,
        clot_burden=1.0,
        seed=5,
        full_size=True,
    )


def untrained(members: int) -> Bundle:
    """A bundle of the paper's SANet."""
    torch.manual_seed(0)
    normalisation = ScanNormalisation(window_hu=(-200.0, 500.0), mean=0.3, sd=0.3)
    networks = [SANet(SANetConfig.paper()).eval() for _ in range(members)]
    cohort = TrainingCohort(
        simulated=True, horizon_days=30, studies=0, patients=0, deaths=0, first_year=None, last_year=None,
        age_mean=None, age_sd=None, female_share=None,
    )  # fmt: skip
    return Bundle(
        about=About(
            written_by="benchmark", model="sanet", grid=GRID, field_of_view="whole", thresholds=(),
            calibration=Calibration(fitted=False, method="none"), cohort=cohort, features=(), config={}, inputs="",
        ),
        members=tuple(
            Member(seed=0, fold=fold, model=ScanModel(scan=ScanPart(network=network, normalisation=normalisation),
                                                      logit_shift=0.0))
            for fold, network in enumerate(networks)
        ),
    )  # fmt: skip


def explain(bundle: Bundle, folder: Path, out: Path) -> list[tuple[str, float, float]]:
    """The steps of `pefuse.explain.explain_patient`, one by one."""
    steps: list[tuple[str, float, float]] = []
    with timed("read", steps):
        scan, _ = read_scan(folder)
        grid = to_grid(scan, grid=GRID)
    hu = grid.hu[None].astype(np.int16)
    with timed("predict", steps):
        bundle.predict(["case"], scans=hu)
    with timed("heat", steps):
        heat = find_heat(bundle, ["case"], scans=hu, method="layer-cam")
    with timed("to the scanner", steps):
        mapped = to_scanner(heat.of("case"), grid.affine, scan)
    with timed("write heat", steps):
        write_nifti(out / "heat.nii.gz", heat_bytes(mapped), scan.affine)
    with timed("write scan", steps):
        write_nifti(out / "scan.nii.gz", scan.hu, scan.affine)
    with timed("draw", steps):
        draw_slices(out / "slices.png", scan.hu, mapped, hot_slices(mapped), spacing_mm=scan.spacing_mm)
    return steps


@contextmanager
def timed(name: str, steps: list[tuple[str, float, float]]) -> Iterator[None]:
    wall, processor = time.perf_counter(), time.process_time()
    yield
    steps.append((name, time.perf_counter() - wall, time.process_time() - processor))


if __name__ == "__main__":
    main()
