"""`bundle.json`: what a bundle says of itself, its members and its files. docs/bundles.md explains each part."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from pefuse.types import DEATH, FeatureFamily, FeatureKind, FieldOfView

__all__ = [
    "FORMAT",
    "MOST_BYTES",
    "NOTICE",
    "About",
    "Architecture",
    "Calibration",
    "Feature",
    "FileEntry",
    "FusionMember",
    "LateMember",
    "Manifest",
    "MemberEntry",
    "RecordEntry",
    "RecordMember",
    "ScanEntry",
    "ScanMember",
    "Threshold",
    "TrainingCohort",
    "TreesMember",
    "files_of",
]

FORMAT: Literal[2] = 2  # a reader takes this one alone
NOTICE = "Research use only: not a medical device. Not for diagnosis, triage or treatment."
MOST_BYTES = 32 * 2**30  # of all files together, held in memory while they are checked; 25 wide members need 7

Architecture = Literal["scan", "record", "trees", "late", "fusion"]
# Plain names in one folder: nothing here can point elsewhere.
FileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,99}\.(safetensors|json)$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Text = Annotated[str, Field(max_length=2_000)]
Options = dict[str, JsonValue]  # of a network: models/restore.py checks them
Hu = Annotated[float, Field(ge=-40_000, le=40_000)]
Shift = Annotated[float, Field(ge=-50, le=50)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Threshold(_Strict):
    """A case is called positive where its ensemble's risk is at least `value`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    value: Annotated[float, Field(ge=0, le=1)]
    chosen_on: Text


class Calibration(_Strict):
    """What was done to make risks probabilities; `fitted` tells whether anything was learned for it."""

    fitted: bool
    method: Text


class Feature(_Strict):
    """A column of the record that the model reads. `key` finds it in a record; the unit must be the same."""

    key: Text
    name: Text
    family: FeatureFamily
    kind: FeatureKind
    unit: Text


class TrainingCohort(_Strict):
    """Whom the model learned from and was validated with, in counts. No test study is among them."""

    simulated: bool
    horizon_days: Annotated[int, Field(ge=1)]
    outcome: str = DEATH
    studies: Annotated[int, Field(ge=0)]
    patients: Annotated[int, Field(ge=0)]
    deaths: Annotated[int, Field(ge=0)]
    first_year: int | None
    last_year: int | None
    age_mean: float | None
    age_sd: float | None
    female_share: float | None


class About(_Strict):
    """All that a bundle says but its members and files.

    `grid` and `field_of_view` are None where no scan is read. `inputs`: a digest of what the bundle was made from.
    """

    notice: Text = NOTICE
    written_by: Text
    model: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
    grid: Annotated[int, Field(ge=16, le=512)] | None
    field_of_view: FieldOfView | None
    ensemble: Literal["mean of the members' risks"] = "mean of the members' risks"
    thresholds: tuple[Threshold, ...]
    calibration: Calibration
    cohort: TrainingCohort
    features: tuple[Feature, ...]
    config: dict[str, JsonValue]
    inputs: Text


class ScanEntry(_Strict):
    """The image encoder's options and how HU become its input."""

    network_kind: Literal["sanet", "swin"]
    network: Options
    window_hu: tuple[Hu, Hu]
    mean: Annotated[float, Field(ge=-0.01, le=1.01)]  # of the window scaled to 0..1
    sd: Annotated[float, Field(ge=1e-7, le=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.window_hu[0] >= self.window_hu[1]:
            raise ValueError("the window's lower end must be below its upper end")
        return self


class RecordEntry(_Strict):
    """TabNet's options and how the record becomes its input."""

    network: Options
    preparation: FileName


class _Member(_Strict):
    seed: Annotated[int, Field(ge=0)]
    fold: Annotated[int, Field(ge=0)]


class ScanMember(_Member):
    """A network of the scan alone."""

    architecture: Literal["scan"] = "scan"
    tensors: FileName
    scan: ScanEntry
    logit_shift: Shift


class RecordMember(_Member):
    """TabNet."""

    architecture: Literal["record"] = "record"
    tensors: FileName
    record: RecordEntry
    logit_shift: Shift


class TreesMember(_Member):
    """XGBoost; its file holds the shift of its logits."""

    architecture: Literal["trees"] = "trees"
    trees: FileName
    preparation: FileName


class LateMember(_Member):
    """Both single modalities, and what joins their risks: weights, thresholds, a TabNet or trees."""

    architecture: Literal["late"] = "late"
    tensors: FileName
    scan: ScanEntry
    scan_shift: Shift
    record: RecordEntry
    record_shift: Shift
    combiner: Literal["late-average", "late-vote", "late-tabnet", "late-xgboost"]
    settings: Options  # of the combiner
    trees: FileName | None = None


class FusionMember(_Member):
    """Both encoders and the fusion of what it takes of them; `end_to_end`: all of it was trained together."""

    architecture: Literal["fusion"] = "fusion"
    tensors: FileName
    scan: ScanEntry
    record: RecordEntry
    fusion_kind: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
    fusion: Options
    end_to_end: bool
    logit_shift: Shift
    trees: FileName | None = None


MemberEntry = Annotated[
    ScanMember | RecordMember | TreesMember | LateMember | FusionMember, Field(discriminator="architecture")
]


class FileEntry(_Strict):
    """What a file must be, byte for byte."""

    bytes: Annotated[int, Field(ge=1, le=MOST_BYTES)]
    sha256: Sha256


class Manifest(About):
    """The whole of `bundle.json`."""

    format: Literal[2] = FORMAT
    architecture: Architecture
    members: Annotated[tuple[MemberEntry, ...], Field(min_length=1, max_length=1_000)]
    files: Annotated[dict[FileName, FileEntry], Field(min_length=1, max_length=3_000)]

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if any(member.architecture != self.architecture for member in self.members):
            raise ValueError("a member is of another architecture than the bundle")
        if len({(member.seed, member.fold) for member in self.members}) < len(self.members):
            raise ValueError("two members have the same seed and fold")
        if set(self.files) != {name for member in self.members for name in files_of(member)}:
            raise ValueError("the files are not those that the members name")
        if "bundle.json" in self.files:
            raise ValueError("bundle.json cannot list itself")
        if sum(entry.bytes for entry in self.files.values()) > MOST_BYTES:
            raise ValueError("the files are too large")
        if (self.grid is None) == any(hasattr(member, "scan") for member in self.members):
            raise ValueError("a model of scans, and no other, has a grid")
        if (self.grid is None) != (self.field_of_view is None):
            raise ValueError("a grid and a field of view go together")
        return self


def files_of(member: Any) -> tuple[str, ...]:
    """The names of the files that a member's entry needs."""
    match member:
        case TreesMember():
            return member.trees, member.preparation
        case ScanMember():
            return (member.tensors,)
        case RecordMember():
            return member.tensors, member.record.preparation
        case LateMember() | FusionMember():
            trees = () if member.trees is None else (member.trees,)
            return member.tensors, member.record.preparation, *trees
    raise TypeError(f"{type(member).__name__} is not a member's entry")
