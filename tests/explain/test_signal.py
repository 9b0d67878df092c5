"""The signal that a simulated record carries, traced from causes to features."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from pefuse.cohort import load_cohort
from pefuse.ehr import FeatureOptions, extract
from pefuse.errors import CohortError
from pefuse.explain.signal import signal_of_record

A, F = np.array([1.3735, 1.6482]) / np.hypot(1.3735, 1.6482)  # along the outcome's log-odds


@pytest.fixture(scope="module")
def simulated(toy_cohort):
    """The cohort, its record, its truth, and the signal of each feature."""
    cohort = load_cohort(toy_cohort)
    truth = json.loads((toy_cohort / "truth.json").read_text(encoding="utf-8"))
    options = FeatureOptions(measured=("hours_since", "count", "trend"), diagnosis_groups=("chapter",))
    record = extract(cohort, options=options)
    return cohort, record, truth, signal_of_record(record, cohort.codes, truth)


def test_a_measurement_carries_its_causes_along_the_outcome(simulated):
    """Lactate: correlations of 0.84 with physiology and 0.2 with frailty; heart rate: 0.72 and 0."""
    *_, signal = simulated

    assert signal["lactate"].value == pytest.approx(0.84 * A + 0.2 * F, abs=1e-3)
    assert signal["heart_rate"].value == pytest.approx(0.72 * A, abs=1e-3)
    assert signal["age"].value == pytest.approx(0.65 * F, abs=1e-3)
    assert signal["lactate//slope"] == signal["lactate"]


def test_what_the_truth_does_not_list_carries_nothing(simulated):
    """Platelets, sex, time and arrival."""
    *_, signal = simulated

    for key in (
        "platelets",
        "sex",
        "time//hour",
        "time//month",
        "arrival//complaint",
        "visit//hours_since_arrival",
    ):
        assert signal[key].value == 0


def test_being_measured_carries_the_panel_and_earlier_visits(simulated):
    """The panel of lactate is ordered for the sick; it is missing where no earlier visit had it either."""
    _, record, _, signal = simulated
    missing = float(np.isnan(record.numbers(record.place("lactate"))).mean())
    slope = 0.62 * (1.1 * A + 0.75 * 1.6 * np.exp(0.45**2 / 2) * 0.45 * F)

    assert signal["lactate"].measured == pytest.approx(slope * np.sqrt(missing / (1 - missing)), rel=1e-3)
    assert signal["lactate//hours_since"].value == signal["lactate//hours_since"].measured > 0
    never_missing = [key for key in ("heart_rate", "age") if not np.isnan(record.numbers(record.place(key))).any()]
    assert all(signal[key].measured == 0 for key in never_missing)


def test_a_rare_mark_says_less_than_a_common_one_of_the_same_effect(simulated):
    """A drug of 0.12 log-odds a deviation: its effect times the deviation of the mark, sqrt(p·(1 - p))."""
    _, record, truth, signal = simulated
    effects = {row["feature"]: row["frailty"] for row in truth["signal"] if row["physiology"] == 0}
    checked = 0
    for column in record.columns:
        code = column.key.replace("medication//out//", "MEDICATION//OUTPATIENT//")
        if column.key.startswith("medication//out//") and code in effects:
            share = record.numbers(record.place(column.key)).mean()
            expected = abs(effects[code]) * F * np.sqrt(share * (1 - share))
            assert signal[column.key].value == pytest.approx(expected, rel=1e-6)
            checked += 1

    assert checked > 20


def test_a_code_of_a_comorbidity_carries_it_though_it_is_not_listed_itself(simulated):
    """A code of cancer, which 1.1 log-odds a deviation of frailty bring, is one of few marks that say much."""
    cohort, record, _, signal = simulated
    cancer = set(cohort.codes.loc[cohort.codes["concept"] == "cancer", "code"])
    keys = {f"diagnosis//ICD-9 {code.removeprefix('ICD9CM//')}" for code in cancer}
    strong = [signal[column.key].value for column in record.columns if column.key in keys]

    assert len(strong) > 0
    assert min(strong) > 0.05


def test_counts_and_groups_carry_what_they_are_made_of(simulated):
    """Hundreds of faint drugs add up; a chapter of the ICD has the signal of its codes."""
    *_, signal = simulated
    faint = [one.value for key, one in signal.items() if key.startswith("medication//out//")]

    assert signal["count//medication//"].value > 3 * np.mean(faint)
    assert any(one.value > 0.1 for key, one in signal.items() if key.startswith("chapter//"))
    assert signal["visit//emergency//visits"].value > 0.2


def test_the_estimates_are_the_correlations_that_the_record_shows(simulated):
    """Of 50 patients each correlation is off by about 0.14, so all labs together must fit: in order, no bias."""
    cohort, record, _, signal = simulated
    truth = pd.read_csv(cohort.folder / "truth.csv", index_col="study_id").loc[list(record.study_ids)]
    cause = 1.3735 * truth["physiology"] + 1.6482 * truth["frailty"]
    pairs = []
    for place, column in enumerate(record.columns):
        if column.family not in ("lab", "vital") or "//" in column.key:
            continue
        numbers = record.numbers(place)
        known = ~np.isnan(numbers)
        if known.sum() > 25 and numbers[known].std() > 0:
            ranks = pd.Series(numbers[known]).rank(), cause[known].rank()
            pairs.append((signal[column.key].value, abs(np.corrcoef(*ranks)[0, 1])))
    estimated, seen = np.array(pairs).T

    assert len(pairs) > 40
    assert np.corrcoef(estimated, seen)[0, 1] > 0.7
    assert abs(estimated.mean() - seen.mean()) < 0.1


def test_a_truth_that_is_not_one_is_refused(simulated):
    cohort, record, truth, _ = simulated

    with pytest.raises(CohortError, match="does not list which features"):
        signal_of_record(record, cohort.codes, {"simulated": True})
    with pytest.raises(CohortError, match="lists no feature that the record has"):
        signal_of_record(record, cohort.codes, {**truth, "signal": []})
