"""Features at the index time, as the paper built them, before anything is fitted.

Families: medications (given or not, and their count), diagnoses, the latest labs and vitals in the unit of their
concept, demographics, visit history, parts of the time, facts of the arrival. See docs/features.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csc_matrix

from pefuse.ehr.courses import MEASURED, courses, hours_since, measured_column
from pefuse.ehr.entries import Entries, united
from pefuse.ehr.events import EventsBefore, EventUse, LatestPart, last_of_each, read_events_before
from pefuse.ehr.options import DiagnosisGroup, FeatureOptions
from pefuse.ehr.record import RawColumn, RawRecord
from pefuse.ehr.visits import visit_features
from pefuse.errors import UsageError
from pefuse.types import Cohort, FeatureFamily
from pefuse.vocabulary import IcdCode, ccs_group, code_rows, icd_chapter, parse_icd

__all__ = ["extract"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
MARKED: dict[str, FeatureFamily] = {
    "medication": "medication",
    "diagnosis": "diagnosis",
    "procedure": "procedure",
    "observation": "observation",
}


@dataclass(frozen=True, kw_only=True)
class _Texts:
    """A categorical column being built, `(N,)` strings, "" = missing."""

    column: RawColumn
    values: NDArray[np.object_]


def extract(
    cohort: Cohort,
    study_ids: Sequence[str] | None = None,
    *,
    options: FeatureOptions | None = None,
    memory_limit: str = "2GB",
) -> RawRecord:
    """What is known of each study strictly before its index time.

    Args:
        cohort: with events, with a ready table of features, or with neither (then age, sex and time only).
        study_ids: which studies, in this order; None = all, in file order.
        options: how far back and how close to the scan the record is read, and what more is made of it.
        memory_limit: of the pass over the events, such as "2GB"; what does not fit is spilled to disk.

    Raises:
        RecordError: the events cannot be read as the contract says.
        UsageError: the cohort does not have one of the studies.
    """
    ids = list(cohort.studies.index) if study_ids is None else list(study_ids)
    unknown = [study_id for study_id in ids if study_id not in cohort.studies.index]
    if unknown:
        raise UsageError(f"The cohort does not have study {unknown[0]}.")
    options = options or FeatureOptions()
    if cohort.features is not None:
        return _chosen(_from_table(cohort, ids), options)
    studies = cohort.studies.loc[ids]
    numbers, texts = [_age(studies), _hour(studies)], _study_texts(studies)
    has_record, use = np.zeros(len(ids), dtype=bool), None
    if cohort.events is not None and ids:
        cut = studies["index_time"] - pd.Timedelta(hours=options.lag_hours)
        index_times = cut.to_numpy(dtype="datetime64[us]")
        make = partial(_made_of_latest, index_times=index_times, options=options)
        events = read_events_before(cohort, ids, make, options=options, memory_limit=memory_limit)
        use = events.use
        for part in events.parts:
            has_record[part.studies] = True
        has_record[events.told["study"].to_numpy(dtype=np.intp)] = True
        marks = united([part.marks for part in events.parts], _order_of_mark)
        numbers.append(united([part.measured for part in events.parts], _order_by_name))
        numbers += [*_mark_counts(marks, has_record), marks]
        if "hours_since" in options.measured:
            numbers.append(united([part.hours for part in events.parts], _order_by_name))
        if events.course is not None:
            numbers += courses(events.course, events.meanings, options.measured)
        for place in range(len(options.diagnosis_groups)):
            numbers.append(united([part.groups[place] for part in events.parts], _order_by_name))
        numbers += [
            _dense(
                RawColumn(key=item.key, name=item.name, family="visit", kind="continuous", unit=item.unit),
                item.values,
            )
            for item in visit_features(events.told, events.meanings, index_times, has_record)
        ]
        told_numbers, told_texts = _told(events, len(ids))
        numbers += told_numbers
        texts += told_texts
    return _chosen(_assembled(ids, numbers, texts, has_record, use), options)


def _chosen(record: RawRecord, options: FeatureOptions) -> RawRecord:
    """With the families that were asked for alone."""
    if not options.families:
        return replace(record, options=options)
    count = record.values.shape[1]
    kept = [place for place, column in enumerate(record.columns) if column.family in options.families]
    return replace(
        record,
        columns=tuple(record.columns[place] for place in kept),
        values=record.values[:, [place for place in kept if place < count]],
        texts=record.texts[:, [place - count for place in kept if place >= count]],
        options=options,
    )


def _assembled(
    ids: Sequence[str],
    numbers: Sequence[Entries],
    texts: Sequence[_Texts],
    has_record: NDArray[np.bool_],
    use: EventUse | None = None,
) -> RawRecord:
    starts = np.cumsum([0, *(len(part.columns) for part in numbers)])
    places = np.concatenate([part.places + start for part, start in zip(numbers, starts, strict=False)])
    rows = np.concatenate([part.rows for part in numbers])
    values = np.concatenate([part.values for part in numbers]).astype(np.float32)
    columns = [column for part in numbers for column in part.columns] + [text.column for text in texts]
    return RawRecord(
        study_ids=tuple(ids),
        columns=_uniquely_named(columns),
        values=csc_matrix((values, (rows, places)), shape=(len(ids), int(starts[-1]))),
        texts=np.array([text.values for text in texts], dtype=object).reshape(len(texts), len(ids)).T,
        has_record=has_record,
        use=use,
    )


def _uniquely_named(columns: Iterable[RawColumn]) -> tuple[RawColumn, ...]:
    columns = list(columns)
    seen = Counter(column.name for column in columns)
    return tuple(
        replace(column, name=f"{column.name} [{column.key}]") if seen[column.name] > 1 else column
        for column in columns
    )


def _dense(column: RawColumn, values: NDArray[np.float64]) -> Entries:
    rows = np.flatnonzero(~np.isnan(values))
    return Entries(columns=[column], rows=rows, places=np.zeros(len(rows), dtype=np.intp), values=values[rows])


# --- what studies.csv tells


def _age(studies: pd.DataFrame) -> Entries:
    column = RawColumn(key="age", name="age (years)", family="demographic", kind="continuous", unit="years")
    return _dense(column, studies["age_years"].to_numpy(dtype=np.float64))


def _hour(studies: pd.DataFrame) -> Entries:
    times = studies["index_time"].dt
    column = RawColumn(key="time//hour", name="hour of the scan", family="time", kind="continuous", unit="hours")
    return _dense(column, (times.hour + times.minute / 60).to_numpy(dtype=np.float64))


def _study_texts(studies: pd.DataFrame) -> list[_Texts]:
    """Sex, weekday and month. Not the year: it tells the test set from the rest and nothing of a patient."""
    times = studies["index_time"].dt
    weekday = [WEEKDAYS[day] for day in times.day_of_week]
    month = [MONTHS[number - 1] for number in times.month]
    return [
        _text("sex", "sex", "demographic", list(studies["sex"])),
        _text("time//weekday", "weekday of the scan", "time", weekday),
        _text("time//month", "month of the scan", "time", month),
    ]


def _text(key: str, name: str, family: FeatureFamily, values: Sequence[str]) -> _Texts:
    column = RawColumn(key=key, name=name, family=family, kind="categorical")
    return _Texts(column=column, values=np.array(values, dtype=object))


# --- what the events tell


@dataclass(frozen=True, kw_only=True)
class _OfLatest:
    """What is made of the latest events of some studies."""

    studies: NDArray[np.intp]  # that have any
    measured: Entries
    marks: Entries
    hours: Entries  # since the last value of each measurement; none where it was not asked for
    groups: tuple[Entries, ...]


def _made_of_latest(
    events: LatestPart, *, index_times: NDArray[np.datetime64], options: FeatureOptions
) -> _OfLatest:
    return _OfLatest(
        studies=np.asarray(pd.unique(events.table["study"]), dtype=np.intp),
        measured=_measurements(events).small(),
        marks=_marks(events).small(),
        hours=hours_since(events, index_times).small() if "hours_since" in options.measured else Entries.none(),
        groups=tuple(_grouped(events, grouping).small() for grouping in options.diagnosis_groups),
    )


def _order_by_name(column: RawColumn) -> tuple[str, str]:
    return column.name.lower(), column.key


def _order_of_mark(column: RawColumn) -> tuple[int, str, str]:
    return list(MARKED.values()).index(column.family), column.name.lower(), column.key


def _measurements(events: LatestPart) -> Entries:
    """The latest value of each measurement over all codes that mean it; of two at one moment the larger."""
    columns = {
        place: measured_column(known) for place, known in enumerate(events.meanings) if known.kind in MEASURED
    }
    latest = events.table[events.table["code"].isin(list(columns)) & events.table["value"].notna()]
    named = {column.key: column for place, column in columns.items()}
    used = sorted({columns[code].key for code in latest["code"].unique()}, key=lambda key: named[key].name.lower())
    place_of = {key: place for place, key in enumerate(used)}
    to_place = np.full(len(events.meanings), -1, dtype=np.intp)
    for code, column in columns.items():
        to_place[code] = place_of.get(column.key, -1)
    rows = latest["study"].to_numpy(dtype=np.intp)
    places = to_place[latest["code"].to_numpy(dtype=np.intp)]
    values = latest["value"].to_numpy(dtype=np.float64)
    chosen = last_of_each(places, rows, latest["value_time"].to_numpy(), values)
    return Entries(
        columns=[named[key] for key in used], rows=rows[chosen], places=places[chosen], values=values[chosen]
    )


def _marks(events: LatestPart) -> Entries:
    """Medications, diagnoses, procedures and observations, set or not.

    A number that comes with one says whether it is there (0 = not), but for a medication, where it is a dose.
    """
    chosen = [known.kind in MARKED for known in events.meanings]
    latest = events.table[np.array(chosen, dtype=bool)[events.table["code"].to_numpy(dtype=np.intp)]]
    deniable = np.array([known.kind != "medication" for known in events.meanings], dtype=bool)
    denied = deniable[latest["code"].to_numpy(dtype=np.intp)] & (latest["value"] == 0).to_numpy()
    latest = latest[~denied]
    columns: dict[str, RawColumn] = {}
    for code in latest["code"].unique():
        known = events.meanings[code]
        shown = f"drug: {known.name}" if known.kind == "medication" else known.name
        column = RawColumn(key=f"{known.kind}//{known.key}", name=shown, family=MARKED[known.kind], kind="binary")
        # Several codes may mean one feature; the longest name is the one with a description.
        before = columns.get(column.key)
        if before is None or (len(shown), shown) > (len(before.name), before.name):
            columns[column.key] = column
    order = list(MARKED)
    used = sorted(columns, key=lambda key: (order.index(columns[key].family), columns[key].name.lower(), key))
    place_of = {key: place for place, key in enumerate(used)}
    to_place = np.array(
        [place_of.get(f"{known.kind}//{known.key}", -1) for known in events.meanings], dtype=np.intp
    )
    places = to_place[latest["code"].to_numpy(dtype=np.intp)]
    rows = latest["study"].to_numpy(dtype=np.intp)
    count = int(rows.max()) + 1 if len(rows) else 1
    cells = _distinct(places * count + rows)  # several codes may set one mark
    return Entries(
        columns=[columns[key] for key in used],
        rows=cells % count,
        places=cells // count,
        values=np.ones(len(cells)),
    )


def _distinct(cells: NDArray[np.intp]) -> NDArray[np.intp]:
    """Each once, sorted; by sorting, which for millions of them is ten times as fast as numpy's hashing."""
    ordered = np.sort(cells)
    first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    return np.asarray(ordered[first])


