"""Does the heat lie where the signal is? Of simulated scans it is known which parts tell of risk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from pefuse.evaluation import wilson_interval
from pefuse.evaluation.ratios import ratio_of_means
from pefuse.report.names import model_name
from pefuse.report.wording import counted

__all__ = [
    "CONTROL",
    "METHODS",
    "RIGHT_HEART",
    "Verdict",
    "heat_by_structure",
    "heat_verdicts",
    "record_verdicts",
    "structure_label",
]

CONTROL = "grad-cam randomised"
METHODS = {  # as people read them, in the order of legends
    "grad-cam": "Grad-CAM",
    CONTROL: "Grad-CAM, randomised weights",
    "occlusion": "Occlusion",
    "masks": "TabNet's masks",
    "masks randomised": "Masks, randomised weights",
    "shap": "SHAP values",
}
RIGHT_HEART = "right heart and its vessels"
_STRAINED = ("right ventricle", "right atrium", "pulmonary trunk", "inferior vena cava")
"""The parts that a simulated right heart strain changes (docs/simulation.md); together they are RIGHT_HEART."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the comparison with the truth says of one model."""

    model: str
    found: bool | None  # False: the explanation cannot be trusted; None: too few scans to say
    sentence: str


def structure_label(name: str) -> str:
    """`right_ventricle` as people read it."""
    return name.replace("_", " ")


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


def heat_verdicts(table: pd.DataFrame) -> list[Verdict]:
    """For each model: does Grad-CAM find the right heart, more than chance and more than randomised weights do?"""
    together = _with_right_heart(table)
    together = together[together["structure"] == RIGHT_HEART]
    return [
        _heat_verdict(
            str(model), {str(method): part.set_index("study_id") for method, part in rows.groupby("method")}
        )
        for model, rows in together.groupby("model", sort=False)
        if (rows["method"] == "grad-cam").any()
    ]


def record_verdicts(table: pd.DataFrame) -> list[Verdict]:
    """For each model: of its first 10 features (or as many as were counted), how many carry signal?"""
    return [
        _record_verdict(str(model), str(method), rows, table[table["method"] == f"{method} randomised"])
        for (model, method), rows in table.groupby(["model", "method"], sort=False)
        if not str(method).endswith("randomised")
    ]


def _with_right_heart(table: pd.DataFrame) -> pd.DataFrame:
    """The table with readable names and rows of RIGHT_HEART: sums of the shares of its parts, hit if one is."""
    named = table.assign(structure=table["structure"].map(structure_label))
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
    }


def _heat_verdict(model: str, methods: dict[str, pd.DataFrame]) -> Verdict:
    heat = methods["grad-cam"]
    ratio = ratio_of_means(heat["heat_share"], heat["volume_share"])
    low, high = ratio.interval.low, ratio.interval.high
    told = (
        f"{model_name(model).label}: {_percent(heat['heat_share'].mean())} of Grad-CAM's heat lies in the "
        f"{RIGHT_HEART}, which fill {_percent(heat['volume_share'].mean())} of the volume"
    )
    hits = f"The hottest point lies there in {int(heat['hit'].sum())} of {counted(len(heat), 'scan')}."
    if not math.isfinite(low):
        return Verdict(model=model, found=None, sentence=f"{told}. {hits} These are too few to rule out chance.")
    told += f": {ratio.value:.1f} times what chance would give (95 % interval {low:.1f} to {high:.1f}). {hits}"
    if low <= 1:
        told += " The heat does not find the heart: do not read these maps as a reason for the risk."
    if (control := methods.get(CONTROL)) is None:
        return Verdict(model=model, found=low > 1, sentence=told)
    both = heat.join(control["heat_share"].rename("control"), how="inner")
    learnt = ratio_of_means(both["heat_share"], both["control"]).interval.low > 1
    told += f" With randomised weights {_percent(both['control'].mean())} of the heat lies there: " + (
        "the map owes its place to what the network learnt."
        if learnt
        else "no clear difference, so the map shows shapes of the picture and not what the network learnt."
    )
    return Verdict(model=model, found=low > 1 and learnt, sentence=told)


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
    return Verdict(
        model=model,
        found=found,
        sentence=f"{told}." if found else f"{told}. The ranking does not find the signal.",
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0995 else f"{100 * share:.1f} %"
