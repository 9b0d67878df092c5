"""Units: conversions against published pairs, and spellings."""

from __future__ import annotations

import numpy as np
import pytest

from pefuse.errors import UsageError
from pefuse.vocabulary import concept, concepts, conversion, read_table, significant, unit_key


def converted(name: str, value: float, unit: str) -> float:
    change = conversion(name, unit, concept(name).unit)
    assert change is not None
    return float(change.apply(np.array([value]))[0])


@pytest.mark.parametrize(
    ("name", "value", "unit", "expected"),
    [
        ("temperature", 98.6, "°F", 37.0),
        ("temperature", 96.8, "[degF]", 36.0),  # the cut of PESI, exactly
        ("temperature", 310.15, "K", 37.0),
        ("temperature", 36.6, "Cel", 36.6),
        ("spo2", 0.9, "fraction", 90.0),
        ("spo2", 0.89, "1", 89.0),
        ("weight", 220.46226, "lb", 100.0),
        ("height", 70, "in", 177.8),
        ("height", 1.8, "m", 180.0),
        ("systolic_bp", 13.33224, "kPa", 100.0),
        ("glucose", 5.55, "mmol/L", 100.0),
        ("creatinine", 88.4, "µmol/L", 1.0),
        ("urea_nitrogen", 7.14, "mmol/L", 20.0),
        ("bilirubin_total", 17.1, "umol/L", 1.0),
        ("calcium", 2.5, "mmol/L", 10.0),
        ("magnesium", 2.0, "mEq/L", 2.43),
        ("phosphate", 1.0, "mmol/L", 3.1),
        ("uric_acid", 357, "umol/L", 6.0),
        ("cholesterol", 5.17, "mmol/L", 200.0),
        ("triglycerides", 1.69, "mmol/L", 150.0),
        ("hemoglobin", 140, "g/L", 14.0),
        ("hemoglobin", 8.69, "mmol/L", 14.0),
        ("lactate", 18, "mg/dL", 2.0),
        ("troponin_t", 0.014, "ng/mL", 14.0),
        ("d_dimer", 0.5, "mg/L FEU", 500.0),
        ("d_dimer", 250, "ng/mL DDU", 500.0),
        ("crp", 1.2, "mg/dL", 12.0),
        ("albumin", 40, "g/L", 4.0),
        ("fibrinogen", 3.0, "g/L", 300.0),
        ("white_cells", 7500, "/uL", 7.5),
        ("white_cells", 7.5, "K/uL", 7.5),
        ("white_cells", 7.5, "10*3/uL", 7.5),
        ("white_cells", 7.5, "x10^9/L", 7.5),
        ("red_cells", 4.5, "m/uL", 4.5),
        ("hematocrit", 0.42, "L/L", 42.0),
        ("sodium", 140, "mEq/L", 140.0),
        ("pco2", 5.33, "kPa", 40.0),
        ("iron", 17.9, "umol/L", 100.0),
        ("hba1c", 53, "mmol/mol", 7.0),
        ("nt_probnp", 100, "pmol/L", 845.7),
        ("heart_rate", 110, "bpm", 110.0),
        # by dimensions, or by dimensions and the substance's own fact together
        ("glucose", 5550, "umol/L", 100.0),
        ("creatinine", 88.4e-6, "mol/L", 1.0),
        ("creatinine", 0.01, "g/L", 1.0),
        ("troponin_t", 14, "pg/mL", 14.0),
        ("troponin_t", 14000, "fg/mL", 14.0),
        ("d_dimer", 0.0005, "g/L", 500.0),
        ("alt", 0.5, "ukat/L", 30.0),
        ("alt", 30, "IU/L", 30.0),
        ("platelets", 250000, "/mm^3", 250.0),
        ("platelets", 250, "10^6/mL", 250.0),
        ("ionized_calcium", 1200, "umol/L", 1.2),
        ("height", 5.9055, "ft", 180.0),
        ("pco2", 0.0533, "kPa", 0.4),
        ("prothrombin_time", 0.2, "min", 12.0),
        ("inr", 1.2, "1", 1.2),
    ],
)
def test_conversions_agree_with_published_pairs(name, value, unit, expected):
    assert converted(name, value, unit) == pytest.approx(expected, rel=0.008)


def test_values_at_a_cut_stay_on_their_side_of_it():
    """0.9 as a float32 share is 0.89999998: 90 % all the same, and 96.8 °F is 36.0 °C, not 35.999999."""
    assert converted("spo2", float(np.float32(0.9)), "fraction") == 90.0
    assert converted("temperature", float(np.float32(96.8)), "F") == 36.0


def test_an_unstated_unit_is_the_usual_one_and_an_unknown_one_is_refused():
    assert converted("glucose", 100, "") == 100.0
    assert converted("inr", 1.2, "UNK") == 1.2
    assert conversion("glucose", "spoons", "mg/dL") is None
    assert conversion("glucose", "mmol/L", "mg/dL") != conversion("lactate", "mmol/L", "mg/dL")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("glucose", "U/L"),  # pint's own U is a mass
        ("glucose", "g"),
        ("temperature", "%"),
        ("platelets", "fL"),
        ("heart_rate", "s"),
        ("sodium", "mOsm/kg"),
        ("tsh", "U/L"),  # enzyme units are no international ones
        ("egfr", "mL/h"),
        ("weight", "__import__('os')"),
        ("weight", "10**99999999*kg"),
        ("weight", "kg" * 500),
        ("weight", "kg//"),
    ],
)
def test_a_unit_of_another_kind_is_refused(name, unit):
    assert conversion(name, unit, concept(name).unit) is None


@pytest.mark.parametrize(
    ("spellings", "key"),
    [
        (("°C", "C", "Cel", "degC", " Celsius "), "c"),
        (("µg/L", "μg/L", "ug/l", "mcg/L"), "ug/l"),
        (("10^9/L", "10*9/L", "10e9/L", "x10^9/L", "K/uL", "10^3/uL"), "10^9/l"),
        (("mm[Hg]", "mmHg", "mm Hg"), "mmhg"),
        (("{beats}/min", "/min", "bpm"), "/min"),
        (("ng/mL FEU", "ng/mLFEU"), "ng/ml feu"),
    ],
)
def test_spellings_of_one_unit_are_one(spellings, key):
    assert {unit_key(spelling) for spelling in spellings} == {key}


def test_significant_digits_keep_zero_sign_and_nan():
    values = significant(np.array([0.0, -1.23456789, 123456789.0, np.nan]))

    np.testing.assert_array_equal(values, [0.0, -1.234568, 123456800.0, np.nan])


def test_every_row_of_the_table_says_where_it_is_from_and_turns_back():
    for row in read_table("unit_conversions.csv"):
        assert row["source"]
        assert row["concept"] == "*" or row["concept"] in concepts()
        if row["concept"] != "*":
            assert unit_key(concepts()[row["concept"]].unit) == unit_key(row["target"]), row
        change = conversion(row["concept"], row["unit"], row["target"])
        assert change is not None
        assert change.invert(float(change.apply(np.array([50.0]))[0])) == pytest.approx(50.0, rel=1e-6)


def test_concepts_have_ranges_in_their_unit_and_an_unknown_one_is_refused():
    measured = [item for item in concepts().values() if item.kind in ("vital", "lab")]
    assert all(item.unit and item.low < item.high for item in measured)
    assert sum(item.kind == "lab" for item in measured) > 40
    with pytest.raises(UsageError, match="'mana' is not a concept"):
        concept("mana")
