"""Units that differ by dimension analysis alone (mg/dL and g/L, kPa and mmHg): pint, with units of our own.

pint's usual registry is not fit for laboratory units: its `U` is an atomic mass, its `c` the speed of light, and
it tells capital letters from small ones, which hospitals do not. So it is given a short list of units in the
spelling of `unit_key`, and knows no others.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pint

__all__ = ["linear_change"]

_PREFIXES = (
    "f- = 1e-15",
    "p- = 1e-12",
    "n- = 1e-9",
    "u- = 1e-6",
    "m- = 1e-3",
    "c- = 1e-2",
    "d- = 1e-1",
    "k- = 1e3",
)
_UNITS = (
    "g = [mass]",
    "lb = 453.59237 * g",  # NIST SP 811
    "oz = 28.349523125 * g",
    "m = [length]",
    "in = 0.0254 * m",
    "ft = 0.3048 * m",
    "l = 0.001 * m ** 3",
    "s = [time]",
    "min = 60 * s",
    "h = 3600 * s",
    "day = 86400 * s",
    "pa = 1000 * g / m / s ** 2",
    "mmhg = 133.3224 * pa",  # NIST SP 811
    "cmh2o = 98.0665 * pa",
    "k = [temperature]",
    "c = k; offset: 273.15",
    "f = 5 / 9 * k; offset: 255.3722222222222",
    "mol = [substance]",
    "eq = [charge]",
    "osm = [osmoles]",
    "u = [enzyme]",  # enzyme activity; not the international unit, which is a hormone's or a drug's own
    "kat = 60e6 * u",
    "iu = [activity]",
    "feu = [fibrinogen_equivalents]",  # D-dimer
    "ddu = 2 * feu",
    "fraction = []",
    "ratio = fraction",
    "percent = 0.01 * fraction",
)
# Nothing but names, powers of ten and the marks between them is given to pint's parser.
_NAME = re.compile(r"[a-z]+|cmh2o")
_EXPRESSION = re.compile(rf"(?:10\*\*\d{{1,2}}|1|{_NAME.pattern})(?:[/* ](?:10\*\*\d{{1,2}}|{_NAME.pattern}))*")


def linear_change(have: str, want: str) -> tuple[float, float] | None:
    """Factor and offset from one unit to another, as `unit_key` spells them; None if they are not of one kind."""
    one, other = _parsed(have), _parsed(want)
    if one is None or other is None or one.dimensionality != other.dimensionality:
        return None
    if _is_temperature(one):
        zero, hundred = (
            _registry().Quantity(value, one.units).to(other.units).magnitude for value in (0.0, 100.0)
        )
        return (hundred - zero) / 100.0, zero
    return float((one / other).to_base_units().magnitude), 0.0


def _is_temperature(quantity: Any) -> bool:
    return bool(quantity.dimensionality == _registry().Quantity(1, "k").dimensionality)


@cache
def _parsed(unit: str) -> Any:
    """One of the unit, or None where it has a part that is not in the list."""
    text = unit.replace("%", "percent").replace("^", "**")
    text = re.sub(r"^/", "1/", text)
    if not _EXPRESSION.fullmatch(text):
        return None
    import pint

    try:
        # A temperature can stand alone only: pint makes no product of a unit with an offset.
        return _registry().Quantity(1, text) if _NAME.fullmatch(text) else _registry()(text)
    except pint.PintError:
        return None


@cache
def _registry() -> pint.UnitRegistry[Any]:
    import pint  # a quarter of a second, which records in usual units need not wait

    registry: pint.UnitRegistry[Any] = pint.UnitRegistry(None, autoconvert_offset_to_baseunit=True)
    for line in (*_PREFIXES, *_UNITS):
        registry.define(line)
    return registry
