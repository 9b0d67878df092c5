"""What the record says of a patient, feature by feature, in words: "lactate 5.1 mmol/L", "lactate not measured".

A feature is a column of the raw record. A model may see it as several columns (its value, whether it is missing,
one for each category); an explanation adds these up again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pefuse.ehr import PreparedColumn, RawRecord
from pefuse.models.bundle import Bundle, Feature

__all__ = ["FeatureWords", "features_of"]

SILENT_UNITS = ("ratio",)  # said by the name already
MEASURED_FAMILIES = ("vital", "lab", "score")
PRESENCE = " measured or not"  # ends the name of a feature of which only that is read
TIGHT_UNITS = ("/", "°")  # written without a space: 112/min, 36.9°C


def features_of(bundle: Bundle) -> dict[str, Feature]:
    """The features that a bundle reads, by key.

    Of a measurement that it knows only to be there or not, the name says so: its value is not what counted.
    """
    columns = [
        column
        for member in bundle.members
        for column in (member.model.preparation.columns if member.model.preparation is not None else ())
    ]
    names = {feature.key: feature for feature in bundle.about.features}
    read = {column.key for column in columns}
    valued = {column.key for column in columns if column.role != "missing"}
    found = {}
    for key in [*names, *sorted(read - set(names))]:
        feature = names.get(key) or _of_column(next(column for column in columns if column.key == key))
        found[key] = _presence(feature) if key in read - valued else feature
    return found


def _of_column(column: PreparedColumn) -> Feature:
    return Feature(key=column.key, name=column.name, family=column.family, kind=column.kind, unit=column.unit)


def _presence(feature: Feature) -> Feature:
    bare = feature.name.removesuffix(f" ({feature.unit})")
    return feature.model_copy(update={"name": f"{bare}{PRESENCE}", "kind": "binary", "unit": ""})


@dataclass(frozen=True, kw_only=True)
class FeatureWords:
    """Values of features in words.

    `reference`: the studies that "usual" is told of, say those that the model learned from.
    """

    record: RawRecord = field(repr=False)
    reference: Sequence[str] = field(default=(), repr=False)

    def name(self, feature: Feature) -> str:
        """Without its unit and without "drug: ", which the words around it say."""
        return feature.name.removesuffix(f" ({feature.unit})").removeprefix("drug: ")

    def unit(self, feature: Feature) -> str:
        """ "" where the number has none, or the name says it."""
        return "" if feature.unit in SILENT_UNITS or feature.kind != "continuous" else feature.unit

    def value(self, feature: Feature, study_id: str) -> float | None:
        """The number, or 1 and 0 for recorded (or measured) and not; None where it is missing or a word."""
        if feature.kind == "categorical" or (place := self.record.place(feature.key)) is None:
            return None if feature.kind != "binary" else 0.0
        if self.record.columns[place].kind == "categorical":
            return None
        number = float(self.record.numbers(place)[self.record.rows([study_id])[0]])
        if _is_presence(feature):
            return float(not np.isnan(number))
        return None if np.isnan(number) else number

    def text(self, feature: Feature, study_id: str) -> str:
        """Name and value, with the unit: what a clinician would write."""
        name = self.name(feature)
        if feature.kind == "categorical":
            word = self._word(feature, study_id)
            return f"{name}: {word}" if word else f"{name} not recorded"
        value = self.value(feature, study_id)
        if value is None:
            return f"{name} not {'measured' if feature.family in MEASURED_FAMILIES else 'known'}"
        if _is_presence(feature):
            return f"{name.removesuffix(PRESENCE)} {'measured' if value else 'not measured'}"
        if feature.kind == "binary":
            return f"{name}: {'recorded' if value else 'not recorded'}"
        if self._is_yes_or_no(feature):
            return f"{name}: {'yes' if value else 'no'}"
        return f"{name} {_with_unit(_number(value), self.unit(feature))}"

    def usual(self, feature: Feature) -> str:
        """Of the reference studies: median and quartiles of a number, the share of a mark, the commonest word."""
        place = self.record.place(feature.key)
        if place is None or not self.reference:
            return ""
        rows = self.record.rows(self.reference)
        if feature.kind == "categorical":
            return _commonest(self.record.levels(place)[rows])
        numbers = self.record.numbers(place)[rows]
        if _is_presence(feature):
            return f"measured in {100 * (~np.isnan(numbers)).mean():.0f} %"
        present = numbers[~np.isnan(numbers)]
        if not len(present):
            return ""
        if feature.kind == "binary" or self._is_yes_or_no(feature):
            said = "recorded in" if feature.kind == "binary" else "yes in"
            return f"{said} {100 * present.mean():.0f} %"
        low, middle, high = np.percentile(present, (25, 50, 75))
        return f"{_number(middle)} ({_number(low)} to {_number(high)})"

    def _word(self, feature: Feature, study_id: str) -> str:
        place = self.record.place(feature.key)
        if place is None:
            return ""
        return str(self.record.levels(place)[self.record.rows([study_id])[0]]).replace("_", " ")

    def _is_yes_or_no(self, feature: Feature) -> bool:
        """A number without a unit that is only ever 0 or 1, such as altered mental status."""
        place = self.record.place(feature.key)
        if feature.kind != "continuous" or feature.unit or place is None:
            return False
        inside = self.record.values[:, [place]].data
        return bool(len(inside)) and feature.family in MEASURED_FAMILIES and bool(np.isin(inside, (0, 1)).all())


def _is_presence(feature: Feature) -> bool:
    return feature.name.endswith(PRESENCE)


def _number(value: float) -> str:
    """Three digits, but whole numbers whole: 5.1, 36.9, 112, 12,400."""
    size = abs(value)
    decimals = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 else 4
    shown = f"{value:,.{decimals}f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return "0" if shown == "-0" else shown


def _with_unit(number: str, unit: str) -> str:
    return f"{number}{unit}" if unit.startswith(TIGHT_UNITS) else f"{number} {unit}".strip()


def _commonest(words: NDArray[np.object_]) -> str:
    present = words[words != ""].astype(str)
    if not len(present):
        return ""
    found, counts = np.unique(present, return_counts=True)
    most = int(np.argmax(counts))
    return f"{str(found[most]).replace('_', ' ')} ({100 * counts[most] / len(present):.0f} %)"
