"""The mapping of a CSV import: which file and column is what; `pefuse import csv --guess` writes a first one."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pefuse.errors import UsageError
from pefuse.vocabulary import concepts, conversion, read_table

__all__ = ["ASK", "CsvForm", "CsvMapping", "EventColumns", "EventTable", "WideFeature", "load_mapping"]

ASK = "ask"  # what a guess writes where a person has to decide


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CsvForm(_Strict):
    """How the files are written; the same for all of a mapping."""

    encoding: str = "utf-8"
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ",", "ask"] = "."
    dates: Literal["iso", "day-first", "month-first", "ask"] = "iso"


class StudiesTable(_Strict):
    """One row a study. `columns`: the cohort's column, and the file's; `values`: what its cells mean."""

    file: str
    columns: dict[str, str]
    values: dict[str, dict[str, str]] = {}


class WideFeature(_Strict):
    """A column of the studies' table that was known before the scan."""

    column: str
    concept: str = ""
    unit: str = ""
    kind: str = ""
    name: str = ""


class EventColumns(_Strict):
    patient_id: str
    time: str
    code: str
    value: str = ""
    unit: str = ""


class EventTable(_Strict):
    """One row an event. `system` goes before each code: LAB, VITAL, MEDICATION//IN, ICD10CM and so on."""

    file: str
    system: str
    columns: EventColumns


class CsvMapping(_Strict):
    form: CsvForm = CsvForm()
    studies: StudiesTable
    features: tuple[WideFeature, ...] = ()
    events: tuple[EventTable, ...] = ()
    codes: str = ""  # a codes.csv of the user's own, taken over


def load_mapping(path: Path) -> CsvMapping:
    """Read a mapping.

    Raises:
        UsageError: no such file, something in it that is no mapping, or a question that is not answered.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            "The mapping cannot be read: name the YAML file that `import csv --guess` writes."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise UsageError(f"The mapping is not readable as YAML in UTF-8{where}.") from error
    if not isinstance(content, dict):
        raise UsageError("The mapping must hold `key: value` lines: let `pefuse import csv --guess` write one.")
    try:
        mapping = CsvMapping.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"The mapping, {where}: {first['msg'].lower()} (docs/records.md has an example)."
        ) from error
    for name in ("decimal", "dates"):
        if getattr(mapping.form, name) == ASK:
            raise UsageError(f"The mapping asks for form.{name}: {_QUESTIONS[name]}")
    for column, theirs in mapping.studies.columns.items():
        if theirs == ASK:
            other = {"age_years": " (or birth_date)", "died": " (or death_time and last_follow_up)"}.get(
                column, ""
            )
            raise UsageError(
                f"The mapping asks which column is {column}{other}: write its name in studies.columns."
            )
    taken = {theirs: column for column, theirs in mapping.studies.columns.items()}
    for feature in mapping.features:
        if feature.column in taken:
            raise UsageError(
                f"The mapping has '{feature.column}' among the features and as {taken[feature.column]}: "
                "leave it out of the features."
            )
        if feature.unit == ASK:
            raise UsageError(f"The mapping asks for the unit of '{feature.column}': write the one of the table.")
        _check_concept(feature)
    if not mapping.codes:
        for table in mapping.events:
            _check_system(table)
    for column, meant in mapping.studies.values.items():
        if ASK in meant.values():
            raise UsageError(f"The mapping asks what cells of {column} mean: write it beside each.")
    return mapping


def _check_concept(feature: WideFeature) -> None:
    """Refuse a concept that there is none of, and a unit that cannot become the concept's."""
    if not feature.concept:
        return
    known = concepts().get(feature.concept)
    if known is None:
        near = get_close_matches(feature.concept, concepts(), n=1)
        raise UsageError(
            f"The mapping, '{feature.column}': there is no concept '{feature.concept}'"
            f"{f'; is it {near[0]}?' if near else ': leave it out.'}"
        )
    if known.unit and conversion(known.name, feature.unit, known.unit) is None:
        raise UsageError(
            f"The mapping, '{feature.column}': no conversion is known from '{feature.unit}' to {known.unit}, the "
            f"unit of {known.name}: correct the unit, or leave the concept out."
        )


def _check_system(table: EventTable) -> None:
    """Refuse a system of codes that nobody knows, where no table of codes says what they mean."""
    known = [row["system"] for row in read_table("code_systems.csv")]
    system = table.system.split("//")[0].strip().upper()
    if system not in known:
        near = get_close_matches(system, known, n=1)
        raise UsageError(
            f"The mapping, '{table.file}': there is no system of codes '{table.system}'"
            f"{f' (is it {near[0]}?)' if near else ''}: its events would be no feature. Local codes need a file "
            "`codes:` that says what they mean."
        )


_QUESTIONS = {
    "decimal": "write '.' or ',', whichever stands before the decimals in the files.",
    "dates": "is 03/04/2019 the third of April (day-first) or the fourth of March (month-first)?",
}
