"""Drugs that tell of a state: by code, by ingredient, by name; and those that only look so."""

from __future__ import annotations

import pytest

from pefuse.vocabulary import CodeRow, concepts, meaning, read_table


@pytest.mark.parametrize(
    ("code", "description", "told"),
    [
        ("ATC//OUT//B01AA03", "", ("anticoagulated",)),
        ("RXNORM//OUT//11289", "", ("anticoagulated",)),
        ("RXNORM//OUT//855332", "warfarin sodium 5 MG Oral Tablet", ("anticoagulated",)),  # a product
        ("MEDICATION//OUT//Rivaroxaban 20 mg", "", ("anticoagulated",)),
        ("MEDICATION//START//Warfarin", "", ()),  # in hospital, where it may be the treatment
        ("RXNORM//11289", "", ()),  # where is not told
        ("RXNORM//OUT//5224", "heparin", ()),
        ("MEDICATION//IN//alteplase", "", ("reperfusion",)),
        ("MEDICATION//START//Alteplase (Catheter Clearance)", "", ()),
        ("MEDICATION//START//Norepinephrine", "", ("shock",)),
        ("MEDICATION//NORepinephrine//Started", "", ("shock",)),
        ("MEDICATION//NORepinephrine//Not Given", "", ()),
        ("MEDICATION//IN//lidocaine-epinephrine", "", ()),
        ("MEDICATION//IN//desmopressin", "", ()),
        ("MEDICATION//OUT//norepinephrine", "", ()),
        ("ATC//IN//C01CA03", "", ("shock",)),
    ],
)
def test_a_drug_tells_of_its_state_and_no_other(code: str, description: str, told: tuple[str, ...]) -> None:
    found = meaning(code, {code: CodeRow(description=description)} if description else {})
    assert found.concepts == told


def test_every_row_is_of_a_state_that_we_know() -> None:
    for row in read_table("drug_concepts.csv"):
        assert concepts()[row["concept"]].kind == "diagnosis"
        assert row["setting"] in ("in", "out")
        assert row["drug"].islower()
        assert row["rxnorm"].isdecimal()
