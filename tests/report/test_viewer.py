"""The viewer in a real browser, opened from a file: it shows the heat, scrolls, turns, and fetches nothing.

Chromium is driven through its own pipe (`--remote-debugging-pipe`), so nothing needs to be installed beside it.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import closing
from itertools import count

import numpy as np
import pytest
from matplotlib.image import imread

from pefuse.report.page import build_page
from pefuse.report.run_folder import read_run
from pefuse.report.sections import Material
from pefuse.report.sections.cases import SECTION
from pefuse.report.summarise import summarise_scores

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
SOFTWARE_GRAPHICS = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader", "--ignore-gpu-blocklist")
PATIENCE_SECONDS = 60
# Chromium reads orders from its file 3 and answers through 4, whatever these are called here.
LAUNCH = """
import fcntl, os, sys
orders, answers = (fcntl.fcntl(int(one), fcntl.F_DUPFD, 10) for one in sys.argv[1:3])
os.dup2(orders, 3)
os.dup2(answers, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]


class Browser:
    """A page of a headless Chromium. `requests` are the addresses that it asked for, `complaints` what it said."""

    def __init__(self, folder, *, width=720, height=640, graphics=SOFTWARE_GRAPHICS):
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCH, str(to_browser), str(from_browser), str(CHROMIUM)),
                *("--headless", "--no-sandbox", "--remote-debugging-pipe", f"--user-data-dir={folder}"),
                *(
                    "--no-first-run",
                    "--disable-background-networking",
                    f"--window-size={width},{height}",
                    *graphics,
                ),
            ],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._numbers, self._session, self._rest = count(1), None, b""
        self.requests, self.complaints = [], []
        try:
            self._attach()
        except BaseException:
            self.close()
            raise

    def _attach(self):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def close(self):
        self._process.kill()
        self._process.wait()
        for pipe in (self._out, self._in):
            os.close(pipe)

    def ask(self, method, **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._message()
            if answer.get("id") == number:
                assert "error" not in answer, answer
                return answer["result"]
            self._note(answer)

    def _message(self):
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 20)
            assert part, "the browser has ended"
            self._rest += part
        message, self._rest = self._rest.split(b"\0", 1)
        return json.loads(message)

    def _note(self, event):
        given = event.get("params", {})
        if event.get("method") == "Network.requestWillBeSent":
            self.requests.append(given["request"]["url"])
        elif event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(given["exceptionDetails"]["text"])
        elif event.get("method") == "Log.entryAdded":
            self.complaints.append(given["entry"]["text"])

    def value(self, expression):
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def wait_for(self, expression):
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.value(f"Boolean({expression})"):
            assert time.monotonic() < end, f"waited in vain for {expression}"
            time.sleep(0.1)

    def open(self, path):
        self.ask("Page.navigate", url=path.as_uri())
        self.wait_for("document.readyState === 'complete' && document.querySelector('#viewer, main')")

    def choose(self, selector, value=None):
        """Press a button, or set a control and tell the page."""
        found = f"document.querySelector({json.dumps(selector)})"
        if value is None:
            self.value(f"{found}.click()")
        else:
            self.value(f"{found}.value = {json.dumps(value)}")
            for kind in ("input", "change"):
                self.value(f"{found}.dispatchEvent(new Event('{kind}'))")

    def picture(self):
        """The canvas as shown, RGB in [0, 1]."""
        self.value(
            "document.querySelector('#viewer canvas').scrollIntoView({behavior: 'instant', block: 'center'})"
        )
        box = "document.querySelector('#viewer canvas').getBoundingClientRect()"
        x, y, width, height = (round(self.value(f"{box}.{side}")) for side in ("x", "y", "width", "height"))
        shot = self.ask("Page.captureScreenshot", format="png")["data"]
        page = imread(io.BytesIO(base64.b64decode(shot)), format="png")[..., :3]
        return page[max(y, 0) : y + height, x : x + width]

    def middle_of_canvas(self, across):
        box = "document.querySelector('#viewer canvas').getBoundingClientRect()"
        return self.value(f"{box}.x + {across} * {box}.width"), self.value(f"{box}.y + {box}.height / 2")

    def slices(self):
        return [int(self.value(f"document.querySelector('[data-axis=\"{axis}\"]').value")) for axis in (0, 1, 2)]


