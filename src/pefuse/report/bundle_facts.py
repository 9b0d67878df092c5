"""What a bundle says of itself, read as JSON once its bytes are known to be right: no model is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pefuse.errors import BundleError
from pefuse.sealed import REMEDY, read_file, read_manifest, sha256_of

__all__ = ["BundleFacts", "FeatureFacts", "TrainingFacts", "read_bundle_facts"]


class _Known(BaseModel):
    """What is not asked for here is left to the reader of bundles, which checks all of it."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ThresholdFacts(_Known):
    name: str
    value: float
    chosen_on: str


class CalibrationFacts(_Known):
    fitted: bool
    method: str


class FeatureFacts(_Known):
    """A column of the record that the model reads."""

    name: str
    family: str
    kind: str
    unit: str


class TrainingFacts(_Known):
    """Whom the model learnt from and was validated with, in counts."""

    simulated: bool
    horizon_days: int
    outcome: str
    studies: int
    patients: int
    deaths: int
    first_year: int | None
    last_year: int | None
    age_mean: float | None
    age_sd: float | None
    female_share: float | None


class FileFacts(_Known):
    bytes: int
    sha256: str


class BundleFacts(_Known):
    """All that a model card tells of a bundle. `sha256` stands for the whole of it."""

    sha256: str = ""
    format: int
    notice: str
    written_by: str
    model: str
    architecture: str
    grid: int | None
    field_of_view: str | None
    ensemble: str
    thresholds: tuple[ThresholdFacts, ...]
    calibration: CalibrationFacts
    cohort: TrainingFacts
    features: tuple[FeatureFacts, ...]
    members: tuple[dict[str, Any], ...]
    files: dict[str, FileFacts]

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files.values())


def read_bundle_facts(folder: Path) -> BundleFacts:
    """The facts of a bundle whose every file has the hash that it was written with.

    Raises:
        UsageError: there is no bundle in the folder.
        BundleError: a file is missing, damaged or not as a bundle has it.
    """
    content = read_manifest(folder)
    try:
        facts = BundleFacts.model_validate_json(content)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "its content"
        raise BundleError(f"The bundle's bundle.json is not valid at {where}. {REMEDY}") from error
    for name, entry in facts.files.items():
        if Path(name).name != name:
            raise BundleError(f"The bundle's bundle.json names a file outside its folder. {REMEDY}")
        read_file(folder, name, entry)
    return facts.model_copy(update={"sha256": sha256_of(content)})
