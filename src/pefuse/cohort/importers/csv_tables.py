"""CSV: a table of studies, wide features in it, and long tables of events, by a mapping (csv_mapping.py).

Nothing is guessed here: a time that is not of the order stated is none, a number with another mark is text.
"""

from __future__ import annotations

import csv
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from pefuse.cohort.importers.csv_cells import settled
from pefuse.cohort.importers.csv_mapping import CsvForm, CsvMapping, EventTable, load_mapping
from pefuse.cohort.importers.people import TIME
from pefuse.cohort.importers.record import RecordImport, RecordSource, import_record
from pefuse.cohort.studies import OPTIONAL, REQUIRED
from pefuse.database import MEMORY_LIMIT, quoted
from pefuse.errors import CohortError, RecordError, UsageError
from pefuse.vocabulary import concepts

__all__ = ["import_csv", "read_csv_view"]

TIME_COLUMNS = ("index_time", "birth_date", "death_time", "last_follow_up")
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_DAYS = {
    "iso": ("%Y-%m-%d", "%Y/%m/%d", "%Y%m%d"),
    "day-first": ("%d.%m.%Y", "%d/%m/%Y", "%d-%m-%Y"),
    "month-first": ("%m/%d/%Y", "%m-%d-%Y"),
}
_COHORT_COLUMNS = (*REQUIRED, *OPTIONAL)
BEFORE_INDEX = "1 MINUTE"  # wide features among events: known shortly before the scan


def import_csv(mapping_path: Path, out: Path, *, memory_limit: str = MEMORY_LIMIT) -> RecordImport:
    """Make a cohort of CSV files as a mapping describes them; their paths are relative to the mapping.

    Raises:
        UsageError: the mapping is none, or leaves a question open.
        CohortError, RecordError, StorageError: as `import_record`.
    """
    mapping = load_mapping(mapping_path)
    prepare = partial(_prepare, mapping=mapping, folder=mapping_path.parent)
    return import_record("csv", mapping_path, out, studies=None, prepare=prepare, memory_limit=memory_limit)


def read_csv_view(database: Any, name: str, path: Path, form: CsvForm) -> list[str]:
    """A view of a CSV file, all columns as text; their names.

    Raises:
        RecordError: no such file, or no CSV of that form.
    """
    if not path.is_file():
        raise RecordError(f"The mapping names a file '{path.name}' that is not beside it.")
    source = _as_utf8(database, path, form.encoding)
    with source.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file, delimiter=form.separator), [])
    columns = [column.strip() for column in header]
    if len(set(columns)) < len(columns) or "" in columns:
        raise RecordError(
            f"'{path.name}' has a column without a name, or one twice: each needs a name of its own."
        )
    # Every column is named: nothing is guessed from the rows, and an odd one is told, not taken for the header.
    kinds = ", ".join(f"{quoted(column)}: 'VARCHAR'" for column in columns)
    database.sql(f"""
        CREATE OR REPLACE VIEW {name} AS
        SELECT * FROM read_csv({quoted(source)}, header = true, auto_detect = false, quote = '"', escape = '"',
            delim = {quoted(form.separator)}, columns = {{{kinds}}})
    """)
    return columns


def _as_utf8(database: Any, path: Path, encoding: str) -> Path:
    """The file itself, or a copy in UTF-8 where DuckDB spills to."""
    if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig"):
        return path
    spill = database.sql("SELECT current_setting('temp_directory')").fetchall()[0][0]
    handle, copy = tempfile.mkstemp(dir=spill, suffix=".csv")
    try:
        with (
            path.open(encoding=encoding, newline="") as old,
            open(handle, "w", encoding="utf-8", newline="") as new,
        ):
            shutil.copyfileobj(old, new, 1 << 20)
    except LookupError as error:
        raise UsageError(f"The mapping, form.encoding: there is no encoding '{encoding}'.") from error
    except UnicodeError as error:
        raise RecordError(f"'{path.name}' is not of the encoding that the mapping states.") from error
    return Path(copy)


