"""Records in: what was known of a study before its scan, as features and as clinical scores."""

from pefuse.ehr.extract import extract
from pefuse.ehr.record import RawColumn, RawRecord

__all__ = ["RawColumn", "RawRecord", "extract"]
