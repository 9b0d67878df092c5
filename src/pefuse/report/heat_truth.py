"""Does the heat lie where the signal is? Of simulated scans it is known which parts tell of risk."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pefuse.evaluation import mcnemar_tests, ratio_of_means, wilson_interval
from pefuse.report.names import model_name, sorted_models
from pefuse.report.tables import format_p
from pefuse.report.wording import counted, grouped

__all__ = [
    "METHODS",
    "RIGHT_HEART",
    "Verdict",
    "distinct_rankings",
    "heat_by_structure",
    "heat_verdicts",
    "is_control",
    "labelled_only",
    "left_ventricle_sentence",
    "record_verdicts",
    "strained_parts",
    "structure_label",
]

_SIGNIFICANT = 0.05
_CONTROL = " randomised"  # behind a method: the same by a network whose weights were drawn anew
METHODS = {  # as people read them, in the order of legends
    "layer-cam": "LayerCAM",
    "grad-cam": "Grad-CAM",
    "hires-cam": "HiResCAM",
    "occlusion": "Occlusion",
    "masks": "TabNet's masks",
    "shap": "SHAP values",
}
METHODS |= {method + _CONTROL: f"{words}, randomised weights" for method, words in METHODS.items()}
RIGHT_HEART = "right heart and its vessels"
_LEFT_VENTRICLE = "left ventricle"
_ALL_STRAINED = "all strained"  # what the table calls it
_STRAINED = ("right ventricle", "right atrium", "pulmonary trunk", "inferior vena cava")
"""The parts that a simulated right heart strain changes (docs/simulation.md); together they are RIGHT_HEART."""


_LEARNT = {  # more heat than the control's; the control's more than chance
    (True, False): "the map owes its place to what the network learnt.",
    (True, True): "the map owes its place partly to what the network learnt, partly to shapes of the picture.",
    (False, True): "no clear difference, so the map shows shapes of the picture and not what the network learnt.",
    (False, False): "no clear difference, so the map does not show what the network learnt.",
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the comparison with the truth says of one model."""

    model: str
    found: bool | None  # False: the explanation cannot be trusted; None: too few scans to say
    sentence: str


def is_control(method: str) -> bool:
    """Whether a method is that of a network which has learnt nothing."""
    return method.endswith(_CONTROL)


def structure_label(name: str) -> str:
    """`right_ventricle` as people read it."""
    words = name.replace("_", " ")
    return RIGHT_HEART if words == _ALL_STRAINED else words


