"""The page: every text escaped, every study there, nothing fetched, and never more than one row in memory."""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from pefuse.audit.findings import LeftOut, StudyFindings
from pefuse.audit.page import PageHead, write_page
from pefuse.audit.record_checks import RecordAudit, RecordFinding
from pefuse.audit.row import Row
from pefuse.audit.thumbnails import Line, Thumbnail

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def refused(study_id: str, **changes: Any) -> Row:
    given: dict[str, Any] = {"step": "geometry", "reason": "Gaps run from 1.5 to 3 mm.", "remedy": "Export again."}
    return Row(study=StudyFindings(study_id=study_id, status="refused", **(given | changes)))


def page_of(path: Path, rows: Sequence[Row], *, cohort: str = "mine", simulated: bool = False) -> str:
    head = PageHead.of(rows, cohort=cohort, simulated=simulated)
    write_page(path / "check.html", head=head, rows=((row, []) for row in rows))
    return (path / "check.html").read_text(encoding="utf-8")


def test_hostile_text_is_shown_and_never_run(tmp_path: Path) -> None:
    """In every place that a text of the user's can reach; only our own script is allowed by its hash."""
    row = refused(
        HOSTILE,
        step=HOSTILE,
        reason=HOSTILE,
        remedy=HOSTILE,
        repairs=(HOSTILE,),
        warnings=(HOSTILE,),
        left_out=(LeftOut(what=HOSTILE, reason=HOSTILE),),
    )
    page = page_of(tmp_path, [row], cohort=HOSTILE)

    assert page.count("<script>") == 1
    assert "<img src=x" not in page
    assert re.search(r"script-src 'sha256-[A-Za-z0-9+/]{43}='", page)
    assert page.count("&lt;script&gt;alert(1)") >= 10


def test_paths_are_cut_out(tmp_path: Path) -> None:
    page = page_of(tmp_path, [refused("a", reason="Nothing at /home/miller_john/scan01 there.")])

    assert "Nothing at (path) there." in page
    assert "miller" not in page


def test_reasons_that_differ_in_numbers_alone_are_counted_together(tmp_path: Path) -> None:
    """Two with gaps, one of them among several series; two of another step."""
    rows = [
        refused("a"),
        refused("b", reason="None of 3 series is usable. The largest: Gaps run from 2 to 9.75 mm."),
        refused("c", step="read", reason="None of 2 series is usable. The preferred: Cut off at 3."),
    ]
    head = PageHead.of(rows, cohort="mine", simulated=False)

    assert [(one.step, one.count, one.reasons) for one in head.refusals] == [
        ("geometry", 2, (("Gaps run from … to … mm.", 2),)),
        ("read", 1, (("Cut off at 3.", 1),)),
    ]
    assert "2 × Gaps run from … to … mm." in page_of(tmp_path, rows)


def test_reasons_beyond_the_commonest_are_counted_as_others() -> None:
    """Seven different ones: five are shown, two are left."""
    rows = [refused(name, reason=f"Reason {name}.") for name in "abcdefg"]
    (refusals,) = PageHead.of(rows, cohort="mine", simulated=False).refusals

    assert len(refusals.reasons) == 5
    assert refusals.others == 2


def test_the_page_says_what_it_is_for(tmp_path: Path) -> None:
    real = page_of(tmp_path, [refused("a")])
    simulated = page_of(tmp_path, [refused("a")], simulated=True)

    assert "Research use only, not a medical device" in real
    assert "Simulated" not in real
    assert "Simulated data" in simulated


def test_the_page_fetches_nothing(tmp_path: Path) -> None:
    page = page_of(tmp_path, [refused("a")])

    assert "default-src 'none'" in page
    assert re.findall(r"https?://|<link|@import|url\(", page) == []


def test_rows_are_written_one_after_another(tmp_path: Path) -> None:
    """Of a hundred rows with pictures, those that were written are gone while the next ones are made."""
    alive, most = 0, 0

    def rows() -> Iterator[tuple[Row, list[Thumbnail]]]:
        nonlocal alive, most

        def gone() -> None:
            nonlocal alive
            alive -= 1

        for number in range(100):
            line = Line(plane="axial", horizontal=True, at_pixels=1.0)
            thumbnail = Thumbnail(
                plane="coronal",
                width=160,
                height=100,
                letters=("R", "L", "H", "F"),
                lines=(line, line),
                pictures={"mediastinal": b"one", "lung": b"two"},
            )
            weakref.finalize(thumbnail, gone)
            alive += 1
            most = max(most, alive)
            yield refused(f"s{number}"), [thumbnail]

    write_page(tmp_path / "check.html", head=PageHead.of([], cohort="mine", simulated=False), rows=rows())

    assert most <= 2
    assert (tmp_path / "check.html").read_text(encoding="utf-8").count('class="picture"') == 200


def test_the_record_s_findings_and_codes_stand_on_the_page(tmp_path: Path) -> None:
    codes = pd.DataFrame(
        {
            "code": ["LAB//<b>x", "LOCAL//7", "MEDS_DEATH"],
            "name": ["lactate", "", ""],
            "kind": ["lab", "", ""],
            "concept": ["lactate", "", ""],
            "unit": ["mmol/L", "", ""],
            "events": [12, 7, 3],
        }
    )
    finding = RecordFinding(level="warning", topic="leak", text="'<i>y' alone tells death.", count=4)
    head = PageHead.of([], cohort="mine", simulated=False, record=RecordAudit(findings=(finding,), codes=codes))
    write_page(tmp_path / "p.html", head=head, rows=[])
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "&lt;i&gt;y&#39; alone tells death." in page
    assert "LAB//&lt;b&gt;x" in page
    assert [row["code"] for row in head.codes(known=False)] == ["LOCAL//7"]
