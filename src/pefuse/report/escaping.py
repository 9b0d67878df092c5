"""Text as Markdown, LaTeX and Typst take it: what has a meaning there loses it."""

from __future__ import annotations

import re

__all__ = ["latex_text", "markdown_cell", "typst_string"]

_MARKDOWN = re.compile(r"([\\`*|<]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|\](?=[(\[]))")
_LATEX = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # What a LaTeX without Unicode fonts lacks, or reads otherwise.
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "→": r"$\rightarrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    '"': "''",
    "\u202f": r"\,",
    "\u00a0": "~",
    "\u00ad": r"\-",
    "·": r"$\cdot$",
    "°": r"$^{\circ}$",
    "µ": r"$\mu$",
    "μ": r"$\mu$",
    "²": r"$^{2}$",
    "³": r"$^{3}$",
    "½": r"$\frac{1}{2}$",
}


def markdown_cell(text: str) -> str:
    """One line of plain text for a cell of a Markdown table."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def latex_text(text: str) -> str:
    """Plain text for LaTeX in the encodings utf8 and T1; a sign that T1 lacks becomes a question mark."""
    return "".join(_latex_sign(sign) for sign in text)


def _latex_sign(sign: str) -> str:
    if sign in _LATEX:
        return _LATEX[sign]
    # T1 holds the letters of the European languages in Latin script.
    return sign if ord(sign) < 0x180 else "?"


def typst_string(text: str) -> str:
    """A string literal of Typst: nothing in it is markup."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
