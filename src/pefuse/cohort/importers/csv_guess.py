"""A first mapping for a CSV table, to be corrected by hand: what can be told is told, the rest is asked."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

import yaml

from pefuse.cohort.importers.csv_mapping import ASK
from pefuse.errors import RecordError, UsageError
from pefuse.storage import write_text
from pefuse.vocabulary import concepts

__all__ = ["guess_mapping"]

SAMPLE_ROWS = 2000
_ENCODINGS = ("utf-8-sig", "cp1252")  # every file is of the second, if not of the first
_SEPARATORS = ",;\t|"
_DATE = re.compile(r"^(\d{1,4})[./-](\d{1,2})[./-](\d{1,4})([ T]\d{1,2}:\d{2}.*)?$")
_COMMA_NUMBER = re.compile(r"^-?\d{1,3}(\.\d{3})*,\d+$|^-?\d+,\d+$")
_POINT_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")
_WORDS: dict[str, tuple[str, ...]] = {  # of a cohort's column, in English and German
    "study_id": ("study_id", "study", "case_id", "case", "fallnummer", "fall_id"),
    "patient_id": (
        "patient_id",
        "patient",
        "patientid",
        "pat_id",
        "mrn",
        "subject_id",
        "person_id",
        "patnr",
        "pid",
    ),
    "index_time": (
        "index_time",
        "ct_time",
        "ct_date",
        "scan_time",
        "scan_date",
        "study_date",
        "ctpa_date",
        "ct_datum",
    ),
    "ct": ("ct", "ct_path", "scan", "scan_path", "dicom_folder"),
    "birth_date": (
        "geb_datum",
        "geb",
        "geb_dat",
        "birth_date",
        "dob",
        "date_of_birth",
        "birthdate",
        "geburtsdatum",
    ),
    "age_years": ("age_years", "age", "alter", "age_at_scan"),
    "sex": ("sex", "gender", "geschlecht"),
    "died": ("died", "death_30d", "mortality_30d", "dead", "verstorben", "mortality", "death"),
    "death_time": ("death_time", "death_date", "date_of_death", "dod", "todesdatum"),
    "last_follow_up": ("last_follow_up", "follow_up", "last_contact", "last_seen"),
    "split": ("split",),
    "site": ("site", "hospital", "center", "centre", "scanner"),
}
_NEEDED = ("patient_id", "index_time")
_NO_FEATURES = {  # words of columns that tell who it is, or the outcome
    *("name", "names", "surname", "lastname", "firstname", "vorname", "nachname", "adresse", "address", "phone"),
    *("telefon", "email", "comment", "comments", "remark", "remarks", "note", "notes", "bemerkung", "bemerkungen"),
    *("kommentar", "verstorben", "tod", "todesdatum", "gestorben", "exitus", "died", "dead", "death", "mortality"),
    *("deceased", "outcome", "survival", "survived"),
}
FEWEST_WORDS, WORDS_DIFFER = 5, 0.9  # of texts: names and free text all differ
_SYNONYMS = {
    "puls": "heart_rate",
    "herzfrequenz": "heart_rate",
    "hr": "heart_rate",
    "pulse": "heart_rate",
    "rr_syst": "systolic_bp",
    "sbp": "systolic_bp",
    "rr_diast": "diastolic_bp",
    "dbp": "diastolic_bp",
    "af": "respiratory_rate",
    "atemfrequenz": "respiratory_rate",
    "resp_rate": "respiratory_rate",
    "temp": "temperature",
    "temperatur": "temperature",
    "sauerstoffsaettigung": "spo2",
    "krea": "creatinine",
    "kreatinin": "creatinine",
    "laktat": "lactate",
    "chf": "heart_failure",
    "herzinsuffizienz": "heart_failure",
    "copd": "chronic_lung_disease",
    "tumor": "cancer",
    "malignom": "cancer",
}
_SEXES = {"f": "F", "w": "F", "weiblich": "F", "female": "F", "m": "M", "männlich": "M", "male": "M"}
_YES = {
    "yes": "1",
    "y": "1",
    "ja": "1",
    "true": "1",
    "dead": "1",
    "no": "0",
    "n": "0",
    "nein": "0",
    "false": "0",
    "alive": "0",
}
_HEAD = """# Which column is what. Read every line, and correct it: nothing here is certain.
# '{ask}' has to be answered before `pefuse import csv` goes on. Leave out what is no feature, and above all what
# was known only after the scan.
"""


def guess_mapping(table: Path, mapping: Path) -> dict[str, object]:
    """Write a first mapping of a table with one row a study.

    Returns:
        What was written.

    Raises:
        UsageError: the mapping's file is there already. RecordError: the table is none. StorageError.
    """
    if mapping.exists():
        raise UsageError("The file for the mapping is there already: name a new one, or remove it first.")
    encoding, separator, rows = _read(table)
    unnamed = sum(not cell.strip() for cell in rows[0])
    if unnamed > 1:
        raise RecordError(
            f"The table's first line is no header: {unnamed} of its cells are empty. Remove the line."
        )
    if len(rows) == 1:
        raise RecordError("The table has a header and no rows: it needs one row a study.")
    header, cells = rows[0], list(zip(*rows[1:], strict=False))
    by_column = {name: [cell.strip() for cell in column] for name, column in zip(header, cells, strict=False)}
    columns = _known_columns(header)
    rest = [name for name in header if name not in columns.values()]
    features = [name for name in rest if not _tells_who_or_when(name, by_column[name])]
    content: dict[str, object] = {
        "form": {
            "encoding": "utf-8" if encoding == "utf-8-sig" else encoding,
            "separator": separator,
            "decimal": _decimal(by_column.values(), separator),
            "dates": _date_order(by_column.values()),
        },
        "studies": {"file": table.name, "columns": columns, "values": _values(columns, by_column)},
        "features": [_feature(name) for name in header if name in features],
    }
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    left = [name for name in rest if name not in features]
    if left:
        text += "# No features, since they look like names, dates, free text or the outcome:\n"
        text += "".join(f"#   {name}\n" for name in left)
    write_text(mapping, _HEAD.format(ask=ASK) + text)
    return content


def _read(table: Path) -> tuple[str, str, list[list[str]]]:
    if not table.is_file():
        raise RecordError("There is no such table: check the path.")
    with table.open("rb") as binary:
        marked = binary.read(2) in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if marked else _ENCODINGS:
        try:
            with table.open(encoding=encoding, newline="") as file:
                head = file.readline()
                separator = max(_SEPARATORS, key=head.count)
                file.seek(0)
                rows = [
                    row
                    for _, row in zip(range(SAMPLE_ROWS + 1), csv.reader(file, delimiter=separator), strict=False)
                ]
        except (UnicodeDecodeError, UnicodeError):
            continue
        except csv.Error as error:
            raise RecordError("The table cannot be read as CSV: export it again.") from error
        if not rows or not any(rows[0]):
            break
        return encoding, separator, rows
    raise RecordError("The table is empty, or no text: it needs a header line and one row a study.")


def _known_columns(header: Sequence[str]) -> dict[str, str]:
    """The cohort's columns, each with the first of the table's that is named like it."""
    plain = {_plain(re.sub(r"[(\[].*", "", name)): name for name in reversed(header)}
    found: dict[str, str] = {}
    for column, words in _WORDS.items():
        name = next((plain[word] for word in words if word in plain), None)
        if name is not None and name not in found.values():
            found[column] = name
        elif column in _NEEDED:
            found[column] = ASK
    if not {"birth_date", "age_years"} & set(found):
        found["age_years"] = ASK
    if "died" not in found and not {"death_time", "last_follow_up"} <= set(found):
        found["died"] = ASK
    return found


def _values(columns: dict[str, str], by_column: dict[str, list[str]]) -> dict[str, dict[str, str]]:
    """What the cells of sex and died mean, where they are words that we know."""
    meant = {}
    for column, known in (("sex", _SEXES), ("died", _YES)):
        cells = sorted(set(by_column.get(columns.get(column, ""), [])) - {""})
        if any(cell.lower() in known for cell in cells):
            meant[column] = {cell: known.get(cell.lower(), ASK) for cell in cells}
    return meant


def _date_order(columns: Iterable[list[str]]) -> str:
    """The order in which days and months stand; `ask` where both could be, or both occur."""
    orders = set()
    for column in columns:
        dates = [match for cell in column if (match := _DATE.match(cell))]
        if not dates or len(dates) < len([cell for cell in column if cell]) / 2:
            continue
        if all(len(match[1]) == 4 for match in dates):
            orders.add("iso")
            continue
        first, second = (max(int(match[place]) for match in dates) for place in (1, 2))
        orders.add("day-first" if first > 12 >= second else "month-first" if second > 12 >= first else ASK)
    told = orders - {ASK}
    if not orders:
        return "iso"
    return told.pop() if len(told) == 1 and (orders == told or told != {"iso"}) else ASK


def _decimal(columns: Iterable[list[str]], separator: str) -> str:
    cells = [cell for column in columns for cell in column]
    commas = sum(bool(_COMMA_NUMBER.match(cell)) for cell in cells)
    points = sum(bool(_POINT_NUMBER.match(cell)) and "." in cell for cell in cells)
    if commas and points:
        return ASK
    return "," if commas and separator != "," else "."


def _feature(name: str) -> dict[str, str]:
    """A feature, with the concept that its name is like; its unit is told by the name or asked."""
    stated = re.search(r"[(\[]([^)\]]+)[)\]]\s*$", name)
    bare = name[: stated.start()] if stated else name
    by_label = {_plain(each.label): key for key, each in concepts().items()}
    near = get_close_matches(_plain(bare), [*concepts(), *by_label], n=1, cutoff=0.85)
    concept = _SYNONYMS.get(_plain(bare)) or (by_label.get(near[0], near[0]) if near else "")
    unit = stated[1].strip() if stated else ASK if concept and concepts()[concept].unit else ""
    told = {"column": name, "concept": concept, "unit": unit, "name": bare.strip()}
    return {key: value for key, value in told.items() if value or key == "column"}


def _tells_who_or_when(name: str, cells: list[str]) -> bool:
    """Whether a column looks like a name, a date, free text or the outcome: nothing to learn from."""
    if set(_plain(name).split("_")) & _NO_FEATURES:
        return True
    words = [cell for cell in cells if cell and not _POINT_NUMBER.match(cell) and not _COMMA_NUMBER.match(cell)]
    dates = sum(bool(_DATE.match(cell)) for cell in words)
    if dates > len([cell for cell in cells if cell]) / 2:
        return True
    return len(words) >= FEWEST_WORDS and len(set(words)) >= WORDS_DIFFER * len(words)


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
