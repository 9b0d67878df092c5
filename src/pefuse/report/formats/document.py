"""The page as a document: headings, paragraphs, tables and figures, to be written in other forms than HTML.

All other forms are made of the finished page, so that they hold what it holds, whatever sections it has. What only
a screen can do (the viewer, buttons, scripts) is left out.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = [
    "Block",
    "Callout",
    "Cell",
    "Document",
    "Figure",
    "Heading",
    "Listing",
    "Paragraph",
    "Part",
    "Picture",
    "Preformatted",
    "Row",
    "Table",
    "Text",
    "Words",
    "grid",
    "plain",
    "read_page",
]


@dataclass(frozen=True, kw_only=True)
class Words:
    """Text of one kind; `link` is an address, "#name" one of the document's own parts, "" = none."""

    text: str
    bold: bool = False
    code: bool = False
    link: str = ""


Text = tuple[Words, ...]


@dataclass(frozen=True)
class Heading:
    """`level` 2 opens a part, 3 and 4 stand below it."""

    level: int
    text: Text


@dataclass(frozen=True)
class Paragraph:
    """`note`: small print below a table or figure."""

    text: Text
    note: bool = False


@dataclass(frozen=True)
class Listing:
    """One text an item."""

    items: tuple[Text, ...]


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a table. `head`: it names its row or column."""

    text: Text
    columns: int = 1
    rows: int = 1
    head: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of the head, and of each block of the body. `wordy`: its cells hold sentences."""

    head: tuple[Row, ...]
    blocks: tuple[tuple[Row, ...], ...]
    wordy: bool = False

    @property
    def width(self) -> int:
        """Columns."""
        rows = [*self.head, *(row for block in self.blocks for row in block)]
        return max((len(row) for row in grid(rows)), default=0)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A drawing of ours, by its name in `figures/`; `alt` says in words what it shows."""

    name: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Pixels that stand in the page itself."""

    content: bytes = field(repr=False)
    ending: str
    alt: str


@dataclass(frozen=True)
class Preformatted:
    """Text whose lines stay as they are."""

    text: str


@dataclass(frozen=True)
class Callout:
    """What must not be overlooked. `warning`: it may change what is believed."""

    blocks: tuple[Block, ...]
    warning: bool


