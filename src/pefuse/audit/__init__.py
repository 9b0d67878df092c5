"""`pefuse check`: what to look at before training, on one page."""

from pefuse.audit.check import CheckSummary, check_cohort
from pefuse.audit.record_checks import RecordAudit, RecordFinding, audit_record

__all__ = ["CheckSummary", "RecordAudit", "RecordFinding", "audit_record", "check_cohort"]
