"""A site's own rules for its scans: which series to prefer, which never to take, which repairs not to make.

They stand in `scan_rules.yaml` in the cohort's folder, so that every verb reads its scans by the same rules.
"""

from __future__ import annotations

import hashlib
import re
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pefuse.ct.repairs import check_repair_names
from pefuse.errors import UsageError

__all__ = ["MERITS", "RULES_FILE", "ArrayRules", "Merit", "ScanRules", "load_rules", "rules_of"]

RULES_FILE = "scan_rules.yaml"
Merit = Literal["description", "contrast", "thin", "kernel", "original", "coverage", "spacing", "pixels"]
MERITS: tuple[Merit, ...] = (  # contrast first, since without it there is nothing of the embolism to see
    "description",
    "contrast",
    "thin",
    "kernel",
    "original",
    "coverage",
    "spacing",
    "pixels",
)


class ArrayRules(BaseModel):
    """What a bare array (.npy) does not say of itself, the same for all of a cohort.

    spacing_mm: between slices, rows and columns. first_slice: at which end of the body it lies. intercept: is
    added to the stored values, which then are HU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    spacing_mm: tuple[
        Annotated[float, Field(gt=0, le=20)],
        Annotated[float, Field(gt=0, le=20)],
        Annotated[float, Field(gt=0, le=20)],
    ]
    first_slice: Literal["head", "feet"] = "head"
    intercept: Annotated[float, Field(ge=-70_000, le=70_000)] = 0.0


class ScanRules(BaseModel):
    """Rules for choosing and reading a series; what is not given stays as it is by default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    prefer: tuple[Merit, ...] = MERITS  # what decides between usable series, the first that differs
    thin_mm: float = Field(default=3.0, gt=0, le=10)  # thicker blurs subsegmental arteries; CTPA protocols allow 3
    soft_kernels: tuple[str, ...] = ()  # shell patterns of kernel names, such as "Qr*"; before the built-in ones
    sharp_kernels: tuple[str, ...] = ()
    prefer_described: tuple[str, ...] = ()  # regular expressions on the series' description, the best first
    never_described: tuple[str, ...] = ()
    forbid_repairs: tuple[str, ...] = ()  # by their names in ct/repairs.py
    arrays: ArrayRules | None = None

    @field_validator("prefer_described", "never_described")
    @classmethod
    def _compile(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(f"'{pattern}' is no regular expression") from error
        return patterns

    @field_validator("forbid_repairs")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        try:
            check_repair_names(names)
        except UsageError as error:
            raise ValueError(str(error)) from error
        return names

    def kernel_kind(self, kernel: str) -> Literal["soft", "sharp"] | None:
        """What the site says of a kernel; None where it says nothing."""
        if any(fnmatch(kernel.upper(), pattern.upper()) for pattern in self.soft_kernels):
            return "soft"
        if any(fnmatch(kernel.upper(), pattern.upper()) for pattern in self.sharp_kernels):
            return "sharp"
        return None

    def rank_of_description(self, description: str) -> int:
        """The first of `prefer_described` that is found in it; smaller is better."""
        found = (i for i, pattern in enumerate(self.prefer_described) if re.search(pattern, description, re.I))
        return next(found, len(self.prefer_described))

    def forbids_description(self, description: str) -> bool:
        return any(re.search(pattern, description, re.I) for pattern in self.never_described)

    @property
    def fingerprint(self) -> str:
        """The same for the same rules: a scan read by others is read again."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


def load_rules(path: Path) -> ScanRules:
    """Read rules from YAML.

    Raises:
        UsageError: no such file, or something in it that is no rule.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError("The file of scan rules cannot be read: check its path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise UsageError(f"The file of scan rules is not readable as YAML in UTF-8{where}.") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise UsageError("The file of scan rules must hold `key: value` lines, such as `thin_mm: 1.5`.")
    for key in content:
        if key not in ScanRules.model_fields:
            raise UsageError(
                f"Scan rules: there is no key '{key}'. There are {', '.join(ScanRules.model_fields)}."
            )
    try:
        return ScanRules.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(f"Scan rules, {where}: {_in_words(first)}") from error


def _in_words(error: Any) -> str:
    if error["type"] == "tuple_type":
        return "it must be a list, such as [a, b]."
    message = error["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{message}."


def rules_of(cohort_folder: Path) -> ScanRules:
    """The cohort's own rules, or the default ones.

    Raises:
        UsageError: as `load_rules`.
    """
    path = cohort_folder / RULES_FILE
    return load_rules(path) if path.exists() else ScanRules()
