"""The files of one explained study: what is said of it, its scan and its heat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.explain.scanner import heat_bytes, write_nifti
from pefuse.explain.shares import FeatureShare
from pefuse.explain.slices import draw_slices, hot_slices
from pefuse.explain.structures import heat_shares
from pefuse.storage import make_folder, write_json

__all__ = ["CaseFacts", "write_case"]


@dataclass(frozen=True, kw_only=True)
class CaseFacts:
    """What is known of a study beside its scan; None = not known, or the model does not say it.

    `label` 1 = died. `scan_alone` and `record_alone` are risks of the run's single models, `without_scan` and
    `without_record` those of this model with one modality replaced by its average.
    """

    study_id: str
    label: int | None
    risk: float
    called: bool | None
    kind: str
    scan_alone: float | None = None
    record_alone: float | None = None
    without_scan: float | None = None
    without_record: float | None = None
    features: tuple[FeatureShare, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it stands in case.json; risks to six digits."""
        risks = ("risk", "scan_alone", "record_alone", "without_scan", "without_record")
        return {
            "study_id": self.study_id,
            "label": self.label,
            "called": self.called,
            "kind": self.kind,
            **{name: _rounded(getattr(self, name)) for name in risks},
            "features": [feature.to_json() for feature in self.features],
        }


def write_case(
    folder: Path,
    facts: CaseFacts,
    *,
    hu: NDArray[np.int16] | None,
    affine: NDArray[np.float64] | None,
    heat: NDArray[np.float32] | None,
    occlusion: NDArray[np.float32] | None = None,
    structures: Mapping[str, NDArray[np.float32]] | None = None,
    simulated: bool = False,
) -> None:
    """Write case.json and, where there is a scan, ct.nii.gz, heat.nii.gz, occlusion.nii.gz and slices.png.

    Args:
        hu, heat, occlusion: `(Z, Y, X)` on one grid.
        affine: of that grid, index (z, y, x, 1) to LPS mm.
        structures: of a simulated scan, see `structures_on_grid`.
    """
    make_folder(folder)
    content = facts.to_json()
    if hu is not None and heat is not None and affine is not None:
        slices = hot_slices(heat)
        content["heat"] = _about_heat(heat, affine, slices, structures)
        write_nifti(folder / "ct.nii.gz", hu, affine)
        write_nifti(folder / "heat.nii.gz", heat_bytes(heat), affine)
        if occlusion is not None:
            write_nifti(folder / "occlusion.nii.gz", heat_bytes(occlusion), affine)
        z, y, x = (float(step) for step in np.linalg.norm(affine[:3, :3], axis=0))
        note = "Simulated scan" if simulated else ""
        draw_slices(folder / "slices.png", hu, heat, slices, spacing_mm=(z, y, x), occlusion=occlusion, note=note)
    write_json(folder / "case.json", content)


def _about_heat(
    heat: NDArray[np.float32],
    affine: NDArray[np.float64],
    slices: list[int],
    structures: Mapping[str, NDArray[np.float32]] | None,
) -> dict[str, Any]:
    peak = np.unravel_index(int(np.argmax(heat)), heat.shape)
    found = heat.any()
    shares = heat_shares(heat, dict(structures)) if structures is not None else None
    return {
        "slices": slices,
        "peak_index": [int(place) for place in peak] if found else None,
        "peak_mm": [round(float(mm), 1) for mm in (affine @ [*peak, 1])[:3]] if found else None,
        "structures": None
        if shares is None
        else [
            {
                "structure": share.structure,
                "heat_share": round(share.heat_share, 4),
                "volume_share": round(share.volume_share, 4),
            }
            for share in shares
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