def _grouped(events: LatestPart, grouping: DiagnosisGroup) -> Entries:
    """Whether there is any diagnosis of each group."""
    groups = [
        _group(icd, grouping) if known.kind == "diagnosis" and (icd := parse_icd(known.code)) else ("", "")
        for known in events.meanings
    ]
    latest = events.table[(events.table["value"] != 0).to_numpy()]  # 0: denied
    used = sorted({groups[code] for code in latest["code"].unique() if groups[code][1]}, key=lambda each: each[1])
    place_of = {key: place for place, (key, _) in enumerate(used)}
    to_place = np.array([place_of.get(key, -1) for key, _ in groups], dtype=np.intp)
    places, rows = to_place[latest["code"].to_numpy(dtype=np.intp)], latest["study"].to_numpy(dtype=np.intp)
    count = int(rows.max()) + 1 if len(rows) else 1
    cells = _distinct((places * count + rows)[places >= 0])
    columns = [
        RawColumn(key=key, name=f"any diagnosis: {name}", family="diagnosis", kind="binary") for key, name in used
    ]
    return Entries(columns=columns, rows=cells % count, places=cells // count, values=np.ones(len(cells)))


def _group(icd: IcdCode, grouping: DiagnosisGroup) -> tuple[str, str]:
    """Key and name of the group that a code is in; both "" for none."""
    if grouping == "chapter":
        chapter = icd_chapter(icd)
        return (f"chapter//{chapter}", chapter) if chapter else ("", "")
    number, name = ccs_group(icd)
    shown = name if name[1:2].isupper() else name[:1].lower() + name[1:]
    return (f"ccs//{number}", shown) if number else ("", "")


def _mark_counts(marks: Entries, has_record: NDArray[np.bool_]) -> list[Entries]:
    """Number of drugs (all, at home, in hospital) and of diagnoses; missing for a study without a record."""
    wanted = (
        ("medication", "medication//", "number of drugs"),
        ("medication", "medication//in//", "number of inpatient drugs"),
        ("medication", "medication//out//", "number of outpatient drugs"),
        ("diagnosis", "diagnosis//", "number of diagnoses"),
    )
    counts = []
    for family, beginning, name in wanted:
        inside = np.array([column.key.startswith(beginning) for column in marks.columns], dtype=bool)
        if inside.any():
            total = np.bincount(marks.rows[inside[marks.places]], minlength=len(has_record)).astype(np.float64)
            column = RawColumn(
                key=f"count//{beginning}",
                name=name,
                family="medication" if family == "medication" else "diagnosis",
                kind="continuous",
            )
            counts.append(_dense(column, np.where(has_record, total, np.nan)))
    return counts


def _told(events: EventsBefore[_OfLatest], count: int) -> tuple[list[Entries], list[_Texts]]:
    """Demographic and arrival facts, the latest of each: texts, or numbers where only a number was told."""
    numbers: list[Entries] = []
    texts: list[_Texts] = []
    kinds: dict[str, FeatureFamily] = {"demographic": "demographic", "arrival": "arrival"}
    topics: dict[str, list[int]] = {}
    for place, known in enumerate(events.meanings):
        if known.kind in kinds and known.key != "sex":  # sex is told by studies.csv
            topics.setdefault(f"{known.kind}//{known.key}", []).append(place)
    for key, codes in sorted(topics.items()):
        rows = events.told[events.told["code"].isin(codes)]
        if rows.empty:
            continue
        known = events.meanings[codes[0]]
        tails = np.array([meaning.tail for meaning in events.meanings], dtype=object)
        said = rows["text"].where(rows["text"] != "", tails[rows["code"].to_numpy(dtype=np.intp)])
        rows = rows.assign(said=said.astype(object)).sort_values(["time", "said", "number"], na_position="first")
        last = rows.drop_duplicates("study", keep="last").set_index("study")
        family = kinds[known.kind]
        if (last["said"] == "").all() and last["number"].notna().any():
            column = RawColumn(key=key, name=known.name, family=family, kind="continuous", unit=known.unit)
            numbers.append(_dense(column, last["number"].reindex(range(count)).to_numpy(dtype=np.float64)))
        else:
            texts.append(_text(key, known.name, family, list(last["said"].reindex(range(count)).fillna(""))))
    return numbers, texts


# --- a ready table


def _from_table(cohort: Cohort, ids: Sequence[str]) -> RawRecord:
    """The columns of features.csv as they are; codes.csv may give them a description and a unit."""
    assert cohort.features is not None
    declared = code_rows(cohort.codes)
    frame = cohort.features.reindex(list(ids))
    numbers: list[Entries] = []
    texts: list[_Texts] = []
    for key in frame.columns:
        row = declared.get(key)
        name, unit = (row.description or key, row.unit) if row else (key, "")
        if pd.api.types.is_numeric_dtype(frame[key]):
            shown = f"{name} ({unit})" if unit else name
            column = RawColumn(key=key, name=shown, family="table", kind="continuous", unit=unit)
            numbers.append(_dense(column, frame[key].to_numpy(dtype=np.float64)))
        else:
            texts.append(_text(key, name, "table", list(frame[key].fillna(""))))
    numbers = numbers or [Entries.none()]
    return _assembled(ids, numbers, texts, np.asarray(pd.Index(ids).isin(cohort.features.index)))
