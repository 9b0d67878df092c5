"""The report as a LaTeX document with booktabs tables and the figures as PDF; `pdflatex report.tex` makes it."""

from __future__ import annotations

from collections.abc import Iterator

from pefuse.report.escaping import latex_text
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
    grid,
)

__all__ = ["as_latex"]

LONG = 38  # rows that fit on a page; a longer table is broken over pages

_PREAMBLE = r"""% Made by pefuse. Compile with: pdflatex report.tex (twice, for the references)
\documentclass[a4paper,10pt]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{}
\usepackage[margin=18mm]{geometry}
\usepackage{array,booktabs,longtable,graphicx}
\usepackage[hidelinks]{hyperref}
\setlength{\parindent}{0pt}\setlength{\parskip}{5pt}
\newsavebox{\widebox}
% A table that is too wide for the page is made smaller.
\newcommand{\fitted}[1]{\sbox{\widebox}{#1}\ifdim\wd\widebox>\linewidth
  \resizebox{\linewidth}{!}{\usebox{\widebox}}\else\usebox{\widebox}\fi}
\newcommand{\note}[1]{{\footnotesize #1\par}}
"""
_FIGURE = r"\includegraphics[width=0.48\linewidth]{{figures/{name}.pdf}}"
_LEVELS = {2: "section*", 3: "subsection*", 4: "subsubsection*"}


def as_latex(document: Document, pictures: dict[int, str]) -> str:
    """The source. It includes `figures/<name>.pdf`, and each picture where `pictures` says, by its identity."""
    anchors = {part.name for part in document.parts}
    lines = [_PREAMBLE, rf"\title{{{latex_text(document.title)}}}", r"\date{}", r"\begin{document}", r"\maketitle"]
    lines += [rf"\textbf{{{latex_text(banner)}}}" + "\n" for banner in document.banners]
    lines += [_inline(about, anchors) + "\n" for about in document.about]
    for part in document.parts:
        lines.append(rf"\phantomsection\hypertarget{{{part.name}}}{{}}")
        lines += _written(part.blocks, pictures, anchors)
    return "\n".join([*lines, rf"\note{{{latex_text(document.footer)}}}", r"\end{document}"]) + "\n"


def _written(blocks: tuple[Block, ...], pictures: dict[int, str], anchors: set[str]) -> Iterator[str]:
    """Blocks one by one, but figures that follow one another two a line."""
    figures: list[Figure] = []
    for block in blocks:
        if isinstance(block, Figure):
            figures.append(block)
            continue
        yield from _figures(figures)
        figures = []
        yield _block(block, pictures, anchors)
    yield from _figures(figures)


def _figures(figures: list[Figure]) -> Iterator[str]:
    for place in range(0, len(figures), 2):
        pair = (_FIGURE.format(name=one.name) for one in figures[place : place + 2])
        yield "\\hfill\n".join(pair) + "\n"


def _block(block: Block, pictures: dict[int, str], anchors: set[str]) -> str:
    match block:
        case Heading(level, text):
            return rf"\{_LEVELS[level]}{{{_inline(text, anchors)}}}"
        case Paragraph(text, note):
            body = _inline(text, anchors)
            return (rf"\note{{{body}}}" if note else body) + "\n"
        case Listing(items):
            rows = "\n".join(rf"\item {{}}{_inline(item, anchors)}" for item in items)
            return f"\\begin{{itemize}}\n{rows}\n\\end{{itemize}}" if items else ""
        case Table():
            return _table(block, anchors)
        case Picture():
            return rf"\includegraphics[width=\linewidth]{{{pictures[id(block)]}}}" + "\n"
        case Preformatted(text):
            return f"{{\\scriptsize\n\\begin{{verbatim}}\n{_verbatim(text)}\n\\end{{verbatim}}\n}}"
        case Callout(blocks):
            inner = "\n".join(_written(blocks, pictures, anchors))
            return f"\\begin{{quote}}\n{inner}\n\\end{{quote}}"
        case Figure():
            raise TypeError("figures are written by _figures")


