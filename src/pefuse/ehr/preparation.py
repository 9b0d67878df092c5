"""From the raw record to a matrix for a model: everything here is learned from the training fold alone.

Drops what cannot teach (constants, identifiers, rare diagnoses), marks what is missing, scales what is measured.
Binary columns stay 0 or 1, so that a table of them stays readable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_validator

from pefuse.ehr.options import FeatureOptions
from pefuse.ehr.record import RawColumn, RawRecord
from pefuse.errors import RecordError, UsageError
from pefuse.types import EhrFeatures, FeatureColumn, FeatureFamily, FeatureKind

__all__ = ["FeaturePreparation", "PreparationConfig", "PreparedColumn"]

FORMAT = 1  # of the JSON form
MISSING_LEVEL = "missing"
SKEWED = 1.0  # sample skewness above which a logarithm is tried
FEWEST_FOR_IDENTIFIER = 20  # rows below which "all different" says nothing
IDENTIFIER_SHARE = 0.9  # of different levels among the present ones of a text

Role = Literal["number", "flag", "mark", "missing", "level", "category"]


@dataclass(frozen=True, kw_only=True)
class PreparationConfig:
    """What to keep and how to scale; shares are of the training fold."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    min_diagnosis_share: float = 0.05  # the paper's rule for ICD codes; for procedures and observations too
    min_medication_share: float = 0.0  # the paper keeps all 641 classes
    min_level_share: float = 0.01  # of a categorical level; rarer ones share "none of the levels"
    min_present_share: float = 0.01  # a number present in fewer rows is dropped
    missing_indicators: bool = True  # where between 1 % and 99 % are missing
    log_skewed: bool = True  # logarithm of right-skewed positive numbers
    clip_sd: float = 5.0
    impute: Literal["mean", "median"] = "mean"
    categorical: Literal["one-hot", "codes"] = "one-hot"

    def __post_init__(self) -> None:
        shares = (
            self.min_diagnosis_share,
            self.min_medication_share,
            self.min_level_share,
            self.min_present_share,
        )
        if not all(0 <= share <= 1 for share in shares):
            raise UsageError("A share of the preparation is outside 0 to 1.")
        if not 0 < self.clip_sd < math.inf:
            raise UsageError(f"clip_sd is {self.clip_sd:g}: it must be above 0.")
        if self.impute not in ("mean", "median") or self.categorical not in ("one-hot", "codes"):
            raise UsageError("The preparation knows impute = mean or median, and categorical = one-hot or codes.")


