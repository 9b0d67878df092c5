"""Nine clinical scores, written a second time from the published tables: an oracle for tests.

Only the standard library, explicit comparisons, no missing values. Nothing here was taken from the
package under test. Every score says where its points come from; where published sources disagree,
the comment gives both readings and says which one the function follows.

Conventions that hold throughout:
* ages are completed years (`math.floor`), so 80.9 years is 80;
* values between two printed bands (SpO2 91.5 %) are not defined by any source: no rounding is done here;
* `>=`, `>`, `<=` and `<` are as printed in the source that the docstring names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

PesiClass = Literal["I", "II", "III", "IV", "V"]
EscClass = Literal["low", "intermediate-low", "intermediate-high", "high"]
BovaStage = Literal["I", "II", "III"]


@dataclass(frozen=True)
class Patient:
    """One patient with confirmed acute pulmonary embolism (PE), every value known."""

    age_years: float
    male: bool

    # Vital signs at presentation.
    heart_rate: float  # beats/min
    systolic_bp: float  # mmHg
    respiratory_rate: float  # breaths/min
    temperature_c: float
    spo2_percent: float
    on_oxygen: bool  # any supplemental oxygen at the time of the SpO2

    # History and presentation.
    cancer: bool
    heart_failure: bool
    chronic_lung_disease: bool
    altered_mental_status: bool  # new confusion, lethargy, stupor or coma
    syncope: bool
    shock: bool  # obstructive shock: SBP <90 or vasopressors, with end-organ hypoperfusion
    cardiac_arrest: bool  # need for cardiopulmonary resuscitation

    # Laboratory.
    troponin_t_ng_l: float  # high-sensitivity troponin T
    troponin_i_ng_l: float  # high-sensitivity troponin I
    nt_probnp_ng_l: float
    bnp_ng_l: float

    # Imaging.
    rv_dysfunction: bool  # any sign on echocardiography or CT (Bova, ESC)
    rv_function_moderately_or_severely_reduced: bool  # the stronger sign of the CPES score
    saddle_embolus: bool
    concomitant_dvt: bool

    # Hestia, asked as such (the haemodynamic item is worked out from the fields above).
    intensive_care_needed: bool
    thrombolysis_or_embolectomy_needed: bool
    active_or_high_risk_of_bleeding: bool
    oxygen_needed_over_24h: bool  # to keep the saturation >90 %
    pe_under_anticoagulation: bool
    iv_pain_medication_over_24h: bool
    medical_or_social_reason_over_24h: bool
    creatinine_clearance_below_30: bool  # <30 mL/min, Cockcroft-Gault
    severe_liver_impairment: bool
    pregnant: bool
    hit_history: bool  # documented heparin-induced thrombocytopenia


# A starting point for `dataclasses.replace`: a woman of 50 with nothing abnormal.
# PESI 50 (class I), shock index 70/120, every other score 0, ESC class low.
WELL = Patient(
    age_years=50.0,
    male=False,
    heart_rate=70.0,
    systolic_bp=120.0,
    respiratory_rate=16.0,
    temperature_c=37.0,
    spo2_percent=98.0,
    on_oxygen=False,
    cancer=False,
    heart_failure=False,
    chronic_lung_disease=False,
    altered_mental_status=False,
    syncope=False,
    shock=False,
    cardiac_arrest=False,
    troponin_t_ng_l=5.0,
    troponin_i_ng_l=5.0,
    nt_probnp_ng_l=50.0,
    bnp_ng_l=10.0,
    rv_dysfunction=False,
    rv_function_moderately_or_severely_reduced=False,
    saddle_embolus=False,
    concomitant_dvt=False,
    intensive_care_needed=False,
    thrombolysis_or_embolectomy_needed=False,
    active_or_high_risk_of_bleeding=False,
    oxygen_needed_over_24h=False,
    pe_under_anticoagulation=False,
    iv_pain_medication_over_24h=False,
    medical_or_social_reason_over_24h=False,
    creatinine_clearance_below_30=False,
    severe_liver_impairment=False,
    pregnant=False,
    hit_history=False,
)


# ---------------------------------------------------------------------------------------------------------
# Shared pieces
# ---------------------------------------------------------------------------------------------------------


def completed_years(p: Patient) -> int:
    """The age as people state it: 80.9 years is 80."""
    return math.floor(p.age_years)


def troponin_t_raised(p: Patient, *, age_adjusted: bool = False) -> bool:
    """High-sensitivity troponin T >=14 ng/L.

    Age-adjusted (Kaeberich, Eur Respir J 2015): >=14 ng/L below 75 years, >=45 ng/L from 75 years on.
    """
    cut = 14.0
    if age_adjusted and completed_years(p) >= 75:
        cut = 45.0
    return p.troponin_t_ng_l >= cut


def troponin_i_raised(p: Patient) -> bool:
    """High-sensitivity troponin I >=26 ng/L (assay limit; no age adjustment is published for PE)."""
    return p.troponin_i_ng_l >= 26.0


def troponin_raised(p: Patient, *, age_adjusted: bool = False) -> bool:
    """Either troponin raised. The scores say only 'elevated cardiac troponin', by the assay's own limit."""
    return troponin_t_raised(p, age_adjusted=age_adjusted) or troponin_i_raised(p)


