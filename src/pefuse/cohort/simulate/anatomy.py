"""One simulated patient's chest as numbers: what strain and clot do to it, and what varies for other reasons.

Parameters are drawn here and applied in `phantom`. `Nuisance` is drawn from the seed, the age and the sex alone:
it is the same whatever the strain. Lengths are mm of a reference person; `Nuisance.body_scale` makes the person.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = [
    "ARTERIES",
    "Anatomy",
    "Clot",
    "Nuisance",
    "StrainSigns",
    "draw_anatomy",
    "draw_clots",
    "draw_nuisance",
    "draw_signs",
]

SIGN_NOISE = 0.4
"""Standard deviation, in units of the latent, of each sign's own departure from it: no sign alone is the truth."""

ARTERIES = (
    "left_main",
    "right_main",
    "left_upper",
    "left_lower",
    "right_upper",
    "right_lower",
    "right_middle",
    "left_basal_front",
    "left_basal_back",
    "right_basal_front",
    "right_basal_back",
    "left_lingula",
    "left_apical",
    "right_apical",
)
"""Pulmonary arteries that may hold a clot, from the centre outwards; `vessels` says where they run."""


@dataclass(frozen=True, kw_only=True)
class StrainSigns:
    """What right-ventricular strain looks like."""

    rv_lv_ratio: float  # diameters, along the normal of the septum
    septum_offset_mm: float  # how far the septum bulges towards the RV; negative: into the LV
    rv_length_factor: float
    trunk_diameter_mm: float
    reflux_depth_mm: float  # how far below the right atrium contrast stands in the IVC and hepatic veins
    reflux_density: float  # 0 none to 1 as dense as the right atrium
    ivc_diameter_mm: float
    right_atrium_radius_mm: float
    svc_diameter_mm: float
    azygos_diameter_mm: float


@dataclass(frozen=True, kw_only=True)
class Clot:
    """One filling defect in a pulmonary artery."""

    artery: str  # of ARTERIES, or "saddle"
    start: float  # part of the artery's length, 0 to 1
    stop: float
    fill: float  # radius as a share of the artery's
    direction_rad: float  # towards which wall it lies
    hu: float


@dataclass(frozen=True, kw_only=True)
class Nuisance:
    """What differs between scans for reasons that have nothing to do with strain."""

    female: bool
    age_years: float
    body_scale: float
    chest_width: float
    chest_depth: float
    fat_mm: float
    kyphosis_mm: float
    shift_mm: tuple[float, float, float]  # of the body in the scanner: x, y, z
    turn_deg: float
    coverage_mm: float  # how far the scanned range lies from its usual place
    field_of_view_mm: float  # reconstruction diameter
    table_height_mm: float
    breath_mm: float  # height of the diaphragm against the usual, positive = higher = less air
    heart_scale: float
    heart_turn_deg: float
    trunk_hu: float
    left_fraction: float  # enhancement of the left heart and aorta as a share of the trunk's: the contrast phase
    vena_cava_factor: float  # enhancement of the SVC against the trunk's
    venous_hu: float  # blood that the contrast has not reached
    liver_hu: float
    muscle_hu: float
    lung_hu: float
    bone_hu: float
    calcification: float  # 0 none to 1 much
    noise_hu: float
    texture_seed: int  # of the lung vessels and the noise


@dataclass(frozen=True, kw_only=True)
class Anatomy:
    """All that is needed to draw one chest."""

    nuisance: Nuisance
    signs: StrainSigns
    clots: tuple[Clot, ...]
    shortcut_mark: bool


def draw_anatomy(
    *, strain: float, clot_burden: float, sex: str, age_years: float, seed: int, shortcut_mark: bool = False
) -> Anatomy:
    """Draw a chest for latents `strain` and `clot_burden` (standard normal); the same seed gives the same rest."""
    return Anatomy(
        nuisance=draw_nuisance(sex=sex, age_years=age_years, seed=seed),
        signs=draw_signs(strain=strain, seed=seed),
        clots=draw_clots(clot_burden=clot_burden, seed=seed),
        shortcut_mark=shortcut_mark,
    )