@dataclass(frozen=True, kw_only=True)
class PreparedColumn:
    """One column of the matrix and how it comes from the raw column `key`.

    role: number (scaled), flag (a number that is 0 or 1), mark (set or not), missing (1 = the number is missing),
    level (1 = the text is `levels[0]`), category (position of the text in `levels` plus 1, 0 = none of them).
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    name: str
    key: str
    family: FeatureFamily
    kind: FeatureKind
    role: Role
    unit: str = ""
    levels: tuple[str, ...] = ()
    logarithm: bool = False
    mean: float = 0.0  # of the number, or of log(1 + number)
    sd: float = 1.0
    fill: float = 0.0  # a missing number, before scaling and not logarithmic

    @property
    def feature(self) -> FeatureColumn:
        return FeatureColumn(name=self.name, family=self.family, kind=self.kind, unit=self.unit)


@dataclass(frozen=True, kw_only=True)
class FeaturePreparation:
    """A fitted preparation. `dropped` tells which raw columns were left out and why (it is not saved)."""

    config: PreparationConfig
    columns: tuple[PreparedColumn, ...]
    fitted_on: int  # number of training studies
    options: FeatureOptions = field(default_factory=FeatureOptions)  # that the record was made with
    dropped: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def fit(
        cls, raw: RawRecord, study_ids: Sequence[str], *, config: PreparationConfig | None = None
    ) -> FeaturePreparation:
        """Learn from `study_ids` (the training fold) of `raw`; the other studies have no say.

        Raises:
            RecordError: fewer than two studies, or nothing in them that differs between studies.
        """
        config = config or PreparationConfig()
        rows = raw.rows(study_ids)
        if len(rows) < 2:
            raise RecordError(
                f"A preparation was asked for from {len(rows)} training studies: it needs 2 or more."
            )
        columns: list[PreparedColumn] = []
        dropped: dict[str, str] = {}
        for place, column in enumerate(raw.columns):
            fitted, reason = _FITTERS[column.kind](raw, place, rows, config)
            columns += fitted
            if reason:
                dropped[column.name] = reason
        if not columns:
            raise RecordError("No feature differs between the training studies: the record teaches nothing.")
        return cls(
            config=config, columns=tuple(columns), fitted_on=len(rows), options=raw.options, dropped=dropped
        )

    def transform(
        self, raw: RawRecord, study_ids: Sequence[str], *, scale: bool = True, impute: bool = True
    ) -> EhrFeatures:
        """The matrix `(N, D)` float32 of `study_ids`, in the columns found by `fit`.

        Args:
            raw: extracted from any cohort; a feature that it never saw is missing, or a mark not set.
            study_ids: which studies, in this order.
            scale: False gives numbers in their own units, unclipped (for trees).
            impute: False leaves missing numbers NaN.

        Raises:
            RecordError: a feature has another unit or kind than in training, or the record was read otherwise.
        """
        if raw.options != self.options:
            raise RecordError(
                "The record was read with other feature options than in training: read it with those."
            )
        rows = raw.rows(study_ids)
        values = np.empty((len(rows), len(self.columns)), dtype=np.float32)
        for place, column in enumerate(self.columns):
            values[:, place] = _column_values(column, raw, rows, scale, impute, self.config.clip_sd)
        return EhrFeatures(
            study_ids=tuple(study_ids), values=values, columns=tuple(column.feature for column in self.columns)
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON content (dicts, lists, text, numbers), for the bundle."""
        return {
            "format": FORMAT,
            "config": asdict(self.config),
            "fitted_on": self.fitted_on,
            "options": _as_json(self.options),
            "columns": [{**asdict(column), "levels": list(column.levels)} for column in self.columns],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> FeaturePreparation:
        """What `to_json` gave.

        Raises:
            RecordError: the content is not that of a preparation, or of another format version.
        """
        if content.get("format") != FORMAT:
            raise RecordError(f"The saved preparation is not of format {FORMAT}: train the model again.")
        try:
            saved = _Saved.model_validate(content)
        except (UsageError, ValueError) as error:
            raise RecordError("The saved preparation is damaged: train the model again.") from error
        return cls(config=saved.config, columns=saved.columns, fitted_on=saved.fitted_on, options=saved.options)

    def only(self, places: Sequence[int] | NDArray[np.intp]) -> FeaturePreparation:
        """The same preparation with these columns alone, in this order; each is prepared as before."""
        return replace(self, columns=tuple(self.columns[place] for place in places))


def _as_json(options: FeatureOptions) -> dict[str, Any]:
    return {
        **asdict(options),
        "lookback_days": dict(options.lookback_days),
        "families": list(options.families),
        "measured": list(options.measured),
        "diagnosis_groups": list(options.diagnosis_groups),
    }


class _Saved(BaseModel):
    """The JSON form, checked: what stands in it decides numbers."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    format: int
    config: PreparationConfig
    fitted_on: int
    options: FeatureOptions = FeatureOptions()  # bundles of before there were any have none
    columns: Annotated[tuple[PreparedColumn, ...], Field(min_length=1)]

    @field_validator("columns")
    @classmethod
    def _usable(cls, columns: tuple[PreparedColumn, ...]) -> tuple[PreparedColumn, ...]:
        for column in columns:
            if column.sd <= 0 or not np.isfinite([column.mean, column.sd, column.fill]).all():
                raise ValueError("a column's scale is not a positive number")
            if (column.role == "level") > (len(column.levels) == 1):
                raise ValueError("a level has no text, or several")
        return columns


# --- fit: each gives the prepared columns and, where the raw column itself is left out, the reason

_Fitted = tuple[list[PreparedColumn], str]


def _fit_number(raw: RawRecord, place: int, rows: NDArray[np.intp], config: PreparationConfig) -> _Fitted:
    column, values = raw.columns[place], raw.numbers(place)[rows]
    present = values[~np.isnan(values)]
    share = len(present) / len(values)
    if len(present) == 0 or share < config.min_present_share:
        return [], "missing in almost all"
    if _is_identifier_number(column, present):
        return [], "identifier"
    indicators = _indicator(column, 1 - share, config)
    if present.min() == present.max():
        return indicators, "constant"
    if np.isin(present, (0.0, 1.0)).all():
        return [_flag(column, present), *indicators], ""
    return [_number(column, present, config), *indicators], ""


def _number(column: RawColumn, present: NDArray[np.float64], config: PreparationConfig) -> PreparedColumn:
    logarithm = config.log_skewed and _gains_from_logarithm(present)
    shown = np.log1p(present) if logarithm else present
    mean, sd = float(shown.mean()), float(shown.std())
    centre = mean if config.impute == "mean" else float(np.median(shown))
    return PreparedColumn(
        name=column.name,
        key=column.key,
        family=column.family,
        kind="continuous",
        role="number",
        unit=column.unit,
        logarithm=logarithm,
        mean=mean,
        sd=sd,
        fill=float(np.expm1(centre)) if logarithm else centre,
    )


def _flag(column: RawColumn, present: NDArray[np.float64]) -> PreparedColumn:
    """A number that is only ever 0 or 1; a missing one becomes the commoner of the two."""
    return PreparedColumn(
        name=column.name,
        key=column.key,
        family=column.family,
        kind="binary",
        role="flag",
        unit=column.unit,
        fill=float(present.mean() >= 0.5),
    )


def _indicator(column: RawColumn, missing_share: float, config: PreparationConfig) -> list[PreparedColumn]:
    if not config.missing_indicators or not 0.01 <= missing_share <= 0.99:
        return []
    name = column.name.removesuffix(f" ({column.unit})")
    return [
        PreparedColumn(name=f"{name} missing", key=column.key, family=column.family, kind="binary", role="missing")
    ]


def _fit_mark(raw: RawRecord, place: int, rows: NDArray[np.intp], config: PreparationConfig) -> _Fitted:
    column = raw.columns[place]
    share = float(raw.numbers(place)[rows].mean())
    least = dict.fromkeys(("diagnosis", "procedure", "observation"), config.min_diagnosis_share)
    least["medication"] = config.min_medication_share
    if share in (0.0, 1.0):
        return [], "constant"
    if share < least.get(str(column.family), 0.0):
        return [], "rare"
    mark = PreparedColumn(name=column.name, key=column.key, family=column.family, kind="binary", role="mark")
    return [mark], ""


def _fit_text(raw: RawRecord, place: int, rows: NDArray[np.intp], config: PreparationConfig) -> _Fitted:
    column, texts = raw.columns[place], raw.levels(place)[rows]
    present = texts[texts != ""]
    found, counts = np.unique(np.where(texts == "", MISSING_LEVEL, texts).astype(str), return_counts=True)
    if len(present) >= FEWEST_FOR_IDENTIFIER and len(set(present)) >= IDENTIFIER_SHARE * len(present):
        return [], "identifier"
    if len(found) == 1:
        return [], "constant"
    levels = [str(level) for level in found[counts >= max(1.0, config.min_level_share * len(rows))]]
    if config.categorical == "codes":
        return [_category(column, levels)], "" if levels else "rare"
    if len(levels) == 2 and len(found) == 2:
        levels = levels[1:]  # the other one says the same
    return [_level(column, level) for level in levels], "" if levels else "rare"


def _category(column: RawColumn, levels: Sequence[str]) -> PreparedColumn:
    return PreparedColumn(
        name=column.name,
        key=column.key,
        family=column.family,
        kind="categorical",
        role="category",
        levels=tuple(levels),
    )


def _level(column: RawColumn, level: str) -> PreparedColumn:
    return PreparedColumn(
        name=f"{column.name}: {level}",
        key=column.key,
        family=column.family,
        kind="binary",
        role="level",
        levels=(level,),
    )


_FITTERS: dict[FeatureKind, Callable[[RawRecord, int, NDArray[np.intp], PreparationConfig], _Fitted]] = {
    "continuous": _fit_number,
    "binary": _fit_mark,
    "categorical": _fit_text,
}


def _is_identifier_number(column: RawColumn, present: NDArray[np.float64]) -> bool:
    """Whole numbers that are all different, in a user's own table: a row or case number.

    Measurements are left alone: a few hundred whole-numbered platelet counts can all differ.
    """
    return (
        column.family == "table"
        and len(present) >= FEWEST_FOR_IDENTIFIER
        and len(np.unique(present)) == len(present)
        and bool((present == np.round(present)).all())
    )


def _gains_from_logarithm(present: NDArray[np.float64]) -> bool:
    if len(present) < 8 or present.min() < 0:
        return False
    before = _skewness(present)
    return before > SKEWED and abs(_skewness(np.log1p(present))) < before


def _skewness(values: NDArray[np.float64]) -> float:
    centred = values - values.mean()
    spread = values.std()
    return float(np.mean(centred**3) / spread**3) if spread > 0 else 0.0


# --- transform


def _column_values(
    column: PreparedColumn, raw: RawRecord, rows: NDArray[np.intp], scale: bool, impute: bool, clip_sd: float
) -> NDArray[np.float64]:
    place = raw.place(column.key)
    if place is not None:
        _check_same(column, raw.columns[place])
    if column.role in ("level", "category"):
        texts = raw.levels(place)[rows] if place is not None else np.full(len(rows), "", dtype=object)
        return _coded(texts, column.levels)
    if column.role == "mark":
        return raw.numbers(place)[rows] if place is not None else np.zeros(len(rows))
    numbers = raw.numbers(place)[rows] if place is not None else np.full(len(rows), np.nan)
    if column.role == "missing":
        return np.isnan(numbers).astype(np.float64)
    if impute:
        numbers = np.where(np.isnan(numbers), column.fill, numbers)
    return _scaled(numbers, column, clip_sd) if scale and column.role == "number" else numbers


def _scaled(numbers: NDArray[np.float64], column: PreparedColumn, clip_sd: float) -> NDArray[np.float64]:
    shown = np.log1p(np.maximum(numbers, 0.0)) if column.logarithm else numbers
    return np.clip((shown - column.mean) / column.sd, -clip_sd, clip_sd)


def _coded(texts: NDArray[np.object_], levels: tuple[str, ...]) -> NDArray[np.float64]:
    """Position in `levels` plus 1, 0 = none of them; with one level that is simply 1 or 0."""
    code_of = {level: float(number) for number, level in enumerate(levels, start=1)}
    return np.array([code_of.get(text or MISSING_LEVEL, 0.0) for text in texts], dtype=np.float64)


def _check_same(column: PreparedColumn, found: RawColumn) -> None:
    trained_on_text = column.role in ("level", "category")
    if trained_on_text != (found.kind == "categorical"):
        raise RecordError(
            f"Feature '{column.name}' was {'text' if trained_on_text else 'a number'} in training and now is not: "
            "bring the column to the form that the model was trained on."
        )
    if (column.role == "mark") != (found.kind == "binary") and not trained_on_text:
        was, now = ("set or not", "a number") if column.role == "mark" else ("a number", "set or not")
        raise RecordError(
            f"Feature '{column.name}' was {was} in training and now is {now}: "
            "bring the column to the form that the model was trained on."
        )
    if column.unit and found.unit != column.unit:
        raise RecordError(
            f"Feature '{column.name}' is in '{found.unit}' but was in '{column.unit}' in training: convert it."
        )
