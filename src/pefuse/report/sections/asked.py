"""What was asked, of how many studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content:
    run = material.run
    return Content(
        context={
            "development": _development(run.predictions),
            "lacking": _lacking_scans(run.cohort.get("flow") or []),
            "quarantined": len(run.quarantine),
        }
    )


def _development(predictions: pd.DataFrame) -> dict[str, int]:
    """Studies that were trained on or validated with, and deaths among them."""
    rows = predictions[predictions["split"] != "test"].drop_duplicates("study_id")
    return {"studies": len(rows), "deaths": int(rows["label"].sum())}


def _lacking_scans(flow: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some of the studies in a fold have no usable scan: the flow's last steps leave some out."""
    scans = [step for step in flow if "scan" in str(step.get("step", ""))]
    return any(step.get("left_out") for step in scans)


SECTION = Section(name="asked", title="What was asked", group="Question", build=build)
