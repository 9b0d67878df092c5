"""The record: what it holds, before and after the scan, and how it comes from the latent causes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from pefuse.cohort.simulate.config import PeriodCounts
from pefuse.cohort.simulate.record import Record, codes_table, draw_record
from pefuse.cohort.simulate.record_state import PatientState, values_of
from pefuse.cohort.simulate.record_tables import COMORBIDITIES, diagnoses, measurements, medications, panels
from pefuse.cohort.simulate.strata import Period, PeriodStudies, draw_period
from pefuse.vocabulary import CODE_KINDS, concept, icd_concepts, parse_icd

COUNTS = PeriodCounts(patients=286, deaths=28)


@dataclass(frozen=True)
class Drawn:
    studies: PeriodStudies
    record: Record
    subject_ids: NDArray[np.int64]
    events: pd.DataFrame  # with `days` from the scan and `row` of the patient


def _draw(counts: PeriodCounts, seed: int) -> Drawn:
    generator = np.random.default_rng(seed)
    period = Period(first=2012, last=2017, shortcut_holds=False)
    studies = draw_period(counts, period, shortcut=False, generator=generator)
    subject_ids = generator.permutation(counts.patients).astype(np.int64) + 7000
    record = draw_record(
        studies.latents,
        studies.outcome,
        subject_ids=subject_ids,
        index_times=studies.index_times,
        generator=generator,
    )
    events = record.events.to_pandas()
    row = pd.Series(np.arange(counts.patients), index=subject_ids)
    events["row"] = row.loc[events["subject_id"]].to_numpy()
    events["days"] = (events["time"].to_numpy() - studies.index_times[events["row"]]) / np.timedelta64(1, "D")
    return Drawn(studies, record, subject_ids, events)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return _draw(COUNTS, seed=1)


@pytest.fixture(scope="module")
def many() -> Drawn:
    return _draw(PeriodCounts(patients=1500, deaths=300), seed=2)


def test_events_are_meds_sorted_by_subject_and_time(drawn: Drawn):
    events = drawn.events

    assert drawn.record.events.schema.names == ["subject_id", "time", "code", "numeric_value", "text_value"]
    assert events["subject_id"].is_monotonic_increasing
    assert (events.groupby("subject_id")["time"].diff().dropna() >= pd.Timedelta(0)).all()
    assert set(events["subject_id"]) == set(drawn.subject_ids)


def test_every_patient_has_events_before_at_and_after_the_scan(drawn: Drawn):
    before, at, after = (
        drawn.events.loc[chosen, "row"].nunique()
        for chosen in (drawn.events["days"] < 0, drawn.events["days"] == 0, drawn.events["days"] > 0)
    )

    assert (before, after) == (286, 286)
    assert at > 200


def test_every_code_has_its_meaning(drawn: Drawn):
    codes = codes_table()

    assert set(drawn.events["code"]) <= set(codes["code"])
    assert codes["code"].is_unique
    assert set(codes["kind"]) <= set(CODE_KINDS)


def test_there_are_641_classes_of_medication():
    codes = [item.code for item in medications()]

    assert len(codes) == len(set(codes)) == 641
    assert {item.setting for item in medications()} == {"in", "out"}


def test_about_308_diagnoses_pass_the_rule_of_five_percent(drawn: Drawn):
    """308 in the paper; the number varies from cohort to cohort as diagnoses do."""
    known = drawn.events[(drawn.events["days"] < 0) & drawn.events["code"].str.startswith("ICD9CM//")]
    carriers = known.groupby("code")["row"].nunique()

    assert 293 <= int((carriers > 0.05 * 286).sum()) <= 323
    assert int((carriers <= 0.05 * 286).sum()) > 200


def test_diagnosis_codes_mean_the_comorbidity_they_are_drawn_for_and_no_other_scored_one():
    scored = {*COMORBIDITIES, "altered_mental_status"}
    for item in diagnoses():
        icd = parse_icd(item.code)
        assert icd is not None, item.code
        assert scored & set(icd_concepts(icd)) == ({item.group} if item.group else set()), item.code


def test_measurements_have_a_concept_a_unit_and_room_for_their_correlations():
    known_panels = {panel.name for panel in panels()}
    assert sum(item.kind == "lab" for item in measurements()) > 40
    for item in measurements():
        assert concept(item.concept).kind == item.kind
        assert concept(item.concept).low <= item.lowest < item.highest <= concept(item.concept).high
        assert item.physiology**2 + item.frailty**2 < 1
        assert item.panel in known_panels
        if item.reference_low is not None and item.reference_high is not None:
            assert item.lowest <= item.reference_low < item.reference_high <= item.highest


def test_the_last_value_before_the_scan_is_the_level_that_the_scores_were_calibrated_on(drawn: Drawn):
    state = drawn.record.state
    for name in ("VITAL//systolic_bp", "LAB//lactate"):
        column, item = next((c, m) for c, m in enumerate(measurements()) if m.code == name)
        before = drawn.events[(drawn.events["days"] < 0) & (drawn.events["code"] == name)]
        last = before.groupby("row").tail(1).set_index("row")["numeric_value"]
        rows = np.flatnonzero(state.ordered[:, column])

        expected = values_of(item, state.level[rows, column])

        assert last.loc[rows].to_numpy() == pytest.approx(expected, rel=1e-5)


def test_a_lab_correlates_with_its_causes_as_its_table_says(many: Drawn):
    """Lactate goes with physiology, albumin with frailty, chloride with neither (in survivors)."""
    alive = ~many.studies.outcome.died_in_horizon
    state, latents = many.record.state, many.studies.latents
    for name in ("lactate", "albumin", "chloride"):
        column, item = next((c, m) for c, m in enumerate(measurements()) if m.concept == name)
        level = state.level[alive, column]
        assert np.corrcoef(level, latents.physiology[alive])[0, 1] == pytest.approx(item.physiology, abs=0.1)
        assert np.corrcoef(level, latents.frailty[alive])[0, 1] == pytest.approx(item.frailty, abs=0.1)


def test_labs_are_missing_more_often_in_the_well(many: Drawn):
    state: PatientState = many.record.state
    column = next(c for c, m in enumerate(measurements()) if m.concept == "lactate")
    sick = state.latents.physiology > 0.5
    well = state.latents.physiology < -0.5

    assert state.ordered[sick, column].mean() > state.ordered[well, column].mean() + 0.2


def test_a_value_of_years_ago_does_not_know_of_the_acute_illness(many: Drawn):
    """Lactate of earlier visits is free of today's physiology."""
    old = many.events[(many.events["code"] == "LAB//lactate") & (many.events["days"] < -15)]
    physiology = many.studies.latents.physiology[old["row"]]

    assert abs(np.corrcoef(np.log(old["numeric_value"]), physiology)[0, 1]) < 0.12