Block = Heading | Paragraph | Listing | Table | Figure | Picture | Preformatted | Callout


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of the page: `name` is its anchor."""

    name: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, kw_only=True)
class Document:
    """The whole report. `banners` must be seen on every page."""

    title: str
    banners: tuple[str, ...]
    about: tuple[Text, ...]
    parts: tuple[Part, ...]
    footer: str


def read_page(html: str) -> Document:
    """The document in a finished page."""
    root = _tree(html)
    header = next(root.find("header"))
    parts = tuple(
        Part(name=section.attributes.get("id", ""), blocks=tuple(_blocks(section)))
        for section in root.find("section")
    )
    return Document(
        title=plain(_text(next(header.find("h1")))),
        banners=tuple(plain(_text(one)) for one in next(root.find("div", "banners")).find("span")),
        about=tuple(_text(one) for one in header.find("p")),
        parts=parts,
        footer=plain(_text(next(root.find("footer")))),
    )


def plain(text: Text) -> str:
    """The words alone."""
    return "".join(words.text for words in text)


def grid(rows: tuple[Row, ...] | list[Row]) -> list[list[Cell]]:
    """Every place of every row, with the cell that covers it: wide and high cells stand in several."""
    table: list[list[Cell | None]] = [[] for _ in rows]
    for place, row in enumerate(rows):
        column = 0
        for cell in row:
            while column < len(table[place]) and table[place][column] is not None:
                column += 1
            for below in table[place : place + cell.rows]:
                below.extend([None] * (column + cell.columns - len(below)))
                below[column : column + cell.columns] = [cell] * cell.columns
            column += cell.columns
    return [[cell for cell in row if cell is not None] for row in table]


# --- from tags to a tree

_VOID = {"br", "img", "input", "meta", "link", "hr", "wbr", "col", "source"}
_SCREEN_ONLY = {
    "script", "style", "nav", "canvas", "button", "select", "input", "fieldset", "label", "output", "template",
    "noscript",
}  # fmt: skip
_SCREEN_CLASSES = {"viewer", "bar"}


@dataclass
class _Node:
    tag: str
    attributes: dict[str, str]
    children: list[_Node | str] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        return set(self.attributes.get("class", "").split())

    @property
    def on_paper(self) -> bool:
        return self.tag not in _SCREEN_ONLY and not self.classes & _SCREEN_CLASSES

    def find(self, tag: str, of_class: str = "") -> Iterator[_Node]:
        """All nodes below with this tag, in order."""
        for child in self.children:
            if isinstance(child, _Node) and child.on_paper:
                if child.tag == tag and (not of_class or of_class in child.classes):
                    yield child
                yield from child.find(tag, of_class)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Node("", {})
        self.open = [self.root]

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        node = _Node(tag, {name: value or "" for name, value in attributes})
        self.open[-1].children.append(node)
        if tag not in _VOID:
            self.open.append(node)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.open[-1].children.append(_Node(tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        if tag in (node.tag for node in self.open):
            while self.open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def _tree(html: str) -> _Node:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.root


# --- from the tree to blocks


def _blocks(node: _Node) -> Iterator[Block]:
    loose: list[_Node | str] = []
    for child in node.children:
        if isinstance(child, str) or child.tag in _INLINE:
            loose.append(child)
            continue
        yield from _loose(loose)
        loose = []
        if child.on_paper:
            yield from _block(child)
    yield from _loose(loose)


_INLINE = {"a", "b", "strong", "em", "i", "span", "code", "small", "br", "sub", "sup"}


def _loose(children: list[_Node | str]) -> Iterator[Block]:
    """Text that stands in no paragraph."""
    if text := _text(_Node("", {}, children)):
        yield Paragraph(text)


def _block(node: _Node) -> Iterator[Block]:
    match node.tag:
        case "h2" | "h3" | "h4":
            yield Heading(int(node.tag[1]), _text(node))
        case "summary":
            yield Heading(4, _text(node))
        case "p" | "figcaption":
            if text := _text(node):
                yield Paragraph(text, note="note" in node.classes or node.tag == "figcaption")
        case "ul" | "ol":
            yield Listing(tuple(_text(item) for item in node.find("li")))
        case "dl":
            yield from _terms(node)
        case "table":
            yield _table(node)
        case "svg":
            yield from _figure(node)
        case "img":
            yield from _picture(node)
        case "pre":
            yield Preformatted("".join(_strings(node)).rstrip("\n"))
        case "div" if "callout" in node.classes:
            yield Callout(tuple(_blocks(node)), warning="warn" in node.classes)
        case _:
            yield from _blocks(node)


def _terms(node: _Node) -> Iterator[Block]:
    """A list of terms as a table of two columns."""
    names = [_text(one) for one in node.find("dt")]
    said = [_text(one) for one in node.find("dd")]
    rows = tuple((Cell(text=name, head=True), Cell(text=text)) for name, text in zip(names, said, strict=True))
    if rows:
        yield Table(head=(), blocks=(rows,), wordy=True)


def _table(node: _Node) -> Table:
    head = tuple(_row(row) for part in node.find("thead") for row in part.find("tr"))
    bodies = list(node.find("tbody")) or [node]
    blocks = tuple(tuple(_row(row) for row in part.find("tr")) for part in bodies)
    return Table(head=head, blocks=tuple(block for block in blocks if block), wordy="text" in node.classes)


def _row(node: _Node) -> Row:
    return tuple(
        Cell(
            text=_text(cell),
            columns=int(cell.attributes.get("colspan", "1")),
            rows=int(cell.attributes.get("rowspan", "1")),
            head=cell.tag == "th",
        )
        for cell in node.children
        if isinstance(cell, _Node) and cell.tag in ("th", "td") and cell.on_paper
    )


def _figure(node: _Node) -> Iterator[Block]:
    """Its name is what `plot_of` puts before each id."""
    for group in node.find("g"):
        if group.attributes.get("id", "").endswith("-figure_1"):
            name = group.attributes["id"].removesuffix("-figure_1")
            yield Figure(name=name, alt=node.attributes.get("aria-label", ""))
            return


def _picture(node: _Node) -> Iterator[Block]:
    found = re.match(r"data:image/(png|jpeg);base64,", node.attributes.get("src", ""))
    if found:
        content = base64.b64decode(node.attributes["src"][found.end() :])
        yield Picture(content=content, ending=found[1], alt=node.attributes.get("alt", ""))


# --- inline text

_JOINED = " ([“‘/−–-"  # what belongs to the word after it


def _text(node: _Node) -> Text:
    """The words of a node, white space as a browser shows it."""
    joined: list[Words] = []
    for words in _words(node, Words(text="")):
        text = re.sub(r"[ \t\n]+", " ", words.text.replace("\u00ad", ""))
        if not joined or joined[-1].text.endswith(" "):
            text = text.lstrip(" ")
        elif joined[-1].text[-1] not in _JOINED and text[:1].isalnum():
            text = f" {text}"  # the page parts them by their place
        if text and joined and _kind(joined[-1]) == _kind(words):
            joined[-1] = _with(joined[-1], joined[-1].text + text)
        elif text:
            joined.append(_with(words, text))
    if joined:
        joined[-1] = _with(joined[-1], joined[-1].text.rstrip(" "))
    return tuple(words for words in joined if words.text)


def _words(node: _Node, outer: Words) -> Iterator[Words]:
    for child in node.children:
        if isinstance(child, str):
            yield _with(outer, child)
        elif child.tag == "br":
            yield _with(outer, " ")
        elif "out" in child.classes:  # on the page it stands between two steps of the flow
            yield _with(outer, f"({plain(_text(child))}) ")
        elif child.on_paper:
            inner = Words(
                text="",
                bold=outer.bold or child.tag in ("b", "strong"),
                code=outer.code or child.tag == "code",
                link=child.attributes.get("href", "") if child.tag == "a" else outer.link,
            )
            yield from _words(child, inner)


def _strings(node: _Node) -> Iterator[str]:
    for child in node.children:
        if isinstance(child, str):
            yield child
        else:
            yield from _strings(child)


def _kind(words: Words) -> tuple[bool, bool, str]:
    return words.bold, words.code, words.link


def _with(words: Words, text: str) -> Words:
    return Words(text=text, bold=words.bold, code=words.code, link=words.link)
