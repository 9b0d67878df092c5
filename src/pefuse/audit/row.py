"""One study of the page: what was found, what was measured, and the worries that decide its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pefuse.audit.findings import StudyFindings
from pefuse.audit.measures import Measures
from pefuse.audit.worry import WORRYING, Worry, score

__all__ = ["GROUPS", "Group", "Row"]

Group = Literal["quarantined", "worrying", "fine", "no scan"]
GROUPS: tuple[Group, ...] = ("quarantined", "worrying", "fine", "no scan")  # in the page's order


@dataclass(frozen=True, kw_only=True)
class Row:
    """One study; `measures` is None, and there are no worries, where it has no volume."""

    study: StudyFindings
    measures: Measures | None = None
    worries: tuple[Worry, ...] = ()

    @property
    def score(self) -> float:
        return score(self.worries)

    @property
    def group(self) -> Group:
        if self.study.status == "refused":
            return "quarantined"
        if self.study.status == "no scan":
            return "no scan"
        return "worrying" if self.score >= WORRYING else "fine"

    @property
    def rank(self) -> tuple[int, float, str]:
        """Smaller stands further up: by group, then the more worrying first, then by study_id."""
        return GROUPS.index(self.group), -self.score, self.study.study_id
