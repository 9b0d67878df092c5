"""The page as a document: what stands on paper is kept, what only a screen can do is left out."""

from __future__ import annotations

import base64

import pytest

from pefuse.report.formats.document import (
    Callout,
    Cell,
    Figure,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Preformatted,
    Table,
    grid,
    plain,
    read_page,
)

PIXELS = b"\x89PNG not really"


def page(section: str) -> str:
    return f"""<!DOCTYPE html><html><head><style>p {{ color: red }}</style></head><body>
<div class="banners"><span><strong>Research use</strong> only</span></div>
<header class="top"><h1>A &amp; B</h1><p>Cohort <code>x_1</code></p><nav><a href="#one">One</a></nav></header>
<main><section id="one">{section}</section><footer>Made by hand.</footer></main></body></html>"""


def blocks(section: str):
    (part,) = read_page(page(section)).parts
    return list(part.blocks)


def words(block) -> str:
    return plain(block.text)


def test_title_banners_and_footer():
    document = read_page(page("<h2>One</h2>"))

    assert document.title == "A & B"
    assert document.banners == ("Research use only",)
    assert [plain(text) for text in document.about] == ["Cohort x_1"]
    assert document.footer == "Made by hand."
    assert document.parts[0].name == "one"


def test_words_are_joined_as_a_browser_shows_them():
    (block,) = blocks(
        "<p>  Of\n  <b>12</b><span>studies</span>, speci&shy;ficity (<b>1</b>) %<i>x</i>.<br>End </p>"
    )

    assert words(block) == "Of 12 studies, specificity (1) % x. End"
    assert [one.text for one in block.text if one.bold] == ["12", "1"]


def test_each_kind_of_block():
    found = blocks(
        "<h2>Head</h2><p class='note'>small</p><ul><li>a</li><li>b</li></ul><pre>x:\n  y</pre>"
        "<details><summary>More</summary><p>inside</p></details>"
        "<div class='callout warn'><p>Look</p></div><dl><dt>Term</dt><dd>means</dd></dl>loose"
    )

    assert [type(one) for one in found] == [
        Heading, Paragraph, Listing, Preformatted, Heading, Paragraph, Callout, Table, Paragraph,
    ]  # fmt: skip
    assert found[1].note
    assert found[3].text == "x:\n  y"
    assert found[6].warning
    assert [plain(cell.text) for cell in found[7].blocks[0][0]] == ["Term", "means"]


def test_what_only_a_screen_can_do_is_left_out():
    found = blocks(
        "<div class='viewer'><p>Scroll</p></div><button>Press</button><canvas></canvas><p>kept</p>"
        "<script>var a = '<p>no</p>';</script><svg class='nothing'></svg>"
    )

    assert [words(one) for one in found] == ["kept"]


def test_a_figure_is_known_by_its_name_and_a_picture_by_its_bytes():
    drawing = '<svg role="img" aria-label="Curves"><g id="roc-late-1-figure_1"><text>AUC</text></g></svg>'
    uri = f"data:image/png;base64,{base64.b64encode(PIXELS).decode()}"
    found = blocks(f"<figure>{drawing}</figure><img src='{uri}' alt='Slices'>")

    assert found[0] == Figure(name="roc-late-1", alt="Curves")
    assert found[1] == Picture(content=PIXELS, ending="png", alt="Slices")


def test_wide_and_high_cells_cover_their_places():
    """Head: A down both rows, B over two columns. So the second row is A, c, d."""
    table = blocks(
        "<table><thead><tr><th rowspan=2>A</th><th colspan=2>B</th></tr><tr><th>c</th><th>d</th></tr></thead>"
        "<tbody><tr><th colspan=3>Part</th></tr><tr><th>r</th><td>1</td><td>2</td></tr></tbody></table>"
    )[0]

    assert [[plain(cell.text) for cell in row] for row in grid(table.head)] == [["A", "B", "B"], ["A", "c", "d"]]
    assert table.width == 3
    assert table.blocks[0][0] == (Cell(text=table.blocks[0][0][0].text, columns=3, head=True),)


@pytest.mark.parametrize("rows", ["", "<tbody></tbody>", "<thead><tr></tr></thead>"])
def test_a_table_without_cells_has_no_width(rows):
    assert blocks(f"<table>{rows}</table>")[0].width == 0
