"""What the page says of the cohort's record, from its counts (`pefuse.ehr.record_summary`, in `cohort.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pefuse.report.wording import counted, grouped

__all__ = ["record_sentence", "record_warnings"]


def record_sentence(record: Mapping[str, Any]) -> str:
    """How much of the record was of use; "" where nothing is told."""
    if not record:
        return ""
    known = f"{grouped(record['with_record'])} of {counted(record['studies'], 'study', 'studies')}"
    if "events" not in record:
        return f"There is a row of features for {known}."
    return (
        f"Something is recorded before the scan of {known}. Of {counted(record['events'], 'event')}, "
        f"{grouped(record['of_patients'])} are of these patients, {grouped(record['before'])} of those lie before "
        f"a scan, and {grouped(record['understood'])} of those have a code whose meaning is known "
        f"({grouped(record['codes_understood'])} of {counted(record['codes'], 'code')})."
    )


def record_warnings(record: Mapping[str, Any]) -> list[str]:
    """What is wrong with the record as far as counts tell: mostly a wrong id, time, unit or code."""
    if not record:
        return []
    warnings = []
    unknown = record["studies"] - record["with_record"]
    if unknown > 0.1 * record["studies"]:
        warnings.append(
            f"Nothing is recorded before the scan of {grouped(unknown)} of {grouped(record['studies'])} studies, "
            "and models of the record see an empty row there: are the ids and times right?"
        )
    return warnings + (_of_events(record) if "events" in record else [])


def _of_events(record: Mapping[str, Any]) -> list[str]:
    warnings = []
    if record["understood"] < 0.5 * record["before"]:
        share = 100 * record["understood"] / record["before"]
        warnings.append(
            f"Only {share:.0f} % of the events before the scans have a code whose meaning is known: give the "
            "others a kind in codes.csv."
        )
    if record["implausible"] > 0.05 * record["understood"]:
        warnings.append(
            f"{counted(record['implausible'], 'measured number')} lie outside the human range and were not used: "
            "are the units in codes.csv right?"
        )
    if apart := record["codes_without_conversion"]:
        warnings.append(
            f"{counted(apart, 'measured code')} {'is' if apart == 1 else 'are'} in a unit that cannot be "
            "converted to that of the concept: no part of a clinical score, and a feature apart."
        )
    return warnings
