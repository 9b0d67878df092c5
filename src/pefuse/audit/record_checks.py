"""What is wrong, or looks wrong, with a cohort's studies and record: joins, times, labels, units, leaks, drift.

Each check has its threshold here, with its reason. A finding is refused (nothing can be trained on it), a warning
(a person should look), or a note (good to know).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import chi2_contingency, rankdata

from pefuse.ehr import RawRecord, RecordOverview, extract, record_overview
from pefuse.types import DEATH, Cohort
from pefuse.vocabulary import concepts

__all__ = ["LEVELS", "Level", "RecordAudit", "RecordFinding", "audit_record"]

Level = Literal["refused", "warning", "note"]
LEVELS: tuple[Level, ...] = ("refused", "warning", "note")

LEAK_AUC = 0.95  # no single fact known before a scan tells death that well
FEWEST_DEATHS = 8  # of fewer any fact may go with death by chance
ONLY_DEAD_SHARE = 0.1  # of the deaths that have what no survivor has
OUTSIDE_SHARE, FEWEST_OUTSIDE = 0.05, 10  # of a code's values outside of a human's range
FAHRENHEIT = (90.0, 110.0)
UNIT_CHANGE, FEWEST_PATIENTS = 2.5, 20  # a median this many times another year's or site's, and no overlap
WITHOUT_RECORD_SHARE = 0.2
EARLIEST_SCAN = "1990-01-01"  # spiral CT came then; what systems write for "unknown" lies before
CENSORED_SHARE = 0.1
PREVALENCE = (0.005, 0.5)  # of death within the horizon; the paper has 0.106
PREVALENCE_P = 1e-3  # of a difference between sites or years by chance
DRIFT_SD, DRIFT_PRESENCE, FEWEST_OF_A_PART = 1.0, 0.5, 20  # from training to test studies
_MOST_NAMES = 5


@dataclass(frozen=True, kw_only=True)
class RecordFinding:
    level: Level
    topic: str
    text: str
    count: int = 0


@dataclass(frozen=True, kw_only=True)
class RecordAudit:
    """The findings, gravest first, and the codes of the record, most frequent first (None without events)."""

    findings: tuple[RecordFinding, ...] = ()
    codes: pd.DataFrame | None = None

    def count(self, level: Level) -> int:
        return sum(finding.level == level for finding in self.findings)


def audit_record(cohort: Cohort) -> RecordAudit:
    """Look at a cohort's studies and record; no scan is opened.

    Raises:
        RecordError: the events cannot be read as the contract says.
    """
    record = extract(cohort)
    overview = record_overview(cohort) if cohort.events is not None else None
    found = [
        *_joins(cohort, record),
        *_labels(cohort),
        *_splits(cohort),
        *_leaks(cohort, record),
        *_prevalence(cohort),
        *_drift(cohort, record),
    ]
    if overview is not None:
        found += [*_times(overview), *_units(overview)]
    found.sort(key=lambda finding: (LEVELS.index(finding.level), finding.topic))
    return RecordAudit(findings=tuple(found), codes=None if overview is None else overview.codes)


def _joins(cohort: Cohort, record: RawRecord) -> Iterator[RecordFinding]:
    studies, without = len(record.study_ids), int((~record.has_record).sum())
    if without and (cohort.events is not None or cohort.features is not None):
        level: Level = "warning" if without > WITHOUT_RECORD_SHARE * studies else "note"
        text = f"{without} of {studies} studies have no record before their scan."
        yield RecordFinding(level=level, topic="joins", text=text, count=without)
    twice = int(cohort.studies.duplicated(["patient_id", "index_time"]).sum())
    if twice:
        text = f"{twice} studies are of the same patient at the same time as another: one scan told twice?"
        yield RecordFinding(level="warning", topic="joins", text=text, count=twice)
    early = int((cohort.studies["index_time"] < EARLIEST_SCAN).sum())
    if early:
        text = f"{early} scans are dated before {EARLIEST_SCAN[:4]}, when there was no CTPA."
        yield RecordFinding(level="warning", topic="times", text=text, count=early)
    no_scan = int((cohort.studies["ct"] == "").sum())
    if no_scan:
        text = f"{no_scan} of {studies} studies have no scan."
        yield RecordFinding(level="note", topic="joins", text=text, count=no_scan)


def _labels(cohort: Cohort) -> Iterator[RecordFinding]:
    label = cohort.studies["label"]
    censored = int(label.isna().sum())
    if censored:
        level: Level = "warning" if censored > CENSORED_SHARE * len(label) else "note"
        text = f"{censored} of {len(label)} studies have no outcome (censored before {cohort.horizon_days} days)."
        yield RecordFinding(level=level, topic="labels", text=text, count=censored)
    known = label.dropna()
    if known.nunique() != 2:
        text = "All studies with an outcome have the same one: nothing can be learned."
        yield RecordFinding(level="refused", topic="labels", text=text, count=len(known))
        return
    share = float(known.mean())
    low, high = PREVALENCE
    if cohort.outcome == DEATH and not low <= share <= high:
        text = (
            f"{share:.1%} of the patients die within {cohort.horizon_days} days; {low:.1%} to {high:.0%} is usual."
        )
        yield RecordFinding(level="warning", topic="labels", text=text, count=int(known.sum()))


def _splits(cohort: Cohort) -> Iterator[RecordFinding]:
    given = cohort.studies[cohort.studies["split"] != ""]
    straddling = int((given.groupby("patient_id")["split"].nunique() > 1).sum())
    if straddling:
        text = f"{straddling} patients have studies in more than one split."
        yield RecordFinding(level="refused", topic="splits", text=text, count=straddling)


# --- what the features tell


def _leaks(cohort: Cohort, record: RawRecord) -> Iterator[RecordFinding]:
    """Facts that tell death too well, or that only the dead have."""
    label = cohort.studies["label"].reindex(record.study_ids).to_numpy(dtype=np.float64)
    rows = ~np.isnan(label)
    died = label[rows] == 1
    if min(died.sum(), (~died).sum()) < FEWEST_DEATHS:
        return
    for place, column in enumerate(record.columns[: record.values.shape[1]]):
        values = record.numbers(place)[rows]
        present = values != 0 if column.kind == "binary" else ~np.isnan(values)
        alone = int((present & died).sum())
        if not (present & ~died).any() and alone >= max(FEWEST_DEATHS // 2, ONLY_DEAD_SHARE * died.sum()):
            text = (
                f"'{column.name}' exists for {alone} patients, all of whom died: was it recorded after the scan?"
            )
            yield RecordFinding(level="warning", topic="leak", text=text, count=alone)
            continue
        told = present if column.kind == "continuous" else np.ones(len(died), dtype=bool)
        if min((told & died).sum(), (told & ~died).sum()) < FEWEST_DEATHS:
            continue
        area = _auc(values[told], died[told])
        if area > LEAK_AUC:
            text = f"'{column.name}' alone tells death with an AUC of {area:.3f}: a suspected leak."
            yield RecordFinding(level="warning", topic="leak", text=text, count=int(told.sum()))


def _auc(values: NDArray[np.float64], died: NDArray[np.bool_]) -> float:
    """Of the better direction."""
    ranks = rankdata(values)
    dead, alive = int(died.sum()), int((~died).sum())
    area = float((ranks[died].sum() - dead * (dead + 1) / 2) / (dead * alive))
    return max(area, 1 - area)


def _outcome(cohort: Cohort) -> str:
    return cohort.outcome[:1].upper() + cohort.outcome[1:]


def _is_test(studies: pd.DataFrame) -> NDArray[np.bool_]:
    """The test set as it will be: as given, else the latest year."""
    given = (studies["split"] != "").any()
    test = studies["split"] == "test" if given else studies["year"] == studies["year"].max()
    return np.asarray(test.to_numpy(dtype=bool))


def _prevalence(cohort: Cohort) -> Iterator[RecordFinding]:
    """Outcomes that differ between sites, or between training and test studies, beyond chance."""
    known = cohort.studies[cohort.studies["label"].notna()]
    parts = np.where(_is_test(known), "the test studies", "the others")
    for what, groups in (("sites", known["site"].to_numpy()), ("training and test", parts)):
        table = pd.crosstab(groups[groups != ""], known["label"].to_numpy()[groups != ""])
        table = table[table.sum(axis=1) >= FEWEST_OF_A_PART]
        if table.shape[0] < 2 or table.shape[1] < 2 or (table.sum() == 0).any():
            continue
        if chi2_contingency(table.to_numpy()).pvalue >= PREVALENCE_P:
            continue
        shares = (table[1.0] / table.sum(axis=1)).sort_values()
        low, high = (f"{shares[at]:.1%} of {table.sum(axis=1)[at]} in {at}" for at in shares.index[[0, -1]])
        warned = " A model may learn the scanner in place of the patient." if what == "sites" else ""
        text = f"{_outcome(cohort)} differs between {what}: {low}, {high}.{warned}"
        yield RecordFinding(level="warning", topic="labels", text=text, count=int(table.to_numpy().sum()))


def _drift(cohort: Cohort, record: RawRecord) -> Iterator[RecordFinding]:
    """From training to test studies: values that moved, and facts that are recorded no more or only now."""
    is_test = _is_test(cohort.studies.loc[list(record.study_ids)])
    if min(is_test.sum(), (~is_test).sum()) < FEWEST_OF_A_PART:
        return
    moved, appeared = [], []
    for place, column in enumerate(record.columns[: record.values.shape[1]]):
        values = record.numbers(place)
        present = values != 0 if column.kind == "binary" else ~np.isnan(values)
        shares = [float(present[part].mean()) for part in (~is_test, is_test)]
        if abs(shares[0] - shares[1]) > DRIFT_PRESENCE:
            appeared.append(f"{column.name} ({shares[0]:.0%} to {shares[1]:.0%})")
        parts = [values[part & present] for part in (~is_test, is_test)]
        if column.kind == "continuous" and min(map(len, parts)) >= FEWEST_OF_A_PART:
            spread = float(np.sqrt((parts[0].var() + parts[1].var()) / 2))
            if spread > 0 and abs(float(parts[0].mean() - parts[1].mean())) > DRIFT_SD * spread:
                moved.append(f"{column.name} ({parts[0].mean():.4g} to {parts[1].mean():.4g})")
    for what, names in (("are recorded more or less often", appeared), ("have other values", moved)):
        if names:
            text = f"From training to test studies {len(names)} features {what}: {_listed(names)}."
            yield RecordFinding(level="warning", topic="drift", text=text, count=len(names))
    yield from _revisions(record, is_test)


def _revisions(record: RawRecord, is_test: NDArray[np.bool_]) -> Iterator[RecordFinding]:
    """Diagnoses that change from ICD-9 to ICD-10 between training and test: neither teaches the other."""
    counts = {version: np.zeros(2) for version in ("9", "10")}
    for place, column in enumerate(record.columns[: record.values.shape[1]]):
        version = column.key.removeprefix("diagnosis//ICD-").split(" ")[0]
        if column.key.startswith("diagnosis//ICD-") and version in counts:
            marks = record.numbers(place) != 0
            counts[version] += (marks[~is_test].sum(), marks[is_test].sum())
    total = counts["9"] + counts["10"]
    if (total < FEWEST_OF_A_PART).any():
        return
    before, after = counts["9"] / total
    if abs(before - after) > DRIFT_PRESENCE:
        text = (
            f"Of the ICD codes {before:.0%} are ICD-9 in training and {after:.0%} in test studies: group them by "
            "what both share (--set features.diagnosis_groups=[chapter,ccs])."
        )
        yield RecordFinding(level="warning", topic="drift", text=text, count=int(total.sum()))


# --- what the events tell


def _times(overview: RecordOverview) -> Iterator[RecordFinding]:
    after = overview.codes[overview.codes["after"] > 0].sort_values("after", ascending=False)
    if len(after):
        total = int(after["after"].sum())
        text = (
            f"{total} events lie at or after the last scan of their patient and are not used, most of: "
            f"{_listed(list(after['name']))}."
        )
        yield RecordFinding(level="note", topic="times", text=text, count=total)


def _units(overview: RecordOverview) -> Iterator[RecordFinding]:
    """Values that no human has in the unit stated, and medians that jump from a year or site to another."""
    for row in overview.codes.to_dict("records"):
        outside, values = int(row["outside"]), int(row["values"])
        if outside >= FEWEST_OUTSIDE and outside > OUTSIDE_SHARE * values:
            heat = row["concept"] == "temperature" and FAHRENHEIT[0] <= row["outside_median"] <= FAHRENHEIT[1]
            unit = row["unit"] or (concepts()[row["concept"]].unit if row["concept"] else "") or "its unit"
            text = (
                f"{outside} of {values} values of '{row['name']}' ({row['code']}) are outside of what humans have "
                f"in {unit}: {'Fahrenheit?' if heat else 'another unit?'}"
            )
            yield RecordFinding(level="warning", topic="units", text=text, count=outside)
    measured = overview.codes[(overview.codes["concept"] != "") & overview.codes["kind"].isin(["vital", "lab"])]
    names = dict(zip(measured["code"], measured["name"], strict=True))
    for table, what in ((overview.years, "year"), (overview.sites, "site")):
        enough = table[
            (table["patients"] >= FEWEST_PATIENTS) & table["code"].isin(list(names)) & (table["median"] > 0)
        ]
        for code, each in enough.groupby("code"):
            rows = sorted(each.to_dict("records"), key=lambda one: float(one["median"]))
            low, high = rows[0], rows[-1]
            # Of another unit all values are: where the middle halves overlap, chance moved a skewed median.
            if high["median"] > UNIT_CHANGE * low["median"] and high["lower"] > low["upper"]:
                text = (
                    f"The median of '{names[str(code)]}' ({code}) is {low['median']:.4g} in {what} {low[what]} "
                    f"and {high['median']:.4g} in {what} {high[what]}: another unit?"
                )
                yield RecordFinding(level="warning", topic="units", text=text, count=int(each["patients"].sum()))


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
