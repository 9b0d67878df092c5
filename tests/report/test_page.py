"""The page: complete, offline, silent about patients and machines, and the same bytes every time."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pandas as pd
import pytest

from pefuse.report import build_report, table1
from pefuse.report.wording import without_paths

VOID = {"meta", "br", "img", "link", "hr", "input"}


class PageReader(HTMLParser):
    """Collects ids, links and text, and checks that tags are closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids += [given["id"]] if "id" in given else []
        self.links += [given[name] for name in ("href", "src") if name in given]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def run(make_run):
    folder = make_run(shortcut="sanet", test=120)
    build_report(folder)
    return folder


@pytest.fixture(scope="module")
def page(run):
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def reader(page):
    return PageReader(page)


def test_every_tag_is_closed_and_every_id_is_unique(reader):
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))


def test_it_says_simulated_and_research_use_only(reader):
    assert "Simulated data" in reader.text
    assert "Research use only, not a medical device" in reader.text


def test_real_data_are_not_called_simulated(make_run):
    text = PageReader(
        build_report(make_run(simulated=False, models={"xgboost": 1.8})).read_text(encoding="utf-8")
    ).text

    assert "imulated" not in text
    assert "Research use only" in text
    assert "Ideal" not in text


def test_nothing_is_fetched_from_anywhere(page, reader):
    assert "http://" not in page
    assert "https://" not in page
    assert "//" not in "".join(reader.links)
    assert "@import" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_links_lead_to_what_is_there(run, reader):
    for link in reader.links:
        if link.startswith("#"):
            assert link[1:] in reader.ids
        else:
            assert (run / link).is_file()


def test_no_patient_number_and_no_path_is_on_the_page_or_beside_it(run, page):
    for path in [run / "results.json", *run.glob("tables/*"), *run.glob("figures/*"), run / "report.html"]:
        assert "73000000" not in path.read_text(encoding="utf-8")
    assert "/home/" not in page
    assert "/data/hospital" not in page
    assert str(run) not in page


def test_table_shows_the_numbers_of_the_results(run, reader):
    for _, row in table1(run).iterrows():
        assert f"{row['auc']:.2f} [{row['auc_low']:.2f}–{row['auc_high']:.2f}]" in reader.text.replace(" ]", "]")


def test_every_section_is_there(reader):
    for section in (
        "asked",
        "cohort",
        "table1",
        "comparison",
        "curves",
        "generalisation",
        "calibration",
        "training",
        "importance",
    ):
        assert section in reader.ids
    for section in ("quarantine", "facts", "limits"):
        assert section in reader.ids


def test_a_drop_from_validation_to_test_is_told(reader):
    told = r"SANet \(scan\): (0\.9\d|1\.00) on validation, 0\.\d\d on test, a drop of 0\.\d\d \["

    assert "clearly worse on the test studies than validation promised" in reader.text
    assert re.search(told, reader.text)


def test_no_drop_is_told_where_there_is_none(make_run):
    run = make_run(bare=True, models={"xgboost": 1.8}, test=300)
    text = PageReader(build_report(run).read_text(encoding="utf-8")).text

    assert "No model's AUC falls from validation to test by more than chance explains" in text
    assert "clearly worse" not in text


def test_what_was_quarantined_is_counted_and_listed(reader):
    assert "3 scans of the cohort could not be used" in reader.text
    assert "S9002" in reader.text
    assert "A slice is probably missing: export it again." in reader.text


def test_few_deaths_are_pointed_out(reader):
    assert re.search(r"Only \d+ deaths among 120 test studies", reader.text)


def test_ideal_aucs_of_the_simulated_population_are_told(reader):
    assert "on endlessly many such patients their AUCs are 0.88, 0.92 and 0.98." in reader.text


def test_settings_and_versions_are_shown(reader):
    assert "grid: 48" in reader.text
    assert "numpy 2.4.6" in reader.text
    assert "models 3 min 11 s" in reader.text
    assert "15 of 15 finished" in reader.text


def test_every_figure_is_whole_xml_with_its_numbers_beside(run):
    figures = sorted(run.glob("figures/*.svg"))

    assert len(figures) >= 20
    for path in figures:
        ElementTree.parse(path)
        assert len(pd.read_csv(path.with_suffix(".csv"))) > 0


def test_roc_numbers_are_points_of_the_curve(run):
    points = pd.read_csv(run / "figures" / "roc-scores.csv")
    pesi = points[points["model"] == "pesi"]
    area = (
        (pesi["true_positive_rate"] + pesi["true_positive_rate"].shift()) / 2 * pesi["false_positive_rate"].diff()
    ).sum()

    assert area == pytest.approx(table1(run).set_index("model").loc["pesi", "auc"], abs=1e-4)


def test_the_same_run_gives_the_same_bytes_in_any_folder(make_run):
    first, second = (make_run(models={"pesi": 1.2, "tabnet": 1.5}) for _ in range(2))

    for run in (first, second):
        build_report(run)

    files = [path.relative_to(first) for path in sorted(first.rglob("*")) if path.is_file()]
    assert len(files) > 20
    for name in files:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_figures_of_models_that_are_gone_are_removed(make_run):
    run = make_run(bare=True, models={"xgboost": 1.5})
    (run / "figures").mkdir()
    (run / "figures" / "calibration-old.svg").write_text("<svg/>")
    (run / "figures" / "notes.txt").write_text("kept")

    build_report(run)

    assert not (run / "figures" / "calibration-old.svg").exists()
    assert (run / "figures" / "notes.txt").exists()
    assert (run / "figures" / "calibration-xgboost.svg").exists()


def test_a_run_of_predictions_alone_still_makes_a_page(make_run):
    reader = PageReader(build_report(make_run(bare=True, models={"my-net": 1.5})).read_text(encoding="utf-8"))

    assert "my-net" in reader.text
    assert "did not save a description of its cohort" in reader.text
    assert "training" not in reader.ids
    assert "every scan of the cohort could be used" in reader.text


def test_a_run_that_cannot_be_judged_still_makes_a_page(make_run):
    run = make_run(models={"xgboost": 1.5, "sanet": 1.2})
    predictions = pd.read_csv(run / "predictions.csv")
    predictions.loc[predictions["split"] == "test", "label"] = 0
    predictions.to_csv(run / "predictions.csv", index=False)

    text = PageReader(build_report(run).read_text(encoding="utf-8")).text

    assert "not judged: all its test studies survived" in text
    assert "No model could be judged" in text


def test_text_of_a_run_is_escaped(make_run):
    run = make_run(models={"xgboost": 1.5})
    pd.DataFrame(
        {"study_id": ["S1"], "step": ["read"], "reason": ["<script>alert(1)</script>"], "remedy": ["a & b"]}
    ).to_csv(run / "quarantine.csv", index=False)

    page = build_report(run).read_text(encoding="utf-8")

    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("read /home/someone/x.dcm twice", "read (path) twice"),
        ("in C:\\Users\\someone\\x.dcm", "in (path)"),
        ("in ~/data/x", "in (path)"),
        ("(/a/b)", "((path))"),
        ("lactate 5 mg/dL and/or 3 /HPF, 1/2", "lactate 5 mg/dL and/or 3 /HPF, 1/2"),
    ],
)
def test_absolute_paths_are_cut_out(text, shown):
    assert without_paths(text) == shown
