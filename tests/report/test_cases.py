"""The section of single cases: cards and the viewer's data in one page, that fetches nothing and stays small."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import pytest

from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import Material
from pefuse.report.sections.cases import MOST_BYTES_OF_SLICES, MOST_BYTES_OF_VOLUMES, SECTION
from pefuse.report.summarise import summarise_scores

ASSETS = files("pefuse.report") / "assets"
NIIVUE_SHA256 = "47b896b77ec4a5be3ef1949c33ad393b6f45629921f326c279000bcf51bdb4af"


class PageReader(HTMLParser):
    """Scripts by their attributes, and all that a browser would load."""

    def __init__(self, page):
        super().__init__()
        self.scripts, self.loads, self.texts, self.open, self.ids = [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.open = [*self.open, tag] if tag in ("script", "style") else self.open
        self.ids += [given["id"]] if "id" in given else []
        if tag == "script":
            self.scripts.append((given, ""))
        self.loads += [given["src"]] if "src" in given else []
        self.loads += [given["href"]] if tag == "link" else []

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open:
            self.texts.append(data)
        elif self.open[-1] == "script":
            given, text = self.scripts[-1]
            self.scripts[-1] = (given, text + data)

    @property
    def text(self):
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def run(make_run, add_explanations):
    folder = make_run(bare=True, models={"intermediate-sanet": 1.5})
    add_explanations(folder)
    return folder


@pytest.fixture
def copied(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def page_of(folder):
    run = read_run(folder)
    material = Material(run=run, results=summarise_scores(run, inputs=""), scores=(), folder=folder)
    return build_page(material, sections=[SECTION])


@pytest.fixture(scope="module")
def page(run):
    return page_of(run).html


@pytest.fixture(scope="module")
def reader(page):
    return PageReader(page)


def cases_of(run):
    return json.loads((run / "explanations" / "summary.json").read_text())["cases"]


def test_each_case_has_a_card_with_its_kind_risks_features_and_heat(run, reader):
    for study_id in cases_of(run):
        assert f"case-{study_id}" in reader.ids
    for words in ("Missed death", "False alarm", "Death that was found", "Rightly called low risk"):
        assert words in reader.text
    assert "lactate 5.1 mmol/L usual 1.4 (0.9 to 2.1)" in reader.text
    assert "troponin not measured" in reader.text
    assert "right ventricle fills 1.0 % of the volume" in reader.text
    assert "Hottest point at (30, −41, 7) mm" in reader.text
    assert "The heat (LayerCAM, layer stage-3, evidence for the model's risk)" in reader.text


def test_bars_of_features_and_heat_fill_up_to_the_largest_of_their_list(page):
    """Each card has bars of risks, then of features, then of heat: one of 100 % in each."""
    for card in page.split("<article")[1:]:
        lists = [re.findall(r'<i style="width:([\d.]+)%"', part) for part in card.split("<h4>")[1:]]

        assert [max(map(float, widths)) for widths in lists] == [100, 100, 100]


def test_ids_are_unique(reader):
    assert len(reader.ids) == len(set(reader.ids))


def test_numbers_of_the_overview_lie_beside_it(run):
    [plot] = page_of(run).plots

    assert plot.name == "cases"
    assert list(plot.numbers["study_id"]) == cases_of(run)


def test_scans_and_heat_are_in_the_page_as_nifti(run, reader):
    data = {given["id"]: text for given, text in reader.scripts if "id" in given}

    assert sorted(data) == sorted(f"{kind}-{study_id}" for kind in ("ct", "heat") for study_id in cases_of(run))
    for text in data.values():
        content = gzip.decompress(base64.b64decode(text, validate=True))
        assert content[344:348] == b"n+1\0"
        assert len(content) == 352 + 16**3


def test_the_browser_loads_nothing(reader):
    assert all(address.startswith("data:image/") for address in reader.loads)
    assert len(reader.loads) == 4
    assert "http" not in reader.text


def test_only_our_two_scripts_may_run_and_they_are_those_of_the_assets(page, reader):
    running = [text for given, text in reader.scripts if given.get("type") != "application/octet-stream"]
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    allowed = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in running}

    assert running == [(ASSETS / name).read_text() for name in ("niivue.umd.js", "viewer.js")]
    assert set(re.findall(r"'sha256-([^']*)'", policy)) == allowed
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-")
    assert "eval" not in policy


def test_niivue_is_the_file_that_its_makers_published():
    content = (ASSETS / "niivue.umd.js").read_bytes()

    assert hashlib.sha256(content).hexdigest() == NIIVUE_SHA256
    assert NIIVUE_SHA256 in (ASSETS / "README.md").read_text()
    assert "BSD 2-Clause License" in (ASSETS / "niivue.LICENSES.md").read_text()


def test_all_that_the_script_asks_for_is_on_the_page(page):
    script = (ASSETS / "viewer.js").read_text()
    wanted = re.search(r"\[(.*?)\]\.map\(part\)", script).group(1)

    for name in re.findall(r'"(\w+)"', wanted):
        assert page.count(f'data-part="{name}"') == 1
    for name in ("viewer-view", "viewer-window"):
        assert page.count(f'name="{name}"') >= 3
    for axis in range(3):
        assert page.count(f'data-axis="{axis}"') == 1


def test_windows_are_told_by_width_and_level_and_given_by_their_ends(page):
    """350 / 40 is -135 to 215, 700 / 100 is -250 to 450, 1500 / -600 is -1350 to 150."""
    for ends, words in (("-135 215", "350 / 40"), ("-250 450", "700 / 100"), ("-1350 150", "1500 / −600")):
        assert f'value="{ends}"' in page
        assert words in page


def test_without_explanations_there_is_neither_section_nor_viewer(make_run):
    html = page_of(make_run(bare=True, models={"xgboost": 1.5})).html

    assert 'id="cases"' not in html
    assert "<script" not in html
    assert "script-src" not in html


def test_without_any_scan_there_are_cards_and_no_viewer(copied):
    for path in copied.glob("explanations/cases/*/ct.nii.gz"):
        path.unlink()
    for path in copied.glob("explanations/cases/*/heat.nii.gz"):
        path.unlink()

    html = page_of(copied).html

    assert "Missed death" in html
    assert "<script" not in html
    assert "Scroll and turn" not in html


def test_what_is_damaged_is_told_in_one_place_and_the_rest_is_shown(copied):
    first, second, *_ = cases_of(copied)
    (copied / "explanations" / "cases" / first / "ct.nii.gz").write_bytes(b"")
    (copied / "explanations" / "cases" / second / "case.json").write_text("{")

    html = page_of(copied).html

    [told] = re.findall(r'<div class="callout warn">(.*?)</div>', html, re.DOTALL)
    told_first, told_second = re.findall("<li>(.*?)</li>", told)
    assert "run <code>pefuse explain</code> again" in told
    assert f"Case {first} cannot be opened in the viewer" in told_first
    assert f"Case {second} is left out" in told_second
    assert html.count('<article class="case"') == 3
    assert html.count("Scroll and turn this scan") == 2


def test_text_of_a_case_is_escaped(copied):
    path = copied / "explanations" / "cases" / cases_of(copied)[0] / "case.json"
    case = json.loads(path.read_text())
    case["features"][0]["text"] = "</script><script>alert(1)</script> in /home/someone/x"
    path.write_text(json.dumps(case))

    html = page_of(copied).html

    assert "<script>alert" not in html
    assert "/home/someone" not in html


def test_the_same_run_gives_the_same_bytes(run, page):
    assert page_of(run).html == page


def test_shares_of_the_page_leave_room_for_the_rest():
    """Base64 makes 4 of 3; with the viewer's scripts all cases stay below 11 of 15 MB."""
    scripts = sum(len((ASSETS / name).read_bytes()) for name in ("niivue.umd.js", "viewer.js"))

    assert (MOST_BYTES_OF_VOLUMES + MOST_BYTES_OF_SLICES) * 4 / 3 + scripts < 11e6


def test_headings_do_not_jump(page):
    levels = [int(level) for level in re.findall(r"<h([1-6])", page)]

    assert all(after - before <= 1 for before, after in pairwise(levels))
