"""Units: from the one a value was recorded in to the one of its concept.

All conversions are `target = factor * value + offset`. What dimensions tell (mg/dL to g/L) is pint's
(`dimensions.py`); what needs a fact of the substance (glucose in mmol/L to mg/dL: its molar mass) stands in
`unit_conversions.csv` with its source, and what both tell together is chained.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pefuse.vocabulary.dimensions import linear_change
from pefuse.vocabulary.tables import read_table

__all__ = ["Conversion", "conversion", "significant", "unit_key"]

_SPELLINGS = {
    "": ("unk", "none", "nan", "n/a"),
    "/min": ("bpm", "insp/min", "beats/min", "breaths/min", "1/min", "min^-1", "min-1", "rpm"),
    "%": ("percent", "pct"),
    "fraction": ("1", "1.0", "proportion"),
    "c": ("cel", "degc", "celsius", "degreesc", "degreescelsius"),
    "f": ("degf", "fahrenheit", "degreesf", "degreesfahrenheit"),
    "k": ("kelvin",),
    "s": ("sec", "secs", "second", "seconds"),
    "in": ("inch", "inches", "in_i"),
    "lb": ("lbs", "lb_av", "pound", "pounds"),
    "oz": ("ounce", "ounces", "oz_av"),
    "mm/h": ("mm/hr",),
    "ph": ("units", "unit", "ph units", "phunits"),
    "ratio": ("inr",),
    "points": ("score", "point"),
    "/ul": ("#/ul", "cells/ul", "/mm3", "/mm^3", "cells/mm3", "1/ul"),
    "10^9/l": ("k/ul", "10^3/ul", "1000/ul", "k/mm3", "10^3/mm3", "thousand/ul", "thou/ul", "th/ul", "gi/l"),
    "10^12/l": ("m/ul", "10^6/mm3", "mil/ul", "million/ul", "mill/ul", "t/l"),
    "u/l": ("units/l",),
    "miu/l": ("mu/l",),
    "mosm/kg": ("mosmol/kg", "mosm/kgh2o"),
    "ml/min/1.73m2": ("ml/min", "ml/min/1.73m^2", "ml/min/bsa"),
}
_KEYS = {spelling: key for key, spellings in _SPELLINGS.items() for spelling in spellings}


@dataclass(frozen=True)
class Conversion:
    """`target = factor * value + offset`."""

    factor: float = 1.0
    offset: float = 0.0

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert, keeping 7 significant digits, so that 0.9 as a share is 90 %, not 89.999998."""
        return significant(significant(values) * self.factor + self.offset)

    def then(self, following: Conversion) -> Conversion:
        """Both, one after the other."""
        return Conversion(self.factor * following.factor, self.offset * following.factor + following.offset)

    def invert(self, target: float) -> float:
        """The recorded value that becomes `target`."""
        return (target - self.offset) / self.factor


@cache
def conversion(concept: str, unit: str, target: str) -> Conversion | None:
    """How values of `concept` recorded in `unit` become `target`; None if nothing tells.

    An unstated unit ("") is taken to be the target: records that leave the unit out use the usual one.
    """
    have, want = unit_key(unit), unit_key(target)
    if have in ("", want):
        return Conversion()
    facts = [*_facts(concept), *_facts("*")]
    direct = next((change for one, other, change in facts if (one, other) == (have, want)), None)
    if direct is not None:
        return direct
    plain = _by_dimension(have, want)
    if plain is not None:
        return plain
    for one, other, change in facts:  # such as umol/l, mmol/l, mg/dl, g/l
        before, after = _by_dimension(have, one), _by_dimension(other, want)
        if before is not None and after is not None:
            return before.then(change).then(after)
    return None


def _by_dimension(have: str, want: str) -> Conversion | None:
    found = (1.0, 0.0) if have == want else linear_change(have, want)
    return None if found is None else Conversion(*found)


@cache
def unit_key(unit: str) -> str:
    """One spelling for each unit: case, blanks, ° and UCUM brackets dropped, µ as u, 10*3 and 10e3 as 10^3."""
    key = re.sub(r"\{[^}]*\}", "", unit.strip().lower())
    key = re.sub(r"[\s\[\]°]", "", key).replace("µ", "u").replace("μ", "u").replace("mcg", "ug")
    key = re.sub(r"^x(?=10)", "", key)
    key = re.sub(r"^10(?:\*|e|\^)\+?0?(?=\d)", "10^", key)
    key = key.replace("l-1", "/l") if key.endswith("l-1") else key
    if key.endswith(("feu", "ddu")):
        key = f"{key[:-3]} {key[-3:]}"
    return _KEYS.get(key, key)


def significant(values: NDArray[np.float64], digits: int = 7) -> NDArray[np.float64]:
    """Round to that many significant digits: float32 records and conversions are no better than 7."""
    values = np.asarray(values, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        magnitude = np.floor(np.log10(np.abs(values)))
    magnitude = np.where(np.isfinite(magnitude), magnitude, 0.0)
    scale = 10.0 ** (digits - 1 - magnitude)
    return np.asarray(np.round(values * scale) / scale)


@cache
def _facts(concept: str) -> tuple[tuple[str, str, Conversion], ...]:
    """Rows of the table for a concept, or for all (`*`): unit, target, conversion."""
    return tuple(
        (unit_key(row["unit"]), unit_key(row["target"]), Conversion(float(row["factor"]), float(row["offset"])))
        for row in read_table("unit_conversions.csv")
        if row["concept"] == concept
    )