def draw_signs(*, strain: float, seed: int, noise: float = SIGN_NOISE) -> StrainSigns:
    """The signs at a strain, each at its own noisy reading of it.

    Diameters follow the usual limits of CTPA reading: RV/LV 0.9 to 1.0 and a trunk of 29 mm lie near strain 0.
    """
    rng = np.random.default_rng([seed, 1])
    ratio, septum, length, trunk, reflux, density, cava, atrium, upper = (
        strain + noise * rng.standard_normal(9)
    ).tolist()
    return StrainSigns(
        rv_lv_ratio=0.65 + 0.32 * _softplus(ratio + 0.55),
        septum_offset_mm=9.0 - 18.0 * math.tanh(0.27 * septum),
        rv_length_factor=1.0 + 0.16 * math.tanh(0.4 * length),
        trunk_diameter_mm=29.0 + 2.6 * max(trunk, -3.0),
        reflux_depth_mm=28.0 * _softplus(1.6 * (reflux - 0.3)),
        reflux_density=1.0 / (1.0 + math.exp(-2.5 * (density - 0.7))),
        ivc_diameter_mm=max(24.0 + 2.8 * cava, 12.0),
        right_atrium_radius_mm=25.0 + 2.4 * max(atrium, -3.0),
        svc_diameter_mm=17.0 + 1.3 * max(upper, -3.0),
        azygos_diameter_mm=8.0 + 1.1 * max(upper, -3.0),
    )


def draw_clots(*, clot_burden: float, seed: int) -> tuple[Clot, ...]:
    """Filling defects: more, longer and thicker with the burden, at least one, a saddle when it is high."""
    rng = np.random.default_rng([seed, 2])
    chance = 1.0 / (1.0 + math.exp(-(0.9 * clot_burden - 0.6)))
    luck = rng.uniform(size=len(ARTERIES))
    places = rng.uniform(size=(len(ARTERIES) + 1, 4))
    saddle_limit = 1.3 + 0.3 * rng.standard_normal()
    chosen = [index for index in range(len(ARTERIES)) if luck[index] < chance] or [int(np.argmin(luck))]
    clots = [_clot(ARTERIES[index], places[index], clot_burden) for index in chosen]
    if clot_burden > saddle_limit:
        clots.append(_clot("saddle", places[-1], clot_burden))
    return tuple(clots)


def draw_nuisance(*, sex: str, age_years: float, seed: int) -> Nuisance:
    """Everything that varies on its own. An unknown sex or age is drawn."""
    rng = np.random.default_rng([seed, 3])
    normal = np.clip(rng.standard_normal(32), -2.2, 2.2).tolist()
    uniform = rng.uniform(size=12).tolist()
    female = sex == "F" if sex in ("F", "M") else uniform[0] < 0.5
    age = age_years if math.isfinite(age_years) else 63.0 + 14.0 * normal[0]
    old = min(max((age - 40.0) / 50.0, 0.0), 1.0)
    body_scale = (0.95 if female else 1.02) * (1.0 + 0.03 * normal[1])
    fat_mm = (24.0 if female else 18.0) * math.exp(0.30 * normal[2])
    return Nuisance(
        female=female,
        age_years=age,
        body_scale=body_scale,
        chest_width=1.0 + 0.03 * normal[3],
        chest_depth=1.0 + 0.04 * normal[4] + 0.04 * old,
        fat_mm=fat_mm,
        kyphosis_mm=4.0 * normal[5] + 8.0 * old,
        shift_mm=(6.0 * normal[6], 5.0 * normal[7], 400.0 * (uniform[1] - 0.5)),
        turn_deg=1.8 * normal[8],
        coverage_mm=5.0 * normal[9],
        field_of_view_mm=(330.0 + 2.0 * fat_mm) * body_scale * (1.0 + 0.04 * uniform[2]),
        table_height_mm=12.0 * normal[10],
        breath_mm=7.0 * normal[11],
        heart_scale=1.0 + 0.045 * normal[12],
        heart_turn_deg=4.0 * normal[13],
        trunk_hu=360.0 + 50.0 * normal[14],
        left_fraction=0.30 + 0.55 * uniform[3],
        vena_cava_factor=1.1 + 0.6 * uniform[4],
        venous_hu=48.0 + 12.0 * uniform[5],
        liver_hu=66.0 + 10.0 * normal[15],
        muscle_hu=54.0 + 4.0 * normal[16],
        lung_hu=-845.0 + 18.0 * normal[17] - 20.0 * old,
        bone_hu=520.0 + 70.0 * normal[18] - 160.0 * old,
        calcification=old * uniform[6],
        noise_hu=(11.0 + 9.0 * uniform[7]) * (fat_mm / 22.0) ** 0.5,
        texture_seed=int(rng.integers(2**31)),
    )


def _clot(artery: str, place: np.ndarray, clot_burden: float) -> Clot:
    start = 0.5 * float(place[0])
    return Clot(
        artery=artery,
        start=start,
        stop=min(start + 0.25 + 0.25 * float(place[1]) + 0.08 * max(clot_burden, 0.0), 1.0),
        fill=min(max(0.55 + 0.2 * float(place[2]) + 0.06 * clot_burden, 0.35), 0.95),
        direction_rad=2 * math.pi * float(place[3]),
        hu=40.0 + 20.0 * float(place[2]),
    )


def _softplus(value: float) -> float:
    return math.log1p(math.exp(-abs(value))) + max(value, 0.0)
