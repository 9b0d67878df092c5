"""What `pefuse explain` left in a run: single cases with their heat, and heat and features against the truth.

    explanations/summary.json               the model, how it was explained, and the order of its cases
    explanations/cases/<study_id>/          case.json, and where they are: ct.nii.gz, heat.nii.gz, slices.png
    explanations/heat_truth.csv             of a simulated cohort: heat and volume of each structure of each study
    explanations/record_truth.csv           of a simulated cohort: how many of the first k features carry signal
    explanations/record_importance.csv      how much each feature of the record counted, by model
    explanations/not_explained.json         models of which that cannot be told, with the reason
    explanations/modality.csv               risks with the scan, or the record, replaced by its average

Any part may be absent. A part that is damaged is named in one line, and the rest is shown.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pefuse.ct.image_files import read_image_file
from pefuse.errors import PefuseError, RunError, ScanError
from pefuse.report.pictures import is_whole_png
from pefuse.types import Volume

__all__ = [
    "Case",
    "CaseFiles",
    "Explanations",
    "Feature",
    "Heat",
    "HeatSummary",
    "StructureHeat",
    "read_explanations",
    "read_heat_truth",
    "read_modality",
    "read_not_explained",
    "read_record_importance",
    "read_record_truth",
    "read_summary",
]

FOLDER = "explanations"
FORMAT = 1
HEAT_COLUMNS = ("model", "study_id", "method", "structure", "heat_share", "volume_share", "hit")
RECORD_COLUMNS = ("model", "method", "k", "precision", "chance")
IMPORTANCE_COLUMNS = ("model", "method", "feature", "importance")
MODALITY_COLUMNS = ("model", "study_id", "label", "risk", "without_scan", "without_record")
_AGAIN = "Run `pefuse explain` again."
_VOLUMES = ("ct.nii.gz", "heat.nii.gz")
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")  # as `pefuse prepare` asks of a study_id

Kind = Literal["missed death", "false alarm", "found death", "rightly low", ""]
_ROUNDING = 1e-6  # of a sum of shares
Share = Annotated[float, Field(ge=-_ROUNDING, le=1 + _ROUNDING)]  # NaN is outside
Risk = Share | None
Model = TypeVar("Model", bound=BaseModel)


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())


class StructureHeat(_Part):
    """How much of a case's heat, and of its scan's volume, lies in one structure."""

    structure: str
    heat_share: Share
    volume_share: Share


class Heat(_Part):
    """Where a case's heat lies; `structures` only where the anatomy is known."""

    slices: list[int] = []
    peak_mm: list[float] | None = None  # LPS
    structures: list[StructureHeat] | None = None


class Feature(_Part):
    """A feature of the record: what it was, what is usual in the cohort, its share of the model's attention."""

    name: str
    text: str
    share: Share
    steps: list[Share] = []
    usual: str = ""


class Case(_Part):
    """One study as the model saw it. Risks are None where they could not be told."""

    study_id: str
    label: Literal[0, 1]
    risk: Share
    called: bool | None = None
    kind: Kind = ""
    scan_alone: Risk = None
    record_alone: Risk = None
    without_scan: Risk = None
    without_record: Risk = None
    features: list[Feature] = []
    heat: Heat | None = None


class HeatSummary(_Part):
    """Which model was explained, and how; `through` says whose risk the heat is evidence for."""

    format: int
    model: str
    threshold: Risk = None
    layer: str = ""
    method: str = ""
    through: str = ""
    cases: list[str] = []


@dataclass(frozen=True, kw_only=True)
class CaseFiles:
    """A case with its pictures: `slices` a PNG, `volumes` the scan in HU and its heat, 0 to 255, on one grid."""

    case: Case
    slices: bytes | None = field(default=None, repr=False)
    volumes: tuple[Volume, Volume] | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Explanations:
    """All that could be read, and a line for each part that could not."""

    summary: HeatSummary
    cases: tuple[CaseFiles, ...]
    problems: tuple[str, ...]


def read_explanations(run: Path) -> Explanations | None:
    """The cases of a run in their order; None where none were made.

    Raises:
        RunError: the summary is damaged, so that nothing can be shown.
    """
    summary = read_summary(run)
    if summary is None:
        return None
    folder = run / FOLDER
    problems: list[str] = []
    cases = [_read_case(folder, study_id, problems) for study_id in dict.fromkeys(summary.cases)]
    return Explanations(
        summary=summary, cases=tuple(case for case in cases if case is not None), problems=tuple(problems)
    )


def read_summary(run: Path) -> HeatSummary | None:
    """What was explained; None where nothing was.

    Raises:
        RunError: it is damaged, or of another version.
    """
    path = run / FOLDER / "summary.json"
    if not path.is_file():
        return None
    try:
        summary = _parsed(path, HeatSummary)
    except _DamagedError as error:
        raise RunError(f"The summary of the explanations {error}. {_AGAIN}") from error
    if summary.format != FORMAT:
        raise RunError(
            f"The explanations have format {summary.format}, but this version reads format {FORMAT}. {_AGAIN}"
        )
    return summary


