"""Every error pefuse raises on purpose.

    PefuseError                  something the user can mend; the CLI prints it as one line and exits 1
    ├── UsageError               an unknown name, an option outside its range, a folder that is not there
    ├── CohortError              a cohort folder that breaks its contract
    ├── ScanError                one study's scan cannot become a right volume; the study is quarantined
    │   ├── ScanReadError        nothing readable where the scan should be
    │   ├── ScanAccessError      the system does not give what lies there: rights, a disk that fails
    │   ├── SeriesError          no series of the study is a usable CT of the chest
    │   ├── GeometryError        positions, spacing or orientation do not make one regular volume
    │   └── PlausibilityError    the volume is regular, but it cannot be a chest CT in HU
    ├── RecordError              events or features that cannot be used
    ├── RunError                 a run folder that is missing, foreign or damaged
    │   └── IncompleteRunError   some models were not trained or have no bundle; the rest is written
    ├── BundleError              a bundle that is missing, foreign, damaged or of another format
    └── StorageError             the disk is full or the folder is not writable

A message says which case, what was found, what was needed and what to do. It never holds a patient's name,
number, date or path: cases are named by their study_id.
"""

from __future__ import annotations

__all__ = [
    "BundleError",
    "CohortError",
    "GeometryError",
    "IncompleteRunError",
    "PefuseError",
    "PlausibilityError",
    "RecordError",
    "RunError",
    "ScanAccessError",
    "ScanError",
    "ScanReadError",
    "SeriesError",
    "StorageError",
    "UsageError",
]


class PefuseError(Exception):
    """Base of all errors that a user can mend."""


class UsageError(PefuseError):
    """An unknown name, an option outside its range, or a path that does not exist."""


class CohortError(PefuseError):
    """A cohort folder breaks its contract."""


class ScanError(PefuseError):
    """One study's scan cannot become a right volume: `reason` says why, `remedy` what to do."""

    def __init__(self, reason: str, *, remedy: str = "Leave the study out, or export it again.") -> None:
        super().__init__(f"{reason} {remedy}")
        self.reason = reason
        self.remedy = remedy


class ScanReadError(ScanError):
    """Nothing readable where the scan should be."""


class ScanAccessError(ScanError):
    """The system does not give what lies where the scan should be; once it does, the scan may well be right."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, remedy="Check the rights and the disk, and run the command again.")


class SeriesError(ScanError):
    """No series of the study is a usable CT of the chest."""


class GeometryError(ScanError):
    """Slice positions, spacing or orientation do not make one regular volume."""


class PlausibilityError(ScanError):
    """A regular volume that cannot be a chest CT in Hounsfield units."""


class RecordError(PefuseError):
    """Events or features that cannot be used."""


class RunError(PefuseError):
    """A run folder that is missing, foreign or damaged."""


class IncompleteRunError(RunError):
    """Some models of a run could not be trained or have no bundle; all other results are written."""


class BundleError(PefuseError):
    """A bundle is missing, foreign, damaged or of another format."""


class StorageError(PefuseError):
    """The disk is full, or a folder cannot be written."""
