"""Operating points: thresholds chosen on validation by several rules, and what they yield on test."""

from __future__ import annotations

from pefuse.report.evidence import RULES
from pefuse.report.sections.contract import Content, Material, Section

__all__ = ["SECTION"]


def build(material: Material) -> Content | None:
    evidence = material.results.evidence
    rows = [row for row in evidence.operating_points if row.points]
    if not rows:
        return None
    first = next((row for row in rows if row.name == material.results.reference), rows[0])
    by_rule = [
        (rule.label, [(row, point) for row in rows for point in row.points if point.rule == rule.name])
        for rule in RULES
    ]
    return Content(
        context={
            "first": first,
            "by_rule": by_rule,
            "elsewhere": evidence.prevalence,
            "fewest": min(min(point.tp + point.fn, point.fp + point.tn) for point in first.points),
        }
    )


SECTION = Section(name="operating-points", title="Operating points", group="Results", build=build)
