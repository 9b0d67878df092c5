"""INSPECT (Stanford, release of 2025): suspected embolism, CTPA as NIfTI, labels as TSV, the record as MEDS.

Its traps, all counted in the report: labels of three values, times in an unit that sources disagree on, studies
without a time, doubled impressions, image names with and without their ending, localizers among the images. Deaths
are scrubbed from the events, so labels come from the table; the cohort is of suspected embolism.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pefuse.cohort.importers.meds import add_meds_events, meds_codes, meds_people
from pefuse.cohort.importers.record import RecordImport, RecordSource, import_record
from pefuse.database import MEMORY_LIMIT
from pefuse.errors import RecordError

__all__ = ["import_inspect"]

SPLITS = {"train": "train", "valid": "validation", "validation": "validation", "test": "test"}
FEWEST_SLICES = 50  # of a CTPA; a localizer has one to three
HORIZON_DAYS = 30
UNITS_A_DAY = {"days": 1.0, "hours": 24.0, "minutes": 1440.0, "seconds": 86400.0}
_LABEL = "1_month_mortality"
_TIME_TO_DEATH = "tte_mortality"
_TABLES = ("study_mapping", "labels", "splits")
_IMAGE_SUFFIX = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)


def import_inspect(
    folder: Path, out: Path, *, require_pe: bool = False, memory_limit: str = MEMORY_LIMIT
) -> RecordImport:
    """Make a cohort of INSPECT: one study an impression with a time, an image where there is one.

    Args:
        folder: with `study_mapping_*.tsv`, `labels_*.tsv`, `splits_*.tsv`, `CTPA/`, the record's `data/*.parquet`
            unpacked anywhere below, and `series_metadata_*.tsv` where it is there.
        require_pe: only studies whose report tells of an embolism, as the paper's patients have one.

    Raises:
        CohortError, RecordError, StorageError: as `import_record`; also where a patient is in two splits, or where
            no unit of the times to death agrees with the labels.
    """
    prepare = partial(_prepare, folder=folder, require_pe=require_pe)
    return import_record("inspect", folder, out, studies=None, prepare=prepare, memory_limit=memory_limit)


def _prepare(database: Any, *, folder: Path, require_pe: bool) -> RecordSource:
    notes: Counter[str] = Counter()
    tables = {name: _table(folder, name) for name in _TABLES}
    table = _one_row_an_impression(tables, notes)
    unit = _unit_of_times(table)
    if require_pe:
        positive = _positive(table)
        notes["left out: no embolism in the report"] = int((~positive).sum())
        table = table[positive]
    studies = _studies(table)
    scans = _scans(folder, tables["study_mapping"], studies, notes)
    studies["ct"] = [f"scans/{study_id}.files" if study_id in scans else "" for study_id in studies["study_id"]]
    shards = [path for path in sorted(folder.rglob("*.parquet")) if "metadata" not in path.parts]
    if not shards:
        raise RecordError("INSPECT's record is not there: unpack meds_omop_inspect.tar.gz into the folder.")
    add_meds_events(database, shards)
    people = meds_people(database, followed_days=0)[["birth_date", "sex"]]
    told: dict[str, int | str] = {name: count for name, count in notes.items() if count}
    if unit:
        told["unit of tte_mortality, by the labels"] = unit
    metadata = next(iter(sorted(path.parent for path in folder.rglob("codes.parquet"))), folder / "metadata")
    codes = meds_codes(database, metadata.parent)
    return RecordSource(people=people, codes=codes, notes=told, studies=studies, scans=scans)


def _table(folder: Path, name: str) -> pd.DataFrame:
    """The one TSV of that name as text; dates of releases stand in the names."""
    paths = sorted(path for path in folder.rglob(f"{name}*") if path.suffix.lower() in (".tsv", ".csv"))
    if len(paths) != 1:
        raise RecordError(
            f"INSPECT has one table {name}_*.tsv, and here are {len(paths)}: name the release's folder."
        )
    separator = "\t" if paths[0].suffix.lower() == ".tsv" else ","
    try:
        frame = pd.read_csv(paths[0], sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise RecordError(f"INSPECT's table {name} cannot be read: download it again.") from error
    missing = [column for column in _COLUMNS[name] if column not in frame]
    if missing:
        raise RecordError(f"INSPECT's table {name} lacks {', '.join(missing)}: is it the release of 2025?")
    stripped: pd.DataFrame = frame.apply(lambda column: column.str.strip())
    return stripped


_COLUMNS = {
    "study_mapping": ("impression_id", "person_id", "image_id", "procedure_DATETIME"),
    "labels": ("impression_id", _LABEL),
    "splits": ("impression_id", "person_id", "split"),
    "series_metadata": ("image_id", "num_slices"),
}


def _one_row_an_impression(tables: Mapping[str, pd.DataFrame], notes: Counter[str]) -> pd.DataFrame:
    """Impressions with a person and a time, joined to their label and split."""
    mapping = tables["study_mapping"]
    notes["impressions"] = mapping["impression_id"].nunique()
    facts = mapping[["impression_id", "person_id", "procedure_DATETIME"]].drop_duplicates()
    doubled = facts["impression_id"].duplicated(keep=False)
    notes["left out: rows of one impression contradict each other"] = facts[doubled]["impression_id"].nunique()
    facts = facts[~doubled]
    times = pd.to_datetime(facts["procedure_DATETIME"], errors="coerce", format="mixed")
    notes["left out: no time"] = int(times.isna().sum())
    facts = facts.assign(index_time=times)[times.notna()]
    labels = _agreeing(tables["labels"].drop(columns="person_id", errors="ignore"), "labels", notes)
    splits = _agreeing(tables["splits"][["impression_id", "person_id", "split"]], "splits", notes)
    _refuse_straddling(splits)
    table = facts.merge(labels, on="impression_id", how="left").merge(
        splits[["impression_id", "split"]], on="impression_id", how="left"
    )
    table[[_LABEL, "split"]] = table[[_LABEL, "split"]].fillna("")
    notes["without a label"] = int((table[_LABEL] == "").sum())
    notes["censored before 30 days"] = int((table[_LABEL].str.upper() == "CENSORED").sum())
    unknown = ~table[_LABEL].str.upper().isin(["TRUE", "FALSE", "CENSORED", ""])
    notes["labels that are none of TRUE, FALSE and CENSORED"] = int(unknown.sum())
    notes["left out: no split"] = int((table["split"] == "").sum())
    return table[table["split"] != ""]


def _agreeing(table: pd.DataFrame, name: str, notes: Counter[str]) -> pd.DataFrame:
    """One row an impression; of doubled ones that contradict each other none."""
    rows = table.drop_duplicates()
    notes[f"rows of {name} told twice"] = len(table) - len(rows)
    doubled = rows["impression_id"].duplicated(keep=False)
    notes[f"impressions that {name} contradict"] = rows[doubled]["impression_id"].nunique()
    return rows[~doubled]


def _refuse_straddling(splits: pd.DataFrame) -> None:
    straddling = int((splits.groupby("person_id")["split"].nunique() > 1).sum())
    if straddling:
        raise RecordError(
            f"INSPECT's splits have {straddling} patients in more than one: download the table again."
        )
    unknown = sorted(set(splits["split"].str.lower()) - set(SPLITS))
    if unknown:
        raise RecordError("INSPECT's splits are train, valid and test, and here is another.")


def _positive(table: pd.DataFrame) -> pd.Series:
    name = next((name for name in ("pe_positive", "pe_positive_nlp") if name in table), None)
    if name is None:
        raise RecordError("INSPECT's labels have no column pe_positive: leave --require-pe out.")
    return table[name].fillna("").str.upper() == "TRUE"


def _studies(table: pd.DataFrame) -> pd.DataFrame:
    died = table[_LABEL].str.upper().map({"TRUE": "1", "FALSE": "0"}).fillna("")
    return pd.DataFrame(
        {
            "study_id": ("I" + table["impression_id"]).to_numpy(),
            "patient_id": table["person_id"].to_numpy(),
            "index_time": table["index_time"].dt.strftime("%Y-%m-%dT%H:%M:%S").to_numpy(),
            "ct": "",
            "died": died.to_numpy(),
            "split": table["split"].str.lower().map(SPLITS).to_numpy(),
            "site": "",
        }
    )


def _unit_of_times(table: pd.DataFrame) -> str:
    """The unit in which times to death agree with the labels of 30 days; "" where nothing tells.

    Raises:
        RecordError: in none they do.
    """
    if _TIME_TO_DEATH not in table:
        return ""
    time = pd.to_numeric(table[_TIME_TO_DEATH], errors="coerce").to_numpy()
    label = table[_LABEL].str.upper().to_numpy()
    known = ~np.isnan(time) & np.isin(label, ("TRUE", "FALSE"))
    if not known.any():
        return ""
    died = label[known] == "TRUE"
    # A day of slack: months of the labels are calendar's, times are of an hour.
    wrong = {
        unit: float(
            np.mean(
                np.where(died, time[known] > (HORIZON_DAYS + 1) * each, time[known] < (HORIZON_DAYS - 1) * each)
            )
        )
        for unit, each in UNITS_A_DAY.items()
    }
    best = min(wrong, key=lambda unit: wrong[unit])
    if wrong[best] > 0.01:
        raise RecordError(
            f"INSPECT's {_TIME_TO_DEATH} agrees with {_LABEL} in no unit ({wrong[best]:.0%} contradict it in "
            f"{best}): download the labels again."
        )
    if sum(share == wrong[best] for share in wrong.values()) > 1:
        return ""
    return best


def _scans(
    folder: Path, mapping: pd.DataFrame, studies: pd.DataFrame, notes: Counter[str]
) -> dict[str, list[Path]]:
    """The image of each study: of several the one with the most slices; localizers are none."""
    files = {_IMAGE_SUFFIX.sub("", path.name): path for path in sorted(folder.rglob("*.nii*"))}
    slices = _slices(folder)
    images = mapping.assign(image=mapping["image_id"].str.replace(_IMAGE_SUFFIX, "", regex=True))
    images = images[images["image"] != ""].drop_duplicates(["impression_id", "image"])
    localizer = images["image"].map(slices).fillna(np.inf) < FEWEST_SLICES
    notes["images that are localizers"] = int(localizer.sum())
    images = images[~localizer].assign(slices=lambda frame: frame["image"].map(slices).fillna(0.0))
    images = images.sort_values(["slices", "image"], ascending=[False, True])
    best = images.drop_duplicates("impression_id").set_index("impression_id")["image"]
    scans = {}
    for study_id in studies["study_id"]:
        image = best.get(study_id[1:])
        if image in files:
            scans[study_id] = [files[image]]
    notes["studies without an image"] = len(studies) - len(scans)
    return scans


def _slices(folder: Path) -> dict[str, float]:
    """How many slices each image has, where the release says; of several series of one image the largest."""
    if not any(folder.rglob("series_metadata*")):
        return {}
    table = _table(folder, "series_metadata")
    image = table["image_id"].str.replace(_IMAGE_SUFFIX, "", regex=True)
    count = pd.to_numeric(table["num_slices"], errors="coerce")
    return {str(name): float(most) for name, most in count.groupby(image).max().dropna().items()}
