"""Bundles: one trained model with all that a prediction needs, in a folder that is safe to open."""

from pefuse.models.bundle.bundle import Bundle, BundlePredictions
from pefuse.models.bundle.load import load_bundle, read_about
from pefuse.models.bundle.manifest import About, Calibration, Feature, Threshold, TrainingCohort
from pefuse.models.bundle.members import (
    FusionModel,
    LateModel,
    Member,
    RecordModel,
    RecordPart,
    ScanModel,
    ScanPart,
    TreesModel,
)
from pefuse.models.bundle.save import save_bundle

__all__ = [
    "About",
    "Bundle",
    "BundlePredictions",
    "Calibration",
    "Feature",
    "FusionModel",
    "LateModel",
    "Member",
    "RecordModel",
    "RecordPart",
    "ScanModel",
    "ScanPart",
    "Threshold",
    "TrainingCohort",
    "TreesModel",
    "load_bundle",
    "read_about",
    "save_bundle",
]
