"""What a hospital has, made into a cohort folder."""

from pefuse.cohort.importers.csv_guess import guess_mapping
from pefuse.cohort.importers.csv_tables import import_csv
from pefuse.cohort.importers.dicom import DicomImport, check_import, import_dicom, import_source
from pefuse.cohort.importers.fhir import import_fhir
from pefuse.cohort.importers.inspect import import_inspect
from pefuse.cohort.importers.meds import import_meds
from pefuse.cohort.importers.omop import import_omop
from pefuse.cohort.importers.radfusion import import_radfusion
from pefuse.cohort.importers.record import RecordImport
from pefuse.cohort.importers.table import StudiesTable, read_record_table, read_studies_table

__all__ = [
    "DicomImport",
    "RecordImport",
    "StudiesTable",
    "check_import",
    "guess_mapping",
    "import_csv",
    "import_dicom",
    "import_fhir",
    "import_inspect",
    "import_meds",
    "import_omop",
    "import_radfusion",
    "import_source",
    "read_record_table",
    "read_studies_table",
]
