"""The report in other forms than HTML, beside the page that they are made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

from pefuse.errors import UsageError
from pefuse.report.formats.document import Block, Callout, Document, Figure, Picture, read_page
from pefuse.report.formats.latex import as_latex
from pefuse.report.formats.markdown import as_markdown
from pefuse.report.formats.pdf import compile_pdf, figure_pdf, load_typst
from pefuse.report.formats.typst_source import as_typst
from pefuse.storage import atomic_file, write_text

__all__ = ["FORMATS", "check_formats", "parse_formats", "write_formats"]

FORMATS = ("html", "md", "tex", "pdf")
PICTURES = "pictures"


def parse_formats(text: str) -> tuple[str, ...]:
    """`md,pdf` as its parts, each once.

    Raises:
        UsageError: one that we do not write.
    """
    named = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not named:
        raise UsageError(f"No format is named: there are {', '.join(FORMATS)}.")
    if strange := [name for name in named if name not in FORMATS]:
        raise UsageError(f'There is no format "{strange[0]}": there are {", ".join(FORMATS)}.')
    return tuple(dict.fromkeys(named))


def check_formats(formats: Iterable[str]) -> None:
    """Find out before anything is computed whether these formats can be written.

    Raises:
        UsageError: a package that one of them needs is not installed.
    """
    if {"tex", "pdf"} & set(formats):
        load_typst()


def write_formats(html: str, run: Path, formats: Iterable[str]) -> tuple[Path, ...]:
    """Write `report.md`, `report.tex` and `report.pdf` of a finished page, whose figures lie in `run/figures`.

    Those that are not asked for are taken away: they would tell of an older report.

    Returns:
        The paths, in the order asked for, without that of the page.

    Raises:
        UsageError: a format needs a package that is not installed.
    """
    wanted = [name for name in formats if name != "html"]
    for name in _WRITERS:
        if name not in wanted:
            (run / f"report.{name}").unlink(missing_ok=True)
    if not wanted:
        return ()
    document = read_page(html)
    pictures = _write_pictures(document, run)
    return tuple(_WRITERS[name](document, pictures, run) for name in wanted)


def _markdown(document: Document, pictures: dict[int, str], run: Path) -> Path:
    write_text(run / "report.md", as_markdown(document, pictures))
    return run / "report.md"


def _latex(document: Document, pictures: dict[int, str], run: Path) -> Path:
    for figure in _figures(document):
        _write_bytes(
            run / "figures" / f"{figure}.pdf", figure_pdf((run / "figures" / f"{figure}.svg").read_bytes())
        )
    write_text(run / "report.tex", as_latex(document, pictures))
    return run / "report.tex"


def _pdf(document: Document, pictures: dict[int, str], run: Path) -> Path:
    names = [f"figures/{figure}.svg" for figure in _figures(document)] + list(pictures.values())
    made = compile_pdf(as_typst(document, pictures), {name: (run / name).read_bytes() for name in names})
    _write_bytes(run / "report.pdf", made)
    return run / "report.pdf"


_WRITERS: dict[str, Callable[[Document, dict[int, str], Path], Path]] = {
    "md": _markdown,
    "tex": _latex,
    "pdf": _pdf,
}


def _write_pictures(document: Document, run: Path) -> dict[int, str]:
    """The pictures of the page as files, named by their content; where each lies, by its identity."""
    written = {}
    for block in _all_blocks(document):
        if isinstance(block, Picture):
            name = f"{PICTURES}/{hashlib.sha256(block.content).hexdigest()[:16]}.{block.ending}"
            _write_bytes(run / name, block.content)
            written[id(block)] = name
    ours = {Path(name).name for name in written.values()}
    for path in (run / PICTURES).glob("*.*"):
        if path.name not in ours:
            path.unlink()  # of a report that was built before
    return written


def _figures(document: Document) -> list[str]:
    return [block.name for block in _all_blocks(document) if isinstance(block, Figure)]


def _all_blocks(document: Document) -> list[Block]:
    return [block for part in document.parts for block in _with_inner(part.blocks)]


def _with_inner(blocks: tuple[Block, ...]) -> list[Block]:
    found: list[Block] = []
    for block in blocks:
        found.append(block)
        if isinstance(block, Callout):
            found += _with_inner(block.blocks)
    return found


def _write_bytes(path: Path, content: bytes) -> None:
    with atomic_file(path) as partial:
        partial.write_bytes(content)
