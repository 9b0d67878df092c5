"""What a hospital has, made into a cohort folder."""

from pefuse.cohort.importers.dicom import DicomImport, check_import, import_dicom, import_source
from pefuse.cohort.importers.table import StudiesTable, read_studies_table

__all__ = [
    "DicomImport",
    "StudiesTable",
    "check_import",
    "import_dicom",
    "import_source",
    "read_studies_table",
]