def natriuretic_peptide_raised(p: Patient) -> bool:
    """NT-proBNP >=600 ng/L (ESC 2019) or BNP >100 ng/L (the limit of the cohorts in Bova 2014).

    The CPES papers say 'elevated BNP' by the hospital's limit, so both numbers are choices.
    """
    return p.nt_probnp_ng_l >= 600.0 or p.bnp_ng_l > 100.0


# ---------------------------------------------------------------------------------------------------------
# 1. PESI
# ---------------------------------------------------------------------------------------------------------


def pesi(p: Patient) -> int:
    """Pulmonary Embolism Severity Index (Aujesky, Am J Respir Crit Care Med 2005;172:1041)."""
    # Age: one point a year. The paper says 'age, in years'; completed years here. With fractional years
    # the sum would be fractional and 65.5 would belong to no class.
    points = completed_years(p)
    if p.male:
        points += 10
    if p.cancer:  # history of cancer; the trials count past and active cancer
        points += 30
    if p.heart_failure:
        points += 10
    if p.chronic_lung_disease:
        points += 10
    if p.heart_rate >= 110:
        points += 20
    if p.systolic_bp < 100:
        points += 30
    # Original (and the BTS, QxMD and Medscape tables): >=30. The ESC 2019 table, and papers that copy it,
    # print '>30'. The original is followed.
    if p.respiratory_rate >= 30:
        points += 20
    # <36 degC (96.8 degF), strict in every source seen; 36.0 itself scores nothing.
    if p.temperature_c < 36.0:
        points += 20
    if p.altered_mental_status:  # disorientation, lethargy, stupor or coma
        points += 60
    # Original and BTS: <90 % 'with or without supplemental oxygen', so 95 % on oxygen scores nothing.
    # Medscape and others ask for '<90 % on room air'. The original is followed: `on_oxygen` plays no part.
    if p.spo2_percent < 90:
        points += 20
    return points


def pesi_class(p: Patient) -> PesiClass:
    """Class I <=65, II 66-85, III 86-105, IV 106-125, V >125 (Aujesky 2005).

    One ERJ reprint of the table says '<65' and '>126', which leaves 65 and 126 without a class: a misprint.
    """
    points = pesi(p)
    result: PesiClass
    if points <= 65:
        result = "I"
    elif points <= 85:
        result = "II"
    elif points <= 105:
        result = "III"
    elif points <= 125:
        result = "IV"
    else:
        result = "V"
    return result


# ---------------------------------------------------------------------------------------------------------
# 2. Simplified PESI
# ---------------------------------------------------------------------------------------------------------


def spesi(p: Patient) -> int:
    """Simplified PESI (Jimenez, Arch Intern Med 2010;170:1383): 0 is low risk, >=1 high."""
    points = 0
    # '>80 years', strict. Completed years: 80.9 scores nothing, 81.0 does. Read as exact age, 80.1 would.
    if completed_years(p) > 80:
        points += 1
    # 'History of cancer'; the BTS guideline (from Jimenez, personal communication) narrows it to active
    # cancer: diagnosed within 12 months or under treatment.
    if p.cancer:
        points += 1
    # Chronic heart failure and chronic lung disease are ONE item here: both together are one point.
    if p.heart_failure or p.chronic_lung_disease:
        points += 1
    if p.heart_rate >= 110:
        points += 1
    if p.systolic_bp < 100:
        points += 1
    if p.spo2_percent < 90:  # with or without oxygen (BTS); some sites say room air
        points += 1
    return points