def labelled_only(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of structures that some scan has, and the names of all others.

    Masks of cohorts simulated by an older version lack the right atrium and the inferior vena cava.
    """
    volumes = table.groupby("structure", sort=False)["volume_share"].max()
    lacking = volumes.index[volumes <= 0]
    named = [structure_label(str(name)) for name in lacking]
    return table[~table["structure"].isin(lacking)], [name for name in named if name != RIGHT_HEART]


def strained_parts(lacking: Sequence[str]) -> str:
    """The parts that a strain changes, but for those that are not labelled."""
    return ", ".join(name for name in _STRAINED if name not in lacking)


def left_ventricle_sentence(by_structure: pd.DataFrame) -> str:
    """Why a part that raises no risk holds more heat than chance; "" where it does not.

    Args:
        by_structure: as `heat_by_structure` gives it.
    """
    rows = by_structure[~by_structure["method"].map(is_control) & (by_structure["structure"] == _LEFT_VENTRICLE)]
    ratios = [f"{ratio:.1f}" for ratio in sorted(rows.loc[rows["ratio_low"] > 1, "ratio"])]
    if not ratios:
        return ""
    times = ratios[0] if ratios[0] == ratios[-1] else f"{ratios[0]} to {ratios[-1]}"
    return (
        f"The left ventricle does not raise the risk, yet it holds {times} times the heat that chance would give: "
        "strain bows the septum between the ventricles, and neighbours share a voxel of the map, so that this "
        "excess is no proof of a fault."
    )


def heat_by_structure(table: pd.DataFrame) -> pd.DataFrame:
    """Mean shares, their ratio and the hit rate of each structure, RIGHT_HEART first, then by their ratio.

    Args:
        table: as `read_heat_truth` gives it.

    Returns:
        A row a model, method and structure: cases, heat_share, volume_share, ratio (1 = as chance has it), hits,
        hit_rate, and the 95 % bounds of ratio (BCa bootstrap over cases) and hit_rate (Wilson).
    """
    rows = [
        {"model": model, "method": method, "structure": structure, **_of_structure(part)}
        for (model, method, structure), part in _with_right_heart(table).groupby(
            ["model", "method", "structure"], sort=False
        )
    ]
    return pd.DataFrame(rows)


def heat_verdicts(table: pd.DataFrame, *, first: str = "") -> list[Verdict]:
    """For each model and method: is the right heart found, more than by chance and by randomised weights?

    Args:
        first: the method that comes first, say the one of the cases.
    """
    together = _with_right_heart(table)
    together = together[together["structure"] == RIGHT_HEART]
    verdicts = []
    for model, rows in together.groupby("model", sort=False):
        methods = {str(method): part.set_index("study_id") for method, part in rows.groupby("method", sort=False)}
        ordered = sorted((one for one in methods if not is_control(one)), key=lambda one: one != first)
        verdicts += [_heat_verdict(str(model), one, methods[one], methods.get(one + _CONTROL)) for one in ordered]
    return verdicts


def record_verdicts(table: pd.DataFrame) -> list[Verdict]:
    """For each model: of its first 10 features (or as many as were counted), how many carry signal?"""
    return [
        _record_verdict(str(model), str(method), rows, table[table["method"] == f"{method} randomised"])
        for (model, method), rows in table.groupby(["model", "method"], sort=False)
        if not str(method).endswith("randomised")
    ]


def distinct_rankings(table: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The rows of the models that differ, and a sentence for each that others share.

    Several models may hold one and the same network of the record: one of them is enough to judge it.
    """
    alike: dict[tuple[object, ...], list[str]] = {}
    for model in sorted_models([str(name) for name in table["model"].unique()]):
        rows = table[table["model"] == model].sort_values(["method", "k"])
        measured = rows.drop(columns="model").round(6).astype(str)  # as text NaN equals NaN
        alike.setdefault(tuple(measured.itertuples(index=False, name=None)), []).append(model)
    sentences = [
        f"The same holds for {', '.join(model_name(one).label for one in others)}: the record's network inside is "
        f"that of {model_name(first).label}."
        for first, *others in alike.values()
        if others
    ]
    return table[table["model"].isin([models[0] for models in alike.values()])], sentences


def _with_right_heart(table: pd.DataFrame) -> pd.DataFrame:
    """The table with readable names and RIGHT_HEART first: as it was given, or summed, and hit if a part is."""
    named = table.assign(structure=table["structure"].map(structure_label))
    given = named["structure"] == RIGHT_HEART
    if given.any():
        return pd.concat([named[given], named[~given]], ignore_index=True)
    parts = named[named["structure"].isin(_STRAINED)]
    together = parts.groupby(["model", "study_id", "method"], as_index=False, sort=False).agg(
        heat_share=("heat_share", "sum"), volume_share=("volume_share", "sum"), hit=("hit", "max")
    )
    return pd.concat([together.assign(structure=RIGHT_HEART), named], ignore_index=True)


def _of_structure(part: pd.DataFrame) -> dict[str, float]:
    ratio = ratio_of_means(part["heat_share"], part["volume_share"])
    hits = int(part["hit"].sum())
    rate = wilson_interval(hits, len(part))
    return {
        "cases": len(part),
        "heat_share": float(part["heat_share"].mean()),
        "volume_share": float(part["volume_share"].mean()),
        "ratio": ratio.value,
        "ratio_low": ratio.interval.low,
        "ratio_high": ratio.interval.high,
        "hits": hits,
        "hit_rate": hits / len(part),
        "hit_rate_low": rate.low,
        "hit_rate_high": rate.high,
        "hit_chance": float(part["hit_chance"].mean()) if "hit_chance" in part else math.nan,
    }


def _heat_verdict(model: str, method: str, heat: pd.DataFrame, control: pd.DataFrame | None) -> Verdict:
    ratio = ratio_of_means(heat["heat_share"], heat["volume_share"])
    low, high = ratio.interval.low, ratio.interval.high
    told = (
        f"{model_name(model).label}, {METHODS.get(method, method)}: {_percent(heat['heat_share'].mean())} of the "
        f"heat lies in the {RIGHT_HEART}, which fill {_percent(heat['volume_share'].mean())} of the volume"
    )
    hits = f"The hottest point lies there in {grouped(int(heat['hit'].sum()))} of {counted(len(heat), 'scan')}"
    if "hit_chance" in heat and heat["hit_chance"].notna().all():
        hits += f" (by chance in {_percent(heat['hit_chance'].mean())})"
    if not math.isfinite(low):
        return Verdict(model=model, found=None, sentence=f"{told}. {hits}. These are too few to rule out chance.")
    told += f": {ratio.value:.1f} times what chance would give (95 % interval {low:.1f} to {high:.1f}). {hits}."
    if low <= 1:
        told += " The heat does not find the heart: do not read these maps as a reason for the risk."
    if control is None:
        return Verdict(model=model, found=low > 1, sentence=told)
    both = heat.join(control["heat_share"].rename("control"), how="inner")
    learnt = ratio_of_means(both["heat_share"], both["control"]).interval.low > 1
    drawn = ratio_of_means(both["control"], both["volume_share"]).interval.low > 1
    told += (
        f" With randomised weights {_percent(both['control'].mean())} of the heat lies there, the hottest point "
        f"in {int(control['hit'].sum())} of {grouped(len(control))}: {_LEARNT[learnt, drawn]}"
    )
    told += _points_sentence(heat, control)
    return Verdict(model=model, found=low > 1 and learnt, sentence=told)


def _points_sentence(heat: pd.DataFrame, control: pd.DataFrame) -> str:
    """Whether hottest points hit more often than those of randomised weights, scan by scan."""
    both = heat.join(control["hit"].rename("control_hit"), how="inner")
    test = mcnemar_tests(np.ones(len(both), int), both["hit"] > 0, both["control_hit"] > 0)["sensitivity"]
    if test.p_value >= _SIGNIFICANT:
        judged = "no clear difference"
    else:
        judged = f"{'more' if test.only_a > test.only_b else 'less'} often than with randomised weights"
    if test.p_value >= _SIGNIFICANT or test.only_a < test.only_b:
        judged += ", so do not believe the hottest point by itself"
    p_value = format_p(test.p_value)
    told = p_value if p_value.startswith("<") else f"= {p_value}"
    return (
        f" The hottest point lies there in {counted(test.only_a, 'scan')} with the trained network alone, in "
        f"{grouped(test.only_b)} with randomised weights alone (exact McNemar test, p {told}): {judged}."
    )


def _record_verdict(model: str, method: str, rows: pd.DataFrame, controls: pd.DataFrame) -> Verdict:
    row = rows.iloc[int((rows["k"] - 10).abs().argmin())]
    k, precision, chance = int(row["k"]), float(row["precision"]), float(row["chance"])
    told = (
        f"{model_name(model).label}, {METHODS.get(method, method)}: of its first {k} features "
        f"{_percent(precision)} carry signal; picked at random {_percent(chance)} would"
    )
    found = precision > chance
    control = controls.loc[(controls["model"] == model) & (controls["k"] == k), "precision"]
    if len(control):
        told += f", and with randomised weights {_percent(float(control.iloc[0]))} do"
        found = found and precision > float(control.iloc[0])
    told += "." if found else ". The ranking does not find the signal."
    return Verdict(model=model, found=found, sentence=told + _rank_sentence(model, row, controls))


def _rank_sentence(model: str, row: pd.Series, controls: pd.DataFrame) -> str:
    """How importance goes with the strength of signal among the numbers; "" where that was not told."""
    rank = float(row.get("rank", math.nan))
    if not math.isfinite(rank):
        return ""
    of_control = controls.loc[controls["model"] == model, "rank"].to_numpy()
    beside = f", with randomised weights {_signed(float(of_control[0]))}" if len(of_control) else ""
    return (
        " Among its numbers (laboratory values and the like) the rank correlation of importance with the strength "
        f"of the signal is {_signed(rank)}{beside}."
    )


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"
