"""The report as the source of a Typst document, which becomes the PDF; its look is in templates/report.typ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources

from pefuse.report.escaping import typst_string
from pefuse.report.formats.document import (
    Block,
    Callout,
    Cell,
    Document,
    Figure,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Preformatted,
    Row,
    Table,
    Text,
    Words,
    plain,
)

__all__ = ["as_typst"]

_INTERVAL = re.compile(r"\[[^\[\]]{1,24}\]")


def as_typst(document: Document, pictures: dict[int, str]) -> str:
    """The source. It reads `figures/<name>.svg`, and each picture where `pictures` says, by its identity."""
    look = (resources.files("pefuse.report") / "templates" / "report.typ").read_text(encoding="utf-8")
    anchors = {part.name for part in document.parts}
    lines = [
        look,
        f"#show: report.with(title: {typst_string(document.title)}, "
        f"banners: {_array(map(typst_string, document.banners))}, "
        f"about: {_array(_content(text, anchors) for text in document.about)})",
    ]
    for part in document.parts:
        lines.append(f"#anchor({typst_string(part.name)})")
        lines += _written(part.blocks, pictures, anchors)
    return "\n".join([*lines, f"#small({typst_string(document.footer)})"]) + "\n"


def _written(blocks: tuple[Block, ...], pictures: dict[int, str], anchors: set[str]) -> Iterator[str]:
    """Blocks one by one, but figures that follow one another side by side."""
    figures: list[Figure] = []
    for block in blocks:
        if isinstance(block, Figure):
            figures.append(block)
            continue
        yield from _figures(figures)
        figures = []
        yield f"#{_block(block, pictures, anchors)}"
    yield from _figures(figures)


def _figures(figures: list[Figure]) -> Iterator[str]:
    if figures:
        files = _array(f"({typst_string(f'figures/{one.name}.svg')}, {typst_string(one.alt)})" for one in figures)
        yield f"#figures({files})"


def _block(block: Block, pictures: dict[int, str], anchors: set[str]) -> str:
    match block:
        case Heading(level, text):
            return f"heading(level: {level - 1}, {_content(text, anchors)})"
        case Paragraph(text, note):
            return f"{'small' if note else 'par'}({_content(text, anchors)})"
        case Listing(items):
            return f"list(..{_array(_content(item, anchors) for item in items)})"
        case Table():
            return _table(block, anchors)
        case Picture(alt=alt):
            return f"picture({typst_string(pictures[id(block)])}, {typst_string(alt)})"
        case Preformatted(text):
            return f"settings({typst_string(text)})"
        case Callout(inner, warning):
            body = "".join(f"{line}\n" for line in _written(inner, pictures, anchors))
            return f"callout(warning: {_truth(warning)})[\n{body}]"
        case Figure():
            raise TypeError("figures are written by _figures")


def _table(table: Table, anchors: set[str]) -> str:
    width = table.width
    if not width:
        return "none"
    rows = [*(_row(row, anchors, head=True) for row in table.head)]
    head = f"table.header({', '.join(cell for row in rows for cell in row)}), " if rows else ""
    cells = []
    for place, block in enumerate(table.blocks):
        if place:
            cells.append("rule()")
        cells += [cell for row in block for cell in _row(row, anchors, head=False)]
    widths = _array(f"{share:.2f}fr" for share in _shares(table)) if table.wordy else str(width)
    return f"data(columns: {widths}, count: {width}, wordy: {_truth(table.wordy)}, {head}{', '.join(cells)})"


def _row(row: Row, anchors: set[str], *, head: bool) -> Iterator[str]:
    for cell in row:
        body = _content(tuple(replace(words, text=_unbroken(words.text)) for words in cell.text), anchors)
        if head:
            body = f"strong({body})"
        elif len(row) == 1 and cell.columns > 1:
            body = f"blockname({body})"
        yield f"table.cell(colspan: {cell.columns}, rowspan: {cell.rows}, {body})"


def _unbroken(text: str) -> str:
    """An interval stays on one line: `0.84 [0.67–0.93]` may break before its bracket alone."""
    return _INTERVAL.sub(lambda found: found[0].replace(" ", "\u00a0").replace("–", "–\u2060"), text)


def _shares(table: Table) -> list[float]:
    """Room for each column of sentences: as their longest words and their length need it."""
    needs = [1.0] * table.width
    for row in [*table.head, *(row for block in table.blocks for row in block)]:
        if len(row) == table.width:
            for place, cell in enumerate(row):
                needs[place] = max(needs[place], _need(cell))
    return needs


def _need(cell: Cell) -> float:
    text = plain(cell.text)
    longest = max((len(word) for word in text.split()), default=1)
    return float(max(longest * 1.6, min(len(text), 90) ** 0.85))


def _content(text: Text, anchors: set[str]) -> str:
    """An expression whose value is the text; every word is a string, so that nothing in it is markup."""
    return "[] + " + " + ".join(_words(words, anchors) for words in text) if text else "[]"


def _words(words: Words, anchors: set[str]) -> str:
    body = f"raw({typst_string(words.text)})" if words.code else f"text({typst_string(words.text)})"
    if words.bold:
        body = f"strong({body})"
    if words.link.startswith("#") and words.link[1:] in anchors:
        return f"link(label({typst_string(words.link[1:])}), {body})"
    return body  # a file beside the page: a PDF travels alone


def _array(items: Iterator[str] | map[str]) -> str:
    return "(" + "".join(f"{item}, " for item in items) + ")"


def _truth(value: bool) -> str:
    return "true" if value else "false"