# ---------------------------------------------------------------------------------------------------------
# 3. ESC 2019 classes of early mortality risk
# ---------------------------------------------------------------------------------------------------------


def haemodynamically_unstable(p: Patient) -> bool:
    """Cardiac arrest, obstructive shock or persistent hypotension (ESC 2019, Table 4).

    Persistent hypotension is SBP <90 mmHg (strict), or a drop >=40 mmHg, for more than 15 minutes. A single
    pressure cannot show the duration or the drop: SBP <90 is taken as persistent, a drop is not seen.
    """
    return p.cardiac_arrest or p.shock or p.systolic_bp < 90


def esc2019(
    p: Patient,
    *,
    both_positive_but_clinically_low: Literal["intermediate-low", "intermediate-high"] = "intermediate-high",
    age_adjusted_troponin: bool = False,
) -> EscClass:
    """Early mortality risk (Konstantinides, ESC guidelines, Eur Heart J 2020;41:543, Table 8).

    `both_positive_but_clinically_low` settles the case the table leaves open: RV dysfunction and raised
    troponin, yet PESI I-II and sPESI 0. The footnote says only 'intermediate-risk category'. The 2014
    guideline sent every PESI I-II/sPESI 0 patient with a positive test to intermediate-low. The default is
    the usual short form of 2019, 'intermediate-high is RV dysfunction and troponin both positive'.
    """
    # Either score suffices: PESI II with sPESI 1 (age 50, cancer) is a positive clinical sign.
    clinical = pesi_class(p) in ("III", "IV", "V") or spesi(p) >= 1
    troponin = troponin_raised(p, age_adjusted=age_adjusted_troponin)
    # NT-proBNP >=600, H-FABP and copeptin add information in the guideline but do not set the class.
    result: EscClass
    if haemodynamically_unstable(p):
        result = "high"
    elif p.rv_dysfunction and troponin:
        result = "intermediate-high"
        if not clinical:
            result = both_positive_but_clinically_low
    elif p.rv_dysfunction or troponin:
        # With a low clinical score as well: the footnote lifts such patients out of 'low'.
        result = "intermediate-low"
    elif clinical:
        result = "intermediate-low"
    else:
        result = "low"
    return result


# ---------------------------------------------------------------------------------------------------------
# 4. Bova
# ---------------------------------------------------------------------------------------------------------


def bova(p: Patient, *, age_adjusted_troponin: bool = False) -> int | None:
    """Bova score, 0-7 (Bova, Eur Respir J 2014;44:694); None where SBP <90, which the score excludes.

    Shock or arrest with SBP >=90 is outside its normotensive cohort too, but is not refused here.
    """
    points: int | None
    if p.systolic_bp < 90:
        points = None
    else:
        points = 0
        # 90-100 mmHg, both ends included. (Seen misprinted as '<100', '90-110' and '<=100 without a floor'.)
        if p.systolic_bp <= 100:
            points += 2
        if troponin_raised(p, age_adjusted=age_adjusted_troponin):
            points += 2
        if p.rv_dysfunction:
            points += 2
        if p.heart_rate >= 110:  # one point, not two
            points += 1
    return points


def bova_stage(p: Patient, *, age_adjusted_troponin: bool = False) -> BovaStage | None:
    """Stage I 0-2, II 3-4, III >4 (Bova 2014; Fernandez, Chest 2015;148:211)."""
    points = bova(p, age_adjusted_troponin=age_adjusted_troponin)
    result: BovaStage | None
    if points is None:
        result = None
    elif points <= 2:
        result = "I"
    elif points <= 4:
        result = "II"
    else:
        result = "III"
    return result


# ---------------------------------------------------------------------------------------------------------
# 5. Modified FAST
# ---------------------------------------------------------------------------------------------------------


