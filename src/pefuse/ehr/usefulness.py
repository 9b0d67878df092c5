"""Whether a record says anything of its studies: a wrong id or time would empty it without a word."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pefuse.ehr.record import RawRecord
from pefuse.errors import RecordError

__all__ = ["check_useful", "record_summary"]


def check_useful(record: RawRecord) -> None:
    """Refuse a record of which not one entry can be used.

    Raises:
        RecordError: with the step at which nothing is left.
    """
    use = record.use
    if use is None:
        if not record.has_record.any() and len(record.columns):
            raise RecordError("features.csv has no row for any study: its study_id must be that of studies.csv.")
        return
    if not use.events:
        raise RecordError("The events have no row: they need one a fact of the record, or leave the file out.")
    if not use.of_patients:
        raise RecordError(
            f"None of the {use.events} events is of a patient of studies.csv: subject_id must be its patient_id."
        )
    if not use.before:
        raise RecordError(
            f"None of the {use.of_patients} events of these patients lies before its scan's index_time: check the "
            "times of both."
        )
    if not use.understood:
        raise RecordError(
            f"None of the {use.codes} codes of the events has a known meaning: give them a kind in codes.csv "
            "(see docs/cohort-format.md)."
        )


def record_summary(record: RawRecord) -> dict[str, Any]:
    """In counts: studies, those of which anything is known, and the use of the events where there are some."""
    counts = {"studies": len(record.study_ids), "with_record": int(record.has_record.sum())}
    return counts | (asdict(record.use) if record.use is not None else {})
