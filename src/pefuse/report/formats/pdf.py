"""PDF by Typst, which is one Python package without system libraries: the report, and single figures for LaTeX."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl

from pefuse.errors import UsageError

__all__ = ["compile_pdf", "figure_pdf", "load_typst"]

_FIGURE = '#set document(date: none)\n#set page(width: auto, height: auto, margin: 0pt)\n#image("figure.svg")\n'


def compile_pdf(source: str, files: dict[str, bytes]) -> bytes:
    """The PDF of a Typst source. `files`: what it reads, by the names it uses.

    Raises:
        UsageError: Typst is not installed.
    """
    typst = load_typst()
    # The fonts of the figures lie with matplotlib; the machine's own have no say: a PDF is the same anywhere.
    fonts = Path(mpl.get_data_path()) / "fonts" / "ttf"
    with tempfile.TemporaryDirectory() as folder:
        for name, content in {"main.typ": source.encode(), **files}.items():
            path = Path(folder) / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
        made: bytes = typst.compile(Path(folder) / "main.typ", font_paths=[str(fonts)], ignore_system_fonts=True)
    return made


def figure_pdf(svg: bytes) -> bytes:
    """A figure of ours as a PDF of its size.

    Raises:
        UsageError: Typst is not installed.
    """
    return compile_pdf(_FIGURE, {"figure.svg": svg})


def load_typst() -> Any:
    """The package.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import typst
    except ImportError as error:
        raise UsageError(
            "The formats pdf and tex need the package typst, which is not installed: `pip install 'pefuse[pdf]'`."
        ) from error
    return typst