def modified_fast(p: Patient, *, age_adjusted_troponin: bool = False, any_troponin: bool = False) -> float:
    """Modified FAST score: 0, 1.5, 2, 3, 3.5 or 5 points (Hobohm, Eur Respir J 2016;47:1170).

    Points from the score it modifies (Lankeit, Clin Res Cardiol 2013;102:73: H-FABP 1.5, syncope 1.5,
    tachycardia 2; validated as FAST by Dellas, Thromb Haemost 2014;111:996), H-FABP replaced by
    high-sensitivity troponin T.

    `age_adjusted_troponin`: >=14 ng/L below 75 years and >=45 from 75 on (Kaeberich 2015) instead of >=14.
    `any_troponin`: also take troponin I, for hospitals without troponin T (the Italian registry in Hobohm,
    Clin Res Cardiol 2020;109:1008). Neither option could be confirmed in the papers' tables.
    """
    # The name is 'FAST' after F(atty acid-binding protein) A(nd) S(yncope) T(achycardia): 'Dellas' is its
    # validation, 'Lankeit' its derivation, 'Hobohm' its troponin version; they are often cited for one
    # another. H-FABP was positive >7 ng/mL at the bedside (Lankeit) and >=6 ng/mL in the laboratory (Dellas).
    points = 0.0
    troponin = troponin_t_raised(p, age_adjusted=age_adjusted_troponin)
    if any_troponin:
        troponin = troponin_raised(p, age_adjusted=age_adjusted_troponin)
    if troponin:
        points += 1.5
    if p.syncope:
        points += 1.5
    if p.heart_rate >= 100:  # not 110 as in PESI and Bova, and 100 itself counts
        points += 2.0
    return points


def modified_fast_intermediate_high(
    p: Patient, *, age_adjusted_troponin: bool = False, any_troponin: bool = False
) -> bool:
    """>=3 points. Exactly 3 (troponin and syncope, no tachycardia) is positive; 2 (tachycardia alone) is not."""
    return modified_fast(p, age_adjusted_troponin=age_adjusted_troponin, any_troponin=any_troponin) >= 3.0


# ---------------------------------------------------------------------------------------------------------
# 6. Composite PE shock score
# ---------------------------------------------------------------------------------------------------------


def cpes(p: Patient, *, rate_of_100_counts: bool = False, age_adjusted_troponin: bool = False) -> int:
    """Composite PE shock score, 0-6, one point an item (Bangalore, JACC Cardiovasc Interv 2023;16:958).

    `rate_of_100_counts`: the abstracts say only 'tachycardia'. Public calculators split between >100 (the
    usual meaning, followed here) and >=100; they differ at a rate of exactly 100.
    """
    points = 0
    if troponin_raised(p, age_adjusted=age_adjusted_troponin):
        points += 1
    if natriuretic_peptide_raised(p):
        points += 1
    if p.rv_function_moderately_or_severely_reduced:  # mild dysfunction does not count
        points += 1
    if p.saddle_embolus:  # 'central thrombus burden (saddle PE)'; some studies count any central thrombus
        points += 1
    if p.concomitant_dvt:
        points += 1
    if p.heart_rate > 100 or (rate_of_100_counts and p.heart_rate == 100):
        points += 1
    return points


def cpes_high(p: Patient, *, rate_of_100_counts: bool = False, age_adjusted_troponin: bool = False) -> bool:
    """>=3 points (Zhang, Circ Cardiovasc Interv 2024;17:e014088). Bangalore 2023 singled out the full 6."""
    return cpes(p, rate_of_100_counts=rate_of_100_counts, age_adjusted_troponin=age_adjusted_troponin) >= 3


# ---------------------------------------------------------------------------------------------------------
# 7. Hestia
# ---------------------------------------------------------------------------------------------------------


def hestia_unstable(p: Patient) -> bool:
    """Hestia's haemodynamic item: SBP <100 mmHg WITH heart rate >100/min, or a state needing intensive care.

    Both comparisons are strict. (A Breathe table separates the two with a comma, which can be read as 'or';
    Zondag 2011 and the BTS table say 'with'.) Shock and arrest need intensive care and so count.
    """
    return (p.systolic_bp < 100 and p.heart_rate > 100) or p.intensive_care_needed or p.shock or p.cardiac_arrest