def read_heat_truth(run: Path) -> pd.DataFrame | None:
    """HEAT_COLUMNS, and "hit_chance" if it is there, a row a model, study, method and structure.

    `hit_chance` is how often a voxel picked at random would hit the structure. None where it was not made.

    Raises:
        RunError: the table is damaged.
    """
    path, shares = run / FOLDER / "heat_truth.csv", ("heat_share", "volume_share", "hit")
    return _read_table(path, HEAT_COLUMNS, shares=shares, optional=("hit_chance",))


def read_record_truth(run: Path) -> pd.DataFrame | None:
    """RECORD_COLUMNS, and "rank" if it is there, a row a model, method and k; None where it was not made.

    Raises:
        RunError: the table is damaged.
    """
    path = run / FOLDER / "record_truth.csv"
    return _read_table(path, RECORD_COLUMNS, shares=("precision", "chance"), optional=("rank",))


def read_record_importance(run: Path) -> pd.DataFrame | None:
    """IMPORTANCE_COLUMNS, a row a model, method and feature; None where it was not made.

    Raises:
        RunError: the table is damaged.
    """
    return _read_table(run / FOLDER / "record_importance.csv", IMPORTANCE_COLUMNS, shares=("importance",))


def read_not_explained(run: Path) -> dict[str, str]:
    """By model the reason why it has no importance of features; empty where there is none.

    Raises:
        RunError: the file is damaged.
    """
    path = run / FOLDER / "not_explained.json"
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path.name} of the explanations cannot be read. {_AGAIN}") from error
    if not isinstance(found, dict) or not all(isinstance(reason, str) for reason in found.values()):
        raise RunError(f"{path.name} of the explanations holds something else than reasons. {_AGAIN}")
    return found


def read_modality(run: Path) -> pd.DataFrame | None:
    """MODALITY_COLUMNS, a row a model and study; None where it was not made.

    Raises:
        RunError: the table is damaged.
    """
    shares = ("label", "risk", "without_scan", "without_record")
    return _read_table(run / FOLDER / "modality.csv", MODALITY_COLUMNS, shares=shares)


class _DamagedError(ValueError):
    """A file that cannot be used; its text follows the file's name."""


def _read_case(folder: Path, study_id: str, problems: list[str]) -> CaseFiles | None:
    if not _SAFE_NAME.fullmatch(study_id):
        problems.append("A case has a name that cannot be a study's, and is left out.")
        return None
    place = folder / "cases" / study_id
    try:
        case = _parsed(place / "case.json", Case)
        if case.study_id != study_id:
            raise _DamagedError("is of another study")
    except _DamagedError as error:
        problems.append(f"Case {study_id} is left out: its case.json {error}.")
        return None
    slices = volumes = None
    try:
        slices = _slices(place / "slices.png")
    except _DamagedError as error:
        problems.append(f"Case {study_id} has no still slices: slices.png {error}.")
    try:
        volumes = _volumes(place)
    except _DamagedError as error:
        problems.append(f"Case {study_id} cannot be opened in the viewer: {error}.")
    return CaseFiles(case=case, slices=slices, volumes=volumes)


def _parsed(path: Path, model: type[Model]) -> Model:
    try:
        return model.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise _DamagedError("is missing") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "content"
        raise _DamagedError(f"is damaged ({where}: {first['msg'].lower()})") from error
    except (OSError, ValueError) as error:
        raise _DamagedError("cannot be read") from error


def _slices(path: Path) -> bytes | None:
    if not path.is_file():
        if any((path.parent / name).is_file() for name in _VOLUMES):
            raise _DamagedError("is missing")
        return None
    content = path.read_bytes()
    if not is_whole_png(content):
        raise _DamagedError("is no whole PNG picture")
    return content


def _volumes(place: Path) -> tuple[Volume, Volume] | None:
    paths = [place / name for name in _VOLUMES]
    if not any(path.is_file() for path in paths):
        return None
    volumes = []
    for path in paths:
        if not path.is_file():
            raise _DamagedError(f"{path.name} is missing")
        try:
            volumes.append(read_image_file(path))
        except PefuseError as error:
            # Its remedy is one for a cohort's scan: leave the study out.
            reason = error.reason if isinstance(error, ScanError) else str(error)
            raise _DamagedError(f"{path.name}: {reason.rstrip('.')}") from error
    ct, heat = volumes
    if ct.hu.shape != heat.hu.shape:
        raise _DamagedError(f"the scan has shape {ct.hu.shape}, its heat {heat.hu.shape}")
    return ct, heat


def _read_table(
    path: Path, columns: tuple[str, ...], *, shares: tuple[str, ...], optional: tuple[str, ...] = ()
) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    try:
        table = pd.read_csv(path, dtype={"study_id": str, "model": str})
    except (OSError, ValueError) as error:
        raise RunError(f"{path.name} of the explanations cannot be read. {_AGAIN}") from error
    if missing := [column for column in columns if column not in table.columns]:
        raise RunError(f'{path.name} of the explanations lacks the column "{missing[0]}". {_AGAIN}')
    for column in shares:
        numbers = pd.to_numeric(table[column], errors="coerce")
        if not numbers.between(-_ROUNDING, 1 + _ROUNDING).all():
            raise RunError(f'{path.name} of the explanations: "{column}" is not always within 0 and 1. {_AGAIN}')
        table[column] = numbers
    kept = [*columns, *(column for column in optional if column in table.columns)]
    return table[kept] if len(table) else None
