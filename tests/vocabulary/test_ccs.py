"""Groups of the Clinical Classifications Software, against codes looked up in its releases by hand."""

from __future__ import annotations

import pytest

from pefuse.vocabulary import IcdCode, ccs_group, read_table


@pytest.mark.parametrize(
    ("version", "code", "number", "name"),
    [
        (9, "415.19", 103, "Pulmonary heart disease"),
        (10, "I26.99", 103, "Pulmonary heart disease"),
        (9, "428.0", 108, "Congestive heart failure; nonhypertensive"),
        (9, "428", 108, "Congestive heart failure; nonhypertensive"),
        (10, "I50.21", 108, "Congestive heart failure; nonhypertensive"),
        (9, "491.21", 127, "Chronic obstructive pulmonary disease and bronchiectasis"),
        (10, "J44.9", 127, "Chronic obstructive pulmonary disease and bronchiectasis"),
        (9, "162.9", 19, "Cancer of bronchus; lung"),
        (10, "C34.30", 19, "Cancer of bronchus; lung"),
        (9, "003.22", 122, "Pneumonia (except that caused by tuberculosis or sexually transmitted disease)"),
        (9, "003.20", 135, "Intestinal infection"),
        (10, "A02.22", 122, ""),
        (10, "A02.1", 2, ""),
        (9, "E968.2", 2614, ""),
        (9, "V45.5", 176, ""),
        (10, "S54.22XS", 244, ""),
        (9, "999.9X", 238, ""),  # not in the release: as the codes that begin so
        (10, "Z", 0, ""),
        (9, "42", 0, ""),
    ],
)
def test_a_code_is_in_its_group(version: int, code: str, number: int, name: str) -> None:
    found = ccs_group(IcdCode(version, code))
    assert found[0] == number
    if name:
        assert found[1] == name


def test_every_group_has_a_name_and_both_versions_share_almost_all() -> None:
    names = {row["category"] for row in read_table("ccs_categories.csv")}
    used = {
        version: {row["category"] for row in read_table("ccs.csv") if row["version"] == version}
        for version in ("9", "10")
    }
    assert used["9"] | used["10"] == names
    assert len(names) == 283
    assert len(used["9"] & used["10"]) > 270