def hestia(p: Patient) -> int:
    """Number of positive Hestia criteria, 0-11 (Zondag, J Thromb Haemost 2011;9:1500)."""
    items = 0
    if hestia_unstable(p):
        items += 1
    if p.thrombolysis_or_embolectomy_needed:
        items += 1
    if p.active_or_high_risk_of_bleeding:
        items += 1
    if p.oxygen_needed_over_24h:
        items += 1
    if p.pe_under_anticoagulation:
        items += 1
    if p.iv_pain_medication_over_24h:  # some tables add 'or several doses in the emergency department'
        items += 1
    if p.medical_or_social_reason_over_24h:
        items += 1
    if p.creatinine_clearance_below_30:
        items += 1
    if p.severe_liver_impairment:
        items += 1
    if p.pregnant:
        items += 1
    if p.hit_history:
        items += 1
    return items


def hestia_positive(p: Patient) -> bool:
    """Any criterion: not for home treatment."""
    return hestia(p) >= 1


# ---------------------------------------------------------------------------------------------------------
# 8. NEWS2
# ---------------------------------------------------------------------------------------------------------


def news2(p: Patient) -> int:
    """National Early Warning Score 2 on SpO2 scale 1, 0-20 (Royal College of Physicians, London 2017).

    The chart is for whole numbers (temperature: one decimal). Scale 2 (hypercapnic failure) is not written.
    """
    points = 0

    # Respiration: <=8 3, 9-11 1, 12-20 0, 21-24 2, >=25 3.
    if p.respiratory_rate <= 8:
        points += 3
    elif p.respiratory_rate <= 11:
        points += 1
    elif p.respiratory_rate <= 20:
        points += 0
    elif p.respiratory_rate <= 24:
        points += 2
    else:
        points += 3

    # SpO2 scale 1: <=91 3, 92-93 2, 94-95 1, >=96 0.
    if p.spo2_percent <= 91:
        points += 3
    elif p.spo2_percent <= 93:
        points += 2
    elif p.spo2_percent <= 95:
        points += 1
    else:
        points += 0

    if p.on_oxygen:
        points += 2

    # Systolic pressure: <=90 3, 91-100 2, 101-110 1, 111-219 0, >=220 3.
    if p.systolic_bp <= 90:
        points += 3
    elif p.systolic_bp <= 100:
        points += 2
    elif p.systolic_bp <= 110:
        points += 1
    elif p.systolic_bp < 220:
        points += 0
    else:
        points += 3

    # Pulse: <=40 3, 41-50 1, 51-90 0, 91-110 1, 111-130 2, >=131 3.
    if p.heart_rate <= 40:
        points += 3
    elif p.heart_rate <= 50:
        points += 1
    elif p.heart_rate <= 90:
        points += 0
    elif p.heart_rate <= 110:
        points += 1
    elif p.heart_rate <= 130:
        points += 2
    else:
        points += 3

    # Consciousness: alert 0; new confusion, voice, pain or unresponsive 3 (never 1 or 2).
    if p.altered_mental_status:
        points += 3

    # Temperature: <=35.0 3, 35.1-36.0 1, 36.1-38.0 0, 38.1-39.0 1, >=39.1 2 (heat never scores 3).
    # Unlike PESI's '<36', 36.0 itself scores here.
    if p.temperature_c <= 35.0:
        points += 3
    elif p.temperature_c <= 36.0:
        points += 1
    elif p.temperature_c <= 38.0:
        points += 0
    elif p.temperature_c <= 39.0:
        points += 1
    else:
        points += 2

    return points


# ---------------------------------------------------------------------------------------------------------
# 9. Shock index
# ---------------------------------------------------------------------------------------------------------


def shock_index(p: Patient) -> float:
    """Heart rate over systolic pressure (Allgoewer and Burri, Dtsch Med Wochenschr 1967;92:1947)."""
    return p.heart_rate / p.systolic_bp


def shock_index_high(p: Patient) -> bool:
    """>=1 (Toosi, Am J Cardiol 2008;101:700). Keller, Artery Res 2016, found 0.89 the best cut in their data."""
    return shock_index(p) >= 1.0
