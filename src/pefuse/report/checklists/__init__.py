"""TRIPOD+AI and CLAIM: what the run answers of them, and what is left for the authors."""

from pefuse.report.checklists.checklist import Checklist, Entry, fill_checklists, write_checklists

__all__ = ["Checklist", "Entry", "fill_checklists", "write_checklists"]