def coloured(picture):
    """Where the heat is: grey has three equal parts, and the crosshair is bluish."""
    return picture[..., 0] - picture[..., 2] > 0.15


@pytest.fixture(scope="module")
def page(make_run, add_explanations, tmp_path_factory):
    folder = make_run(bare=True, models={"intermediate-sanet": 1.5})
    add_explanations(folder, side=32, noise=0)
    run = read_run(folder)
    material = Material(run=run, results=summarise_scores(run, inputs=""), scores=(), folder=folder)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(build_page(material, sections=[SECTION]).html, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def browser(page, tmp_path_factory):
    with closing(Browser(tmp_path_factory.mktemp("profile"))) as opened:
        opened.open(page)
        assert opened.value("document.querySelector('#viewer').dataset.state") == "closed"
        opened.choose('#viewer [data-opens=""]')
        opened.wait_for("document.querySelector('[data-part=told] a')")
        yield opened


@pytest.fixture(autouse=True)
def start(request):
    """Each test begins with all planes of the first case."""
    if "browser" in request.fixturenames:
        browser = request.getfixturevalue("browser")
        browser.choose('[name="viewer-view"][value="slices"]')
        browser.choose('[data-part="opacity"]', "60")
        if not browser.value("document.querySelector('[data-part=heat]').checked"):
            browser.choose('[data-part="heat"]')


def test_the_heat_lies_over_the_scan_and_can_be_taken_away(browser):
    with_heat = browser.picture()
    browser.choose('[data-part="heat"]')
    without = browser.picture()

    assert coloured(with_heat).sum() > 20
    assert coloured(without).sum() == 0
    assert without.max() > 0.9


def test_the_patient_s_left_is_at_the_right_of_the_picture_and_the_front_on_top(browser):
    """The bright cube of the fixture lies to the left, in front and above the middle."""
    browser.choose('[name="viewer-view"][value="axial"]')
    browser.choose('[data-part="heat"]')
    picture = browser.picture().mean(axis=2)
    rows, columns = np.nonzero(picture > 0.9)
    height, width = picture.shape

    assert columns.mean() > 0.55 * width
    assert rows.mean() < 0.45 * height


def test_it_opens_where_the_heat_is_greatest(browser):
    """Voxel (17, 9, 25) of 32: 32 - 25 = 7th slice from the left, 23rd from the back, 18th from the feet."""
    browser.choose('[data-part="case"]', browser.value("document.querySelector('[data-part=case]').value"))
    browser.wait_for("document.querySelector('[data-part=told] a')")

    assert browser.slices() == [7, 23, 18]


def test_the_wheel_scrolls_the_page_first_and_slices_once_the_picture_was_clicked(browser):
    browser.picture()
    x, y = browser.middle_of_canvas(1 / 6)
    browser.value("document.activeElement.blur()")
    before = browser.slices()
    browser.ask("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=40)
    assert browser.slices() == before

    browser.picture()
    for kind in ("mousePressed", "mouseReleased"):
        browser.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
    clicked = browser.slices()
    browser.ask("Input.dispatchMouseEvent", type="mouseWheel", x=x, y=y, deltaX=0, deltaY=40)
    browser.wait_for(f"document.querySelector('[data-axis=\"2\"]').value != {clicked[2]}")

    assert browser.slices()[:2] == clicked[:2]


def test_sliders_move_through_slices_and_the_picture_follows(browser):
    browser.choose('[name="viewer-view"][value="axial"]')
    browser.choose('[data-axis="2"]', "18")
    at_heat = browser.picture()
    browser.choose('[data-axis="2"]', "30")
    elsewhere = browser.picture()

    assert coloured(at_heat).any()
    assert not coloured(elsewhere).any()
    assert (
        browser.value("document.querySelector('[data-axis=\"2\"]').nextElementSibling.textContent") == "30 of 32"
    )


def test_windows_change_what_is_grey(browser):
    """Lung at -800 HU is black in the mediastinal window and grey in that of the lung."""
    browser.choose('[name="viewer-window"][value="-1350 150"]')
    lung = np.median(browser.picture()[60:-60, 20:-20])
    browser.choose('[name="viewer-window"][value="-135 215"]')
    mediastinum = np.median(browser.picture()[60:-60, 20:-20])

    assert lung > 0.2
    assert mediastinum == 0


def test_in_3d_it_turns_by_slider_and_by_mouse(browser):
    browser.choose('[name="viewer-view"][value="turn"]')
    browser.choose('[data-angle="azimuth"]', "160")
    before = browser.picture()
    browser.choose('[data-angle="azimuth"]', "230")
    after = browser.picture()
    assert before.max() > 0.3
    assert np.abs(after - before).max() > 0.3

    x, y = browser.middle_of_canvas(1 / 2)
    for kind, shift in (("mousePressed", 0), ("mouseMoved", 40), ("mouseMoved", 80), ("mouseReleased", 80)):
        browser.ask(
            "Input.dispatchMouseEvent", type=kind, x=x + shift, y=y, button="left", buttons=1, clickCount=1
        )

    assert browser.value("document.querySelector('[data-angle=azimuth]').value") != "230"


def test_every_case_can_be_opened_from_its_card(browser):
    studies = browser.value(
        "Array.from(document.querySelectorAll('.case [data-opens]'), (one) => one.dataset.opens)"
    )

    assert len(studies) == 4
    for study_id in studies:
        browser.choose(f'.case [data-opens="{study_id}"]')
        browser.wait_for(f"document.querySelector('[data-part=told]').textContent.startsWith('{study_id}: ')")
        assert coloured(browser.picture()).any()


def test_nothing_was_fetched_and_nothing_went_wrong(browser, page):
    """Last: of all that the other tests did."""
    browser.picture()

    assert [url for url in browser.requests if not url.startswith("data:")] == [page.as_uri()]
    assert browser.complaints == []


def test_it_fits_a_phone(page, tmp_path):
    with closing(Browser(tmp_path, width=500, height=800)) as phone:
        phone.ask("Emulation.setDeviceMetricsOverride", width=400, height=800, deviceScaleFactor=1, mobile=True)
        phone.open(page)
        phone.choose('#viewer [data-opens=""]')
        phone.wait_for("document.querySelector('[data-part=told] a')")

        assert phone.value("document.documentElement.scrollWidth") == 400
        assert coloured(phone.picture()).any()
        assert phone.complaints == []


def test_without_3d_graphics_a_line_says_so_and_the_still_slices_remain(page, tmp_path):
    with closing(Browser(tmp_path, graphics=("--disable-3d-apis",))) as plain:
        plain.open(page)

        assert plain.value("document.querySelector('#viewer').innerText.trim()") == (
            "This browser cannot draw scans in 3D (it lacks WebGL 2). The still slices of each case are below."
        )
        assert plain.value("document.querySelectorAll('.case img').length") == 4
        shown = "Array.from(document.querySelectorAll('[data-opens]')).filter((one) => one.offsetParent).length"
        assert plain.value(shown) == 0


def test_in_print_the_viewer_gives_way_to_the_still_slices(browser):
    browser.ask("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.value("getComputedStyle(document.querySelector('#viewer canvas')).visibility") == "hidden"
        assert browser.value("document.querySelector('#viewer').offsetHeight") == 0
        assert browser.value("document.querySelector('.case button').offsetHeight") == 0
        assert browser.value("document.querySelector('.case img').offsetWidth") > 0
    finally:
        browser.ask("Emulation.setEmulatedMedia", media="")
