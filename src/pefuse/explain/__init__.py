"""Why a model says what it says: of the scan, of the record, and of both against each other."""

from pefuse.explain.gradcam import HeatMethod
from pefuse.explain.heat import Heat, find_heat, find_occlusion
from pefuse.explain.layers import image_layers
from pefuse.explain.modality import modality_risks
from pefuse.explain.patient import PatientFiles, explain_patient
from pefuse.explain.run import ExplainOptions, explain_run, is_explained
from pefuse.explain.scanner import to_scanner, write_nifti
from pefuse.explain.shares import feature_importance, feature_shares

__all__ = [
    "ExplainOptions",
    "Heat",
    "HeatMethod",
    "PatientFiles",
    "explain_patient",
    "explain_run",
    "feature_importance",
    "feature_shares",
    "find_heat",
    "find_occlusion",
    "image_layers",
    "is_explained",
    "modality_risks",
    "to_scanner",
    "write_nifti",
]