def test_what_comes_after_the_scan_gives_the_outcome_away(many: Drawn):
    """A pipeline that reads past the index time is rewarded at once, so such a leak can be seen."""
    died = many.studies.outcome.died_in_horizon
    late = many.events[many.events["days"] > 0]
    arrested = np.isin(np.arange(1500), late.loc[late["code"] == "ICD9CM//427.5", "row"])

    assert arrested[died].mean() > 0.4
    assert arrested[~died].mean() < 0.05
    assert not (many.events["code"].eq("ICD9CM//427.5") & (many.events["days"] < 0)).any()
    assert not (many.events["code"].eq("ICD9CM//415.19") & (many.events["days"] < 0)).any()


def test_the_dead_have_their_death_within_30_days(many: Drawn):
    deaths = many.events[many.events["code"] == "MEDS_DEATH"].set_index("row")["days"]
    died = many.studies.outcome.died_in_horizon

    assert set(np.flatnonzero(died)) == set(deaths.index[deaths <= 30])
    assert (deaths > 30).sum() > 30


def test_older_and_sicker_people_have_more_drugs_and_visits(many: Drawn):
    before = many.events[many.events["days"] < 0]
    frail = many.studies.latents.frailty > 1
    fit = many.studies.latents.frailty < -1
    for start in ("MEDICATION//OUTPATIENT", "VISIT//"):
        found = before[before["code"].str.startswith(start)]
        counts = found.groupby("row")["code"].size().reindex(range(1500), fill_value=0).to_numpy()
        assert counts[frail].mean() > 1.15 * counts[fit].mean()
