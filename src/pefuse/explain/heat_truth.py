"""Heat against the truth of simulated scans: how much lies where strain is seen, and how much of a control's."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from pefuse.explain.gradcam import HeatMethod
from pefuse.explain.heat import find_heat
from pefuse.explain.material import Material
from pefuse.explain.structures import heat_shares, structures_on_grid
from pefuse.types import Progress

__all__ = ["heat_truth_table"]

METHODS: tuple[HeatMethod, ...] = ("grad-cam", "hires-cam", "layer-cam")
CONTROL_SEED = 20180  # any: the controls' weights are drawn from it and the numbers that follow


def heat_truth_table(
    material: Material, study_ids: Sequence[str], *, layer: str, progress: Progress
) -> pd.DataFrame | None:
    """All methods and their controls on simulated scans; None of real ones, whose truth nobody knows.

    Args:
        layer: as for `find_heat`.

    Returns:
        model, study_id, method ("grad-cam", "grad-cam randomised", ...), structure, heat_share, volume_share, hit,
        hit_chance; see `HeatShare`. The randomised network has learned nothing (`unlearned`).
    """
    masks = {study_id: mask for study_id in study_ids if (mask := material.mask(study_id)) is not None}
    if material.scans is None or not masks:
        return None
    grid = material.scans.grid
    structures = {one: structures_on_grid(mask, material.affine(one), grid) for one, mask in masks.items()}
    variants = [(method, control) for method in METHODS for control in (None, CONTROL_SEED)]
    rows = []
    for done, (method, control) in enumerate(variants):
        progress("heat against truth", done, len(variants))
        heat = find_heat(
            material.bundle,
            list(masks),
            scans=material.scans,
            record=material.record,
            method=method,
            layer=layer,
            control_seed=control,
        )
        name = method if control is None else f"{method} randomised"
        rows += [
            {"model": material.bundle.model, "study_id": study_id, "method": name, **share.to_row()}
            for study_id in masks
            for share in heat_shares(heat.of(study_id), structures[study_id])
        ]
    progress("heat against truth", len(variants), len(variants))
    return pd.DataFrame(rows)
