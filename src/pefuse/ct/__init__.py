"""Scans in: DICOM, NIfTI, NRRD and MHA to volumes in HU, and those to the model's grid."""

from pefuse.ct.lungs import cut_to_lungs
from pefuse.ct.prepare import prepare, prepared_folder
from pefuse.ct.prepared import PreparedScans, load_prepared
from pefuse.ct.reports import SeriesEntry, SeriesReport
from pefuse.ct.resample import to_grid
from pefuse.ct.rules import RULES_FILE, ScanRules, load_rules
from pefuse.ct.scan import read_scan
from pefuse.ct.streaming import GridScan, read_to_grid
from pefuse.ct.window import windowed

__all__ = [
    "RULES_FILE",
    "GridScan",
    "PreparedScans",
    "ScanRules",
    "SeriesEntry",
    "SeriesReport",
    "cut_to_lungs",
    "load_prepared",
    "load_rules",
    "prepare",
    "prepared_folder",
    "read_scan",
    "read_to_grid",
    "to_grid",
    "windowed",
]
