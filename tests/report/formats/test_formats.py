"""Markdown, LaTeX and PDF of a whole run: all that the page holds, with names that could break each of them."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pypdfium2
import pytest
from matplotlib.image import imsave

from pefuse.errors import UsageError
from pefuse.report import build_report
from pefuse.report.formats import check_formats, parse_formats, write_formats
from pefuse.report.formats.document import Figure, Heading, Table, plain, read_page
from pefuse.report.formats.writing import _all_blocks
from pefuse.report.results import load_results

NASTY = r"50% of site_A & B #1 {x} \end{document} $y$ |z|"


@pytest.fixture(scope="module")
def run(make_run):
    """A run whose cohort and a left-out scan have names with signs of all three languages."""
    models = {
        "xgboost": 1.5,
        "sanet": 1.2,
        "intermediate-sanet": 2.0,
        "intermediate-sanet-nmf": 1.7,
    }  # with Table 3
    folder = make_run(models=models)
    cohort = json.loads((folder / "cohort.json").read_text())
    (folder / "cohort.json").write_text(json.dumps(cohort | {"name": NASTY}))
    (folder / "quarantine.csv").write_text(f'study_id,step,reason,remedy\nS0003,read,"{NASTY}",none\n')
    build_report(folder, formats=("md", "tex", "pdf"))
    return folder


@pytest.fixture(scope="module")
def document(run):
    return read_page((run / "report.html").read_text())


@pytest.fixture(scope="module")
def pages(run):
    with pypdfium2.PdfDocument(run / "report.pdf") as pdf:
        return [page.get_textpage().get_text_range() for page in pdf]


def reference_auc(run) -> str:
    model = next(one for one in load_results(run).models if one.name == "intermediate-sanet")
    return f"{model.test.auc.value:.2f} [{model.test.auc.low:.2f}–{model.test.auc.high:.2f}]"


def headings(document) -> list[str]:
    return [
        plain(block.text) for block in _all_blocks(document) if isinstance(block, Heading) and block.level == 2
    ]


def test_the_document_has_every_section_table_and_figure_of_the_page(run, document):
    html = (run / "report.html").read_text()
    blocks = _all_blocks(document)

    assert len(document.parts) == html.count("<section id=")
    assert sum(isinstance(block, Table) for block in blocks) == html.count("<table") + html.count("<dl")
    drawn = {path.stem for path in (run / "figures").glob("*.svg")}
    assert {block.name for block in blocks if isinstance(block, Figure)} == drawn


def test_markdown_holds_all_headings_and_the_reference_with_its_interval(run, document):
    text = (run / "report.md").read_text()

    for heading in headings(document):
        assert f"\n## {heading}" in text
    assert reference_auc(run) in text
    assert "figures/roc-" in text


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_head(run):
    """Cells are parted by bars that no backslash stands before."""
    width = None
    for line in (run / "report.md").read_text().splitlines():
        bars = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else None
        assert width is None or bars is None or bars == width
        width = bars


def test_files_that_markdown_links_to_are_there(run):
    for link in re.findall(r"\]\((?!#)([^)]+)\)", (run / "report.md").read_text()):
        assert (run / link).exists()


def test_latex_escapes_the_names_and_leaves_nothing_open(run):
    text = (run / "report.tex").read_text()
    body = re.sub(r"\\begin\{verbatim\}.*?\\end\{verbatim\}", "", text, flags=re.DOTALL)

    assert r"50\% of site\_A \& B \#1 \{x\} \textbackslash{}end\{document\} \$y\$ \textbar{}z\textbar{}" in body
    assert body.count(r"\end{document}") == 1
    bare = re.sub(r"\\[{}]", "", body)
    assert bare.count("{") == bare.count("}")
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+\*?)\}", body):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert opened == []


def test_every_row_of_a_latex_table_has_the_columns_that_its_table_promises(run):
    text = (run / "report.tex").read_text()
    found = re.findall(r"\\begin\{(tabular|longtable)\}\{([^\n]*)\}\n(.*?)\\end\{\1\}", text, flags=re.DOTALL)

    assert len(found) > 5
    for _, columns, rows in found:
        promised = len(re.findall(r"p\{[\d.]+\\linewidth\}|^[lr]+$", columns))
        promised = promised if "p{" in columns else len(columns)
        for row in rows.splitlines():
            if row.endswith(r"\\"):
                cells = len(re.findall(r"(?<!\\)&", row)) + 1
                spans = [int(number) - 1 for number in re.findall(r"\\multicolumn\{(\d+)\}", row)]
                assert cells + sum(spans) <= promised


def test_figures_of_latex_are_there_as_pdf(run):
    for path in re.findall(r"\\includegraphics\[[^\]]*\]\{([^}]+)\}", (run / "report.tex").read_text()):
        assert (run / path).read_bytes().startswith((b"%PDF", b"\x89PNG", b"\xff\xd8"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_compiles(run, tmp_path):
    command = [
        "pdflatex",
        "-interaction=nonstopmode",
        "-halt-on-error",
        f"-output-directory={tmp_path}",
        "report.tex",
    ]
    done = subprocess.run(command, cwd=run, capture_output=True, text=True, errors="replace", check=False)

    assert done.returncode == 0, done.stdout[-2000:]


def test_the_pdf_holds_all_headings_numbers_and_page_numbers(run, document, pages):
    text = "\n".join(pages).replace("\u2060", "").replace("\ufffe", "").replace("\xa0", " ")

    for heading in headings(document):
        assert heading in text
    assert reference_auc(run).split(" [")[0] in text
    assert "50% of site_A & B #1 {x}" in text
    for place, page in enumerate(pages, start=1):
        assert f"{place} / {len(pages)}" in page
        assert "Research use only, not a medical device" in page


def test_the_same_page_gives_the_same_files(run):
    before = {path: path.read_bytes() for path in run.glob("**/*.*") if path.suffix in (".md", ".tex", ".pdf")}
    write_formats((run / "report.html").read_text(), run, ["md", "tex", "pdf"])

    assert {path.suffix for path in before} == {".md", ".tex", ".pdf"}
    assert [path for path, content in before.items() if path.read_bytes() != content] == []


def test_formats_that_are_not_asked_for_any_more_are_taken_away(run, tmp_path):
    html = (run / "report.html").read_text()
    assert write_formats(html, tmp_path, ["html", "md"]) == (tmp_path / "report.md",)
    assert (tmp_path / "report.md").exists()

    assert write_formats(html, tmp_path, ["html"]) == ()
    assert not (tmp_path / "report.md").exists()


@pytest.mark.parametrize(("text", "formats"), [("html", ("html",)), (" MD, pdf,md", ("md", "pdf"))])
def test_formats_are_named_by_a_list(text, formats):
    assert parse_formats(text) == formats


@pytest.mark.parametrize("text", ["docx", "md,docx", "", ","])
def test_an_unknown_format_is_refused_in_one_line(text):
    with pytest.raises(UsageError, match="html, md, tex, pdf"):
        parse_formats(text)


@pytest.mark.parametrize("name", ["pdf", "tex"])
def test_without_typst_one_line_says_what_to_install_before_anything_is_computed(make_run, monkeypatch, name):
    folder = make_run(bare=True, models={"xgboost": 1.5})
    monkeypatch.setitem(sys.modules, "typst", None)

    with pytest.raises(UsageError, match=r"pip install 'pefuse\[pdf\]'"):
        build_report(folder, formats=(name,))
    assert not (folder / "report.html").exists()
    check_formats(["md", "html"])  # which need nothing


def test_pictures_of_the_page_are_in_every_format(tmp_path):
    """A PNG of 2 × 2 grey points, as a case's slices stand in the page."""
    file = io.BytesIO()
    imsave(file, np.array([[0.0, 1.0], [1.0, 0.0]]), cmap="gray", format="png")
    uri = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    html = (
        '<div class="banners"><span>Research use only</span></div><header><h1>Cases</h1></header>'
        f'<section id="cases"><h2>Cases</h2><img src="{uri}" alt="Slices of S0001"></section><footer>End.</footer>'
    )
    write_formats(html, tmp_path, ["md", "tex", "pdf"])
    (picture,) = (tmp_path / "pictures").iterdir()

    assert picture.read_bytes() == file.getvalue()
    assert f"![Slices of S0001](pictures/{picture.name})" in (tmp_path / "report.md").read_text()
    assert f"{{pictures/{picture.name}}}" in (tmp_path / "report.tex").read_text()
    with pypdfium2.PdfDocument(tmp_path / "report.pdf") as pdf:
        assert [found.type for found in pdf[0].get_objects()].count(pypdfium2.raw.FPDF_PAGEOBJ_IMAGE) == 1
