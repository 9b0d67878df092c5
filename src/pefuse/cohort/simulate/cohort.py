"""A whole simulated cohort as a folder: what a hospital would have after import, and beside it the truth."""

from __future__ import annotations

from concurrent.futures import as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from numpy.typing import NDArray

from pefuse.cohort.simulate.config import SimulationConfig
from pefuse.cohort.simulate.record import Record, codes_table, draw_record
from pefuse.cohort.simulate.scan import ScanRequest
from pefuse.cohort.simulate.strata import HORIZON_DAYS, Period, PeriodStudies, draw_period
from pefuse.cohort.simulate.truth import truth_summary, truth_table
from pefuse.cohort.simulate.worker import ScanTask
from pefuse.errors import UsageError
from pefuse.machine import allowed_cores
from pefuse.storage import atomic_folder, write_json, write_text
from pefuse.types import Progress
from pefuse.workers import Worker, Workers

__all__ = ["simulate_cohort"]

EARLIER = Period(first=2012, last=2017, shortcut_holds=True)
TEST = Period(first=2018, last=2018, shortcut_holds=False)
FIRST_PATIENT_ID = 10_000_000


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One period of the cohort: its studies, their record, and the numbers that they go by."""

    study_ids: list[str]
    patient_ids: NDArray[np.int64]
    studies: PeriodStudies
    record: Record


def simulate_cohort(
    out: Path, *, config: SimulationConfig, jobs: int | None = None, progress: Progress | None = None
) -> None:
    """Write a simulated cohort to the new folder `out`: it appears when it is whole, or not at all.

    The same config gives the same bytes, whatever `jobs` (processes for the scans; None = all allowed cores) is.
    The earlier years do not depend on how many patients the test year has.

    Raises:
        UsageError: `jobs` is below 1.
        StorageError: `out` holds something already, or the disk is full.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}: it needs 1 or more.")
    with atomic_folder(Path(out)) as folder:
        parts = _draw_parts(config)
        _write_tables(folder, parts, config)
        _write_scans(folder, parts, config, jobs=jobs or allowed_cores(), progress=progress)


def _draw_parts(config: SimulationConfig) -> list[_Part]:
    """Both periods, each from its own stream of random numbers."""
    numbers = np.random.default_rng([config.seed, 0]).permutation(900_000)
    parts: list[_Part] = []
    done = 0
    for stream, (period, counts) in enumerate(((EARLIER, config.earlier), (TEST, config.test)), start=1):
        generator = np.random.default_rng([config.seed, stream])
        studies = draw_period(counts, period, shortcut=config.shortcut == "site", generator=generator)
        patient_ids = FIRST_PATIENT_ID + numbers[done : done + len(studies)].astype(np.int64)
        record = draw_record(
            studies.latents,
            studies.outcome,
            subject_ids=patient_ids,
            index_times=studies.index_times,
            generator=generator,
        )
        study_ids = [f"S{number:04d}" for number in range(done + 1, done + len(studies) + 1)]
        parts.append(_Part(study_ids=study_ids, patient_ids=patient_ids, studies=studies, record=record))
        done += len(studies)
    return parts


def _write_tables(folder: Path, parts: list[_Part], config: SimulationConfig) -> None:
    truth = pd.concat([truth_table(part.study_ids, part.studies) for part in parts], ignore_index=True)
    in_test_year = pd.Series(np.repeat([False, True], [len(part.study_ids) for part in parts]))
    _write_csv(folder / "studies.csv", pd.concat([_studies_table(part) for part in parts], ignore_index=True))
    _write_csv(folder / "codes.csv", codes_table())
    _write_csv(folder / "truth.csv", truth)
    write_json(folder / "truth.json", truth_summary(config, truth=truth, in_test_year=in_test_year))
    write_text(folder / "cohort.yaml", yaml.safe_dump(_about(config), sort_keys=False, allow_unicode=True))
    events = pa.concat_tables([part.record.events for part in parts]).sort_by(
        [("subject_id", "ascending"), ("time", "ascending"), ("code", "ascending")]
    )
    pq.write_table(events, folder / "events.parquet", compression="zstd")


def _studies_table(part: _Part) -> pd.DataFrame:
    index = pd.Series(pd.DatetimeIndex(part.studies.index_times))
    death = index + pd.to_timedelta(np.floor(part.studies.outcome.death_days * 1440), unit="min")
    follow_up = index + pd.to_timedelta(np.floor(part.studies.follow_up_days * 1440), unit="min")
    born = index - pd.to_timedelta(np.round(part.record.state.age_years * 365.2425), unit="D")
    return pd.DataFrame(
        {
            "study_id": part.study_ids,
            "patient_id": part.patient_ids,
            "index_time": index.dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "ct": [f"scans/{study_id}" for study_id in part.study_ids],
            "birth_date": born.dt.strftime("%Y-%m-%d"),
            "sex": np.where(part.record.state.female, "F", "M"),
            "death_time": death.dt.strftime("%Y-%m-%dT%H:%M:%S").fillna(""),
            "last_follow_up": follow_up.dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "site": part.studies.sites,
        }
    )


def _about(config: SimulationConfig) -> dict[str, Any]:
    return {
        "name": f"simulated-{config.seed}",
        "horizon_days": HORIZON_DAYS,
        "simulated": True,
        "source": "simulated by pefuse: no real patient (docs/simulation.md)",
        "units": "HU and mm in the scans; labs and vitals in the units of codes.csv; times are local",
        "licence": "CC0-1.0; ICD-9-CM code titles are in the public domain (CMS, NCHS)",
    }


def _write_scans(
    folder: Path, parts: list[_Part], config: SimulationConfig, *, jobs: int, progress: Progress | None
) -> None:
    """Write every scan and its mask."""
    requests = [request for part in parts for request in _scan_requests(part, config)]
    with Workers(min(jobs, len(requests)), "pefuse.cohort.simulate.worker.main") as workers:
        tasks = [ScanTask(request=request, folder=folder) for request in requests]
        futures = [workers.submit(partial(Worker.do, task=task)) for task in tasks]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if progress is not None:
                progress("simulate scans", done, len(requests))


def _scan_requests(part: _Part, config: SimulationConfig) -> list[ScanRequest]:
    latents, sites = part.studies.latents, part.studies.sites
    state = part.record.state
    return [
        ScanRequest(
            study_id=study_id,
            patient_id=int(part.patient_ids[row]),
            index_time=pd.Timestamp(part.studies.index_times[row]),
            sex="F" if state.female[row] else "M",
            age_years=float(state.age_years[row]),
            strain=float(latents.strain[row]),
            clot_burden=float(latents.clot_burden[row]),
            seed=_scan_seed(config.seed, study_id),
            matrix=config.matrix,
            slices=config.slices,
            full_size=config.full_size,
            site=str(sites[row]),
            shortcut_mark=config.shortcut == "site" and sites[row] == "B",
        )
        for row, study_id in enumerate(part.study_ids)
    ]


def _scan_seed(seed: int, study_id: str) -> int:
    return int(np.random.SeedSequence([seed, 3, int(study_id[1:])]).generate_state(1, np.uint32)[0])


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