def _table(table: Table, anchors: set[str]) -> str:
    width = table.width
    if not width:
        return ""
    rows = sum(len(block) for block in table.blocks)
    broken = table.wordy or rows > LONG
    columns = _worded_columns(table) if table.wordy else "l" + "r" * (width - 1)
    head = [_line(row, anchors) for row in _whole(table.head)]
    body = [line for place, block in enumerate(table.blocks) for line in _lines(block, place, anchors)]
    lines = [
        r"\toprule",
        *head,
        *([r"\midrule"] if head else []),
        *([r"\endhead"] if broken and head else []),
        *body,
    ]
    inside = "\n".join([*lines, r"\bottomrule"])
    if broken:
        size = r"\footnotesize" if width < 8 else r"\tiny"
        table_text = f"\\begin{{longtable}}{{{columns}}}\n{inside}\n\\end{{longtable}}"
        return f"{{{size}\\setlength{{\\tabcolsep}}{{3pt}}\n{table_text}}}"
    return (
        f"{{\\small\\setlength{{\\tabcolsep}}{{4pt}}\n\\fitted{{\\begin{{tabular}}{{{columns}}}\n{inside}\n"
        "\\end{tabular}}\\par}"
    )


def _lines(block: tuple[Row, ...], place: int, anchors: set[str]) -> Iterator[str]:
    if place:
        yield r"\midrule"
    for row in block:
        yield _line(row, anchors)


def _whole(rows: tuple[Row, ...]) -> Iterator[Row]:
    """Rows of a head without cells that reach down: those stand in the last row they reach."""
    table = grid(rows)
    for place, row in enumerate(table):
        seen: list[Cell] = []
        for column, cell in enumerate(row):
            if column and row[column - 1] is cell:
                continue
            below = place + 1 < len(table) and table[place + 1][column] is cell
            text = () if below else cell.text
            seen.append(Cell(text=text, columns=cell.columns, head=True))
        yield tuple(seen)


def _line(row: Row, anchors: set[str]) -> str:
    return " & ".join(_cell(cell, anchors) for cell in row) + r" \\"


def _cell(cell: Cell, anchors: set[str]) -> str:
    body = _inline(cell.text, anchors)
    if cell.columns == 1:
        # An opening bracket after the end of a row would be read as an amount of space.
        return f"{{}}{body}" if body.startswith(("[", "*")) else body
    return rf"\multicolumn{{{cell.columns}}}{{{'c' if cell.head and cell.text else 'l'}}}{{{body}}}"


def _worded_columns(table: Table) -> str:
    """Columns of sentences share the line by how much stands in them."""
    needs = [4.0] * table.width
    for row in [*table.head, *(row for block in table.blocks for row in block)]:
        if len(row) == table.width:
            for place, cell in enumerate(row):
                length = sum(len(words.text) for words in cell.text)
                needs[place] = max(needs[place], min(length, 120) ** 0.8)
    shares = [0.93 * need / sum(needs) for need in needs]
    return "".join(rf">{{\raggedright\arraybackslash}}p{{{share:.3f}\linewidth}}" for share in shares)


def _verbatim(text: str) -> str:
    """As it stands, but for signs that the encoding lacks."""
    return "".join(sign if ord(sign) < 0x180 else "?" for sign in text).replace("\\end{verbatim}", "end verbatim")


def _inline(text: Text, anchors: set[str]) -> str:
    return "".join(_words(words, anchors) for words in text)


def _words(words: Words, anchors: set[str]) -> str:
    body = latex_text(words.text)
    if words.code:
        body = rf"\texttt{{{body}}}"
    if words.bold:
        body = rf"\textbf{{{body}}}"
    if words.link.startswith("#") and words.link[1:] in anchors:
        body = rf"\hyperlink{{{words.link[1:]}}}{{{body}}}"
    return body