def _prepare(database: Any, *, mapping: CsvMapping, folder: Path) -> RecordSource:
    columns = read_csv_view(database, "studies_csv", folder / mapping.studies.file, mapping.form)
    _check_columns(mapping, columns)
    notes: dict[str, int | str] = {}
    studies, numbers = _studies(database, mapping, notes)
    database.register("numbers_frame", numbers)
    database.sql("CREATE TABLE patient_numbers AS SELECT * FROM numbers_frame")
    wide = _wide(database, mapping, notes)
    selects = []
    for place, table in enumerate(mapping.events):
        selects.append(_events(database, table, place, folder, mapping.form, notes))
    if mapping.features and mapping.events:
        selects += _wide_events(database, studies, wide)
    empty = "SELECT 0::BIGINT, NULL::TIMESTAMP, NULL::VARCHAR, NULL::DOUBLE, NULL::VARCHAR WHERE false"
    union = " UNION ALL ".join(selects or [empty])
    database.sql(
        f"CREATE VIEW imported AS SELECT * FROM ({union}) AS t(subject_id, time, code, numeric_value, text_value)"
    )
    people = pd.DataFrame(index=pd.Index([], dtype="int64", name="patient_id"))
    features = None
    if mapping.features and not mapping.events:
        features = pd.concat([studies["study_id"], wide], axis=1)
    return RecordSource(
        people=people, codes=_codes(mapping, folder), notes=notes, studies=studies, features=features
    )


def _check_columns(mapping: CsvMapping, columns: list[str]) -> None:
    unknown = [name for name in mapping.studies.columns if name not in _COHORT_COLUMNS]
    if unknown:
        raise UsageError(
            f"The mapping, studies.columns: a cohort has no column '{unknown[0]}'; it has "
            f"{', '.join(_COHORT_COLUMNS)}."
        )
    wanted = [*mapping.studies.columns.values(), *(feature.column for feature in mapping.features)]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise RecordError(
            f"The table of studies has no column '{missing[0]}', which the mapping names: it has {len(columns)} "
            "columns (is the separator right?)."
        )


