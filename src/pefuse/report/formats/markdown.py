"""The report as Markdown: all tables with their notes, and links to the figures."""

from __future__ import annotations

from collections.abc import Iterator

from pefuse.report.escaping import markdown_cell
from pefuse.report.formats.document import (
    Block,
    Callout,
    Document,
    Figure,
    Heading,
    Listing,
    Paragraph,
    Picture,
    Preformatted,
    Table,
    Text,
    Words,
    grid,
    plain,
)

__all__ = ["as_markdown"]


def as_markdown(document: Document, pictures: dict[int, str]) -> str:
    """The document as text. `pictures`: where each picture lies, by its identity."""
    lines = [f"# {markdown_cell(document.title)}", ""]
    for banner in document.banners:
        lines += [f"**{markdown_cell(banner)}**", ""]
    for about in document.about:
        lines += [_inline(about), ""]
    for part in document.parts:
        lines += [f'<a id="{part.name}"></a>', ""]
        for block in part.blocks:
            lines += [*_lines(block, pictures), ""]
    return "\n".join([*lines, markdown_cell(document.footer)]) + "\n"


def _lines(block: Block, pictures: dict[int, str]) -> Iterator[str]:
    match block:
        case Heading(level, text):
            yield f"{'#' * level} {_inline(text)}"
        case Paragraph(text):
            yield _inline(text)
        case Listing(items):
            yield from (f"- {_inline(item)}" for item in items)
        case Table():
            yield from _table(block)
        case Figure(name=name, alt=alt):
            yield f"![{markdown_cell(alt)}](figures/{name}.svg)"
            yield ""
            yield f"Numbers: [{name}.csv](figures/{name}.csv)"
        case Picture(alt=alt):
            yield f"![{markdown_cell(alt)}]({pictures[id(block)]})"
        case Preformatted(text):
            yield from ("```", text, "```")
        case Callout(blocks):
            quoted = [line for inner in blocks for line in (*_lines(inner, pictures), "")]
            yield from (f"> {line}".rstrip() for line in quoted[:-1])


def _table(table: Table) -> Iterator[str]:
    width = table.width
    head = grid(table.head)
    names = [
        " / ".join(dict.fromkeys(_inline(row[place].text) for row in head if place < len(row)))
        for place in range(width)
    ]
    yield _row(names)
    yield _row(["---", *(["---" if table.wordy else "--:"] * (width - 1))])
    for block in table.blocks:
        for row in block:
            cells = [text for cell in row for text in (_inline(cell.text), *([""] * (cell.columns - 1)))]
            if len(row) == 1 and plain(row[0].text):  # the heading of a block
                cells[0] = f"**{markdown_cell(plain(row[0].text))}**"
            yield _row([*cells, *([""] * (width - len(cells)))])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _inline(text: Text) -> str:
    return "".join(_marked(words) for words in text)


def _marked(words: Words) -> str:
    """Marks go around the words, never around the spaces beside them."""
    body = words.text.strip()
    if not body:
        return words.text
    before, _, after = words.text.partition(body)
    marked = f"`{body.replace('`', chr(39))}`" if words.code else _escaped(body)
    if words.bold:
        marked = f"**{marked}**"
    if words.link:
        marked = f"[{marked}]({words.link})"
    return before + marked + after


def _escaped(text: str) -> str:
    return markdown_cell(text)
