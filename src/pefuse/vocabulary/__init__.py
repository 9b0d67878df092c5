"""What codes mean: concepts with units and human ranges, code maps, conversions."""

from pefuse.vocabulary.ccs import ccs_group
from pefuse.vocabulary.codes import CODE_KINDS, CodeMeaning, CodeRow, code_rows, meaning
from pefuse.vocabulary.concepts import Concept, concept, concepts
from pefuse.vocabulary.icd import IcdCode, icd_chapter, icd_concepts, parse_icd
from pefuse.vocabulary.snomed import snomed_concepts
from pefuse.vocabulary.tables import read_table
from pefuse.vocabulary.units import Conversion, conversion, significant, unit_key
from pefuse.vocabulary.visits import VISIT_SETTINGS, VisitMark, visit_mark

__all__ = [
    "CODE_KINDS",
    "VISIT_SETTINGS",
    "CodeMeaning",
    "CodeRow",
    "Concept",
    "Conversion",
    "IcdCode",
    "VisitMark",
    "ccs_group",
    "code_rows",
    "concept",
    "concepts",
    "conversion",
    "icd_chapter",
    "icd_concepts",
    "meaning",
    "parse_icd",
    "read_table",
    "significant",
    "snomed_concepts",
    "unit_key",
    "visit_mark",
]