def _studies(database: Any, mapping: CsvMapping, notes: dict[str, int | str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows in the cohort's columns as text, and the numbers that patients get."""
    theirs = mapping.studies.columns
    chosen = ", ".join(f"trim(coalesce({_name(column)}, '')) AS {_name(name)}" for name, column in theirs.items())
    rows: pd.DataFrame = database.sql(f"SELECT {chosen} FROM studies_csv").df().astype(object)
    if rows.empty:
        raise CohortError("The table of studies has a header and no rows: it needs one row a CTPA.")
    for name, meant in mapping.studies.values.items():
        if name in rows:
            rows[name] = rows[name].map(lambda cell, meant=meant: meant.get(cell, cell))
    for name in TIME_COLUMNS:
        if name in rows:
            rows[name] = _iso(database, rows[name], name, mapping.form)
    if mapping.form.decimal == "," and "age_years" in rows:
        rows["age_years"] = rows["age_years"].str.replace(",", ".")
    if "study_id" not in rows:
        rows.insert(0, "study_id", [f"S{number:05d}" for number in range(1, len(rows) + 1)])
    for name in ("ct", "sex"):
        if name not in rows:
            rows[name] = ""
    if "patient_id" not in rows:
        raise UsageError("The mapping, studies.columns: patient_id is needed, to tell patients apart.")
    rows["patient_id"] = rows["patient_id"].str.replace(r"\.0+$", "", regex=True)  # Excel turns 12 into 12.0
    original = rows["patient_id"]
    if (original == "").any():
        raise CohortError(f"The table of studies, row {int((original == '').argmax()) + 2}: it names no patient.")
    if original.str.fullmatch(r"-?\d{1,18}").all():
        numbered = original.astype("int64")
    else:  # names or numbers with letters: they get numbers in their order, and stay behind
        numbered = pd.Series(pd.factorize(original)[0] + 1, index=rows.index)
        notes["patients numbered anew"] = int(numbered.max())
    numbers = pd.DataFrame({"original": original, "subject_id": numbered}).drop_duplicates("original")
    return rows.assign(patient_id=numbered.astype(str)), numbers


def _iso(database: Any, cells: pd.Series, name: str, form: CsvForm) -> pd.Series:
    """Times as ISO text.

    Raises:
        CohortError: a cell that is none, with its row.
    """
    database.register("cells_frame", pd.DataFrame({"place": range(len(cells)), "cell": cells.to_numpy()}))
    found = database.sql(f"""
        SELECT strftime({_moment("cell", form)}, '{TIME}') FROM cells_frame ORDER BY place
    """).fetchall()
    times = pd.Series(["" if time is None else time for (time,) in found], index=cells.index, dtype=object)
    bad = cells.index[(cells != "") & (times == "")]
    if len(bad):
        raise CohortError(
            f"The table of studies, row {bad[0] + 2}: {name} is no date in the order {form.dates} (form.dates of "
            f"the mapping). Rows that are so: {len(bad)}."
        )
    return times.str.removesuffix("T00:00:00") if name != "index_time" else times


def _moment(column: str, form: CsvForm) -> str:
    """SQL for a time as the form says; NULL where it is none."""
    formats = [f"{day}{clock}" for day in _DAYS[form.dates] for clock in _CLOCKS]
    listed = ", ".join(map(quoted, formats))
    cleaned = f"regexp_replace(regexp_replace(trim({column}), '(\\d)T(\\d)', '\\1 \\2'), '\\.0+$', '')"
    return f"try_strptime({cleaned}, [{listed}])"


_OTHER_MARK = "no number: "
_COMMA_FORM = r"[+-]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]+)?(,[0-9]+)?([eE][+-]?[0-9]+)?"


def _number(column: str, form: CsvForm) -> str:
    """SQL for the number of a cell, NULL where it is none in that form."""
    if form.decimal == ".":
        return f"try_cast(trim({column}) AS DOUBLE)"
    # A point that does not part groups of three is no mark of thousands: the file has points before decimals.
    fits = f"regexp_full_match(trim({column}), '{_COMMA_FORM}')"
    return f"CASE WHEN {fits} THEN try_cast(replace(replace(trim({column}), '.', ''), ',', '.') AS DOUBLE) END"


def _events(
    database: Any, table: EventTable, place: int, folder: Path, form: CsvForm, notes: dict[str, int | str]
) -> str:
    """SQL for the events of one table; what cannot be used of it is counted in `notes`."""
    name = f"events_csv_{place}"
    columns = read_csv_view(database, name, folder / table.file, form)
    wanted = {key: column for key, column in table.columns.model_dump().items() if column}
    missing = [column for column in wanted.values() if column not in columns]
    if missing:
        raise RecordError(f"The table '{table.file}' has no column '{missing[0]}', which the mapping names.")
    named = {key: _name(column) for key, column in wanted.items()}
    moment = _moment(named["time"], form)
    rows, wrong = database.sql(f"SELECT count(*), count(*) FILTER ({moment} IS NULL) FROM {name}").fetchall()[0]
    if wrong > rows / 2:
        raise RecordError(
            f"The table '{table.file}': {wrong} of {rows} times are no dates in the order {form.dates}: correct "
            "form.dates of the mapping."
        )
    if wrong:
        notes[f"{table.file}: left out, no time, or one that is none"] = wrong
    whose = f"regexp_replace(trim(coalesce({named['patient_id']}, '')), '\\.0+$', '')"
    strangers = database.sql(
        f"SELECT count(*) FROM {name} WHERE {whose} NOT IN (SELECT original FROM patient_numbers)"
    ).fetchall()[0][0]
    if rows and strangers == rows:
        raise RecordError(
            f"The table '{table.file}' has no row of a patient of the table of studies: patient_id must be the "
            "same in both."
        )
    if strangers:
        notes[f"{table.file}: left out, of patients without a study"] = strangers
    if "value" in named:
        number = _number(named["value"], form)
        words = database.sql(
            f"SELECT count(*) FROM {name} WHERE trim({named['value']}) <> '' AND {number} IS NULL"
        ).fetchall()[0][0]
        if words:
            notes[f"{table.file}: values that are no number in this form, kept as text"] = words
    value = named.get("value", "NULL::VARCHAR")
    unit = f"coalesce('//' || nullif(trim({named['unit']}), ''), '')" if "unit" in named else "''"
    # A mere date is known when its day is over (docs/records.md).
    return f"""
        SELECT subject_id,
               CASE WHEN CAST(moment AS TIME) = TIME '00:00:00' THEN moment + INTERVAL 1 DAY ELSE moment END,
               {quoted(table.system)} || '//' || nullif(trim(code), '') || unit, number,
               CASE WHEN number IS NULL THEN value END
        FROM (SELECT {whose} AS original, {moment} AS moment, {named["code"]} AS code,
                     {value} AS value, {_number(value, form)} AS number, {unit} AS unit FROM {name})
        JOIN patient_numbers USING (original) WHERE moment IS NOT NULL
    """


def _name(column: str) -> str:
    """A column as SQL names it."""
    return '"' + column.replace('"', '""') + '"'


def _wide(database: Any, mapping: CsvMapping, notes: dict[str, int | str]) -> pd.DataFrame:
    """The wide features as text, numbers with a point; one row a study, in the table's order."""
    if not mapping.features:
        return pd.DataFrame()
    columns = [_name(feature.column) for feature in mapping.features]
    # What is a number with the other mark is marked as none, lest it be read as one later.
    chosen = ", ".join(
        f"coalesce(CAST({_number(column, mapping.form)} AS VARCHAR), CASE WHEN try_cast(trim({column}) AS DOUBLE) "
        f"IS NOT NULL THEN '{_OTHER_MARK}' || trim({column}) END, trim({column}), '') AS {column}"
        for column in columns
    )
    frame: pd.DataFrame = database.sql(f"SELECT {chosen} FROM studies_csv").df().astype(object)
    for feature in mapping.features:
        cells = frame[feature.column]
        marked, filled = int(cells.str.startswith(_OTHER_MARK).sum()), int((cells != "").sum())
        if marked > filled / 2:
            raise RecordError(
                f"The table of studies, '{feature.column}': {marked} of {filled} cells are numbers with a point, "
                f"and form.decimal of the mapping is '{mapping.form.decimal}': correct it."
            )
        frame[feature.column] = settled(feature, cells, notes)
    return frame


def _wide_events(database: Any, studies: pd.DataFrame, wide: pd.DataFrame) -> list[str]:
    """SQL for the wide features as events of shortly before each scan."""
    whose = wide.assign(subject_id=studies["patient_id"].astype("int64"), index_time=studies["index_time"])
    long = whose.melt(id_vars=["subject_id", "index_time"], var_name="column", value_name="value")
    told = long[long["value"] != ""]
    database.register("wide_frame", told.assign(code="TABLE//" + told["column"]))
    return [
        f"""
        SELECT subject_id, CAST(index_time AS TIMESTAMP) - INTERVAL {BEFORE_INDEX}, code,
               try_cast(value AS DOUBLE),
               CASE WHEN try_cast(value AS DOUBLE) IS NULL THEN value END
        FROM wide_frame
        """
    ]


def _codes(mapping: CsvMapping, folder: Path) -> pd.DataFrame:
    """The user's codes.csv, and a row for each wide feature."""
    names = ["code", "concept", "kind", "unit", "description"]
    rows = [
        {
            "code": f"TABLE//{feature.column}" if mapping.events else feature.column,
            "concept": feature.concept,
            "kind": feature.kind or _kind(feature.concept, bool(mapping.events)),
            "unit": feature.unit,
            "description": feature.name,
        }
        for feature in mapping.features
    ]
    own = pd.DataFrame(rows, columns=names, dtype=str)
    if not mapping.codes:
        return own
    path = folder / mapping.codes
    if not path.is_file():
        raise RecordError(f"The mapping names a file '{path.name}' that is not beside it.")
    given = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    return pd.concat([given.reindex(columns=names, fill_value=""), own], ignore_index=True)


def _kind(concept: str, among_events: bool) -> str:
    if concept in concepts():
        return concepts()[concept].kind
    return "lab" if among_events else ""
