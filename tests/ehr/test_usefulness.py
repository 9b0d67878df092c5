"""A record that says nothing of its studies is refused, and how much of it is of use is counted."""

from __future__ import annotations

import pytest

from pefuse.cohort import load_cohort
from pefuse.ehr import check_useful, extract, record_summary
from pefuse.errors import RecordError

BEFORE, AFTER = "2018-03-01", "2018-03-06"


def test_each_event_is_counted_once_by_how_far_it_came(make_cohort):
    cohort = make_cohort(
        [
            (1, BEFORE, "LAB//lactate", 2.0),
            (1, BEFORE, "LAB//lactate", 5000.0),  # no human has it
            (1, BEFORE, "SOMETHING//else", 1.0),
            (1, AFTER, "LAB//lactate", 3.0),
            (1, None, "SMOKING//current"),
            (77, BEFORE, "LAB//lactate", 2.0),
        ],
        studies=[{}, {}],
    )
    record = extract(cohort)

    assert record_summary(record) == {
        "studies": 2,
        "with_record": 1,
        "events": 6,
        "of_patients": 5,
        "before": 4,
        "understood": 3,
        "implausible": 1,
        "codes": 3,
        "codes_understood": 2,
        "codes_without_conversion": 0,
    }
    check_useful(record)


def test_a_patient_with_two_scans_does_not_double_the_counts(make_cohort):
    cohort = make_cohort(
        [(1, BEFORE, "LAB//lactate", 2.0)],
        studies=[{"patient_id": 1}, {"patient_id": 1, "index_time": "2018-04-01"}],
    )
    use = extract(cohort).use
    assert use is not None
    assert (use.events, use.before, use.understood) == (1, 1, 1)


def test_a_unit_without_a_way_to_that_of_the_concept_is_counted(make_cohort):
    codes = [{"code": "X1", "kind": "lab", "concept": "lactate", "unit": "furlong", "description": ""}]
    use = extract(make_cohort([(1, BEFORE, "X1", 2.0)], codes=codes)).use
    assert use is not None
    assert use.codes_without_conversion == 1


@pytest.mark.parametrize(
    ("event", "message"),
    [
        ((77, BEFORE, "LAB//lactate", 2.0), "None of the 1 events is of a patient of studies.csv"),
        ((1, AFTER, "LAB//lactate", 2.0), "None of the 1 events of these patients lies before"),
        ((1, BEFORE, "Q-17", 2.0), "None of the 1 codes of the events has a known meaning"),
    ],
)
def test_a_record_of_which_nothing_is_left_is_refused_with_the_step(make_cohort, event, message):
    record = extract(make_cohort([event]))
    with pytest.raises(RecordError, match=message):
        check_useful(record)


def test_events_without_a_row_are_refused(make_cohort):
    cohort = make_cohort([(1, BEFORE, "LAB//lactate", 2.0)], as_csv=True)
    (cohort.folder / "events.csv").write_text("subject_id,time,code,numeric_value,text_value\n")
    with pytest.raises(RecordError, match="no row"):
        check_useful(extract(cohort))


def test_features_of_no_study_are_refused(make_cohort):
    cohort = make_cohort([(1, BEFORE, "LAB//lactate", 2.0)])
    for path in cohort.folder.glob("events.*"):
        path.unlink()
    (cohort.folder / "features.csv").write_text("study_id,lactate\n")
    with pytest.raises(RecordError, match=r"features\.csv has no row for any study"):
        check_useful(extract(load_cohort(cohort.folder)))


@pytest.mark.parametrize("time", ["2018-03-05T11:00:00+02:00", "2018-03-05 11:00Z", "2018-03-05T11:00:00.5-0530"])
def test_times_with_a_zone_are_refused_since_they_could_move_past_the_scan(make_cohort, time):
    cohort = make_cohort([(1, BEFORE, "LAB//lactate", 2.0)], as_csv=True)
    text = f"subject_id,time,code,numeric_value\n1,{time},LAB//lactate,2.0\n1,2018-03-01,LAB//lactate,2.0\n"
    (cohort.folder / "events.csv").write_text(text)
    with pytest.raises(RecordError, match="1 times have a time zone"):
        extract(cohort)


@pytest.mark.parametrize(
    "time", ["2018-03-05", "2018-03-05T11:00:00", "2018-03-05 11:00:00.123456", '"2018-03-05"']
)
def test_local_times_of_any_precision_are_read(make_cohort, time):
    cohort = make_cohort([(1, BEFORE, "LAB//lactate", 2.0)], as_csv=True)
    (cohort.folder / "events.csv").write_text(f"subject_id,time,code,numeric_value\n1,{time},LAB//lactate,2.0\n")
    assert record_summary(extract(cohort))["understood"] == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1,2018-01-01,LAB//lactate,high", "events, row 3, column numeric_value is not of its type"),
        ("one,2018-01-01,LAB//lactate,1", "events, row 3, column subject_id is not of its type"),
        ("1,01.02.2018,LAB//lactate,1", "events, row 3, column time is not of its type"),
        ("1,2018-01-01", "events.* is damaged or not of the contract's form"),
    ],
)
def test_a_bad_row_is_named_without_what_stands_in_it(make_cohort, row, message):
    cohort = make_cohort([(1, BEFORE, "LAB//lactate", 2.0)], as_csv=True)
    header = "subject_id,time,code,numeric_value"
    (cohort.folder / "events.csv").write_text(f"{header}\n1,2018-01-01,LAB//lactate,1\n{row}\n")
    with pytest.raises(RecordError, match=message) as caught:
        extract(cohort)
    assert "lactate" not in str(caught.value)
