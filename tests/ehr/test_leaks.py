"""Whatever lies at or after the index may change at will: no feature of any family, option or score sees it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pefuse.ehr import SCORES, FeatureOptions, clinical_scores, extract

from .conftest import INDEX

CODES = (  # of every family; many count by their number, others by a text
    "VITAL//heart_rate",
    "VITAL//systolic_bp",
    "LAB//lactate",
    "LAB//troponin_t",
    "SCORE//local",
    "MEDICATION//IN//heparin",
    "MEDICATION//OUT//statin",
    "ICD9CM//428.0",
    "ICD10CM//C34.9",
    "ICD10CM//R41.0",
    "SNOMED//271594007",
    "PROCEDURE//CPT4//71275",
    "OBSERVATION//travel",
    "SMOKING//current",
    "SMOKING//never",
    "ARRIVAL//escort//family",
    "ARRIVAL//escort//police",
    "VISIT//INPATIENT//START",
    "VISIT//INPATIENT//END",
    "VISIT//ED//START",
    "VISIT//OUTPATIENT",
    "VISIT//INPATIENT",  # with a number: so many days from then
    "VISIT//INPATIENT//DAYS",  # so many days up to then
)
SECONDS = st.sampled_from(
    [-40_000_000, -2_000_000, -90_000, -86_401, -86_400, -86_399, -3600, -1, 0, 1, 86_400, 10**7]
)
EVENT = st.tuples(SECONDS, st.sampled_from(CODES), st.floats(1, 200, width=32))
OPTIONS = FeatureOptions(
    measured=("hours_since", "count", "trend", "worst_24h"),
    diagnosis_groups=("chapter", "ccs"),
    lookback_days={"lab": 30},
)


def frames(
    make_cohort, events: list[tuple[int, str, float]], lag_hours: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    index = pd.Timestamp(INDEX)
    rows = [(1, (index + pd.Timedelta(seconds=after)).isoformat(), code, value) for after, code, value in events]
    cohort = make_cohort([(1, "2010-01-01", "VITAL//heart_rate", 70.0), *rows])
    options = FeatureOptions(**{**vars(OPTIONS), "lag_hours": lag_hours})
    return extract(cohort, options=options).frame(), clinical_scores(cohort, scores=SCORES, lag_hours=lag_hours)


@pytest.mark.parametrize("lag_hours", [0, 24])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=st.lists(EVENT, max_size=25))
@example(events=[(0, code, 5.0) for code in CODES])
@example(events=[(-86_400, code, 5.0) for code in CODES])
@example(events=[(-1, "VISIT//INPATIENT//START", 1.0), (1, "VISIT//INPATIENT//END", 1.0)])
def test_no_family_sees_what_is_at_or_after_the_cut(make_cohort, lag_hours, events):
    before = [event for event in events if event[0] < -3600 * lag_hours]
    for whole, cut in zip(
        frames(make_cohort, events, lag_hours), frames(make_cohort, before, lag_hours), strict=True
    ):
        pd.testing.assert_frame_equal(whole, cut)


def test_the_test_can_see_a_leak(make_cohort):
    """Moved to just before the index, each of the codes changes a feature: none is tested in vain."""
    nothing, _ = frames(make_cohort, [], 0)
    for code in CODES:
        found, _ = frames(make_cohort, [(-1, code, 25.0)], 0)
        common = [name for name in found if name in nothing]
        changed = not found[common].equals(nothing[common]) or len(found.columns) > len(nothing.columns)
        assert changed, code
    assert np.isnan(nothing.loc["s1"].get("lactate (mmol/L)", np.nan))
