"""The page of `pefuse check`: one offline HTML file, written row by row so that memory does not grow with it."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from pefuse.audit.record_checks import RecordAudit
from pefuse.audit.row import GROUPS, Row
from pefuse.audit.thumbnails import WINDOWS_HU, Thumbnail
from pefuse.audit.worry import KINDS, WORRYING
from pefuse.report.wording import counted, without_paths
from pefuse.storage import atomic_file
from pefuse.types import DEATH

__all__ = ["PageHead", "Refusals", "is_page", "remove_partial_pages", "write_page"]

_MARK = b'<meta name="generator" content="pefuse check">'
_MOST_CODES = 40
_MOST_REASONS = 5  # of one step; the rest is counted together
_OF_SEVERAL = re.compile(r"^None of \d+ series is usable\. The \w+: ")  # ct/scan.py, before the reason of one
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


@dataclass(frozen=True, kw_only=True)
class Refusals:
    """What one step put in quarantine: how many, and by which reasons, the commonest first."""

    step: str
    count: int
    reasons: tuple[tuple[str, int], ...]
    others: int


@dataclass(frozen=True, kw_only=True)
class PageHead:
    """What the page says before its rows."""

    cohort: str
    simulated: bool
    outcome: str
    groups: tuple[tuple[str, int], ...]
    refusals: tuple[Refusals, ...]
    record: RecordAudit

    @classmethod
    def of(
        cls,
        rows: Sequence[Row],
        *,
        cohort: str,
        simulated: bool,
        outcome: str = DEATH,
        record: RecordAudit | None = None,
    ) -> PageHead:
        """Count the rows; `cohort` is its name, `record` what was found in its studies and record."""
        groups = Counter(row.group for row in rows)
        return cls(
            cohort=cohort,
            simulated=simulated,
            outcome=outcome,
            groups=tuple((group, groups[group]) for group in GROUPS),
            refusals=_refusals(rows),
            record=record or RecordAudit(),
        )

    @property
    def studies(self) -> int:
        return sum(count for _, count in self.groups)

    def codes(self, *, known: bool) -> list[dict[str, Any]]:
        """The commonest codes that have a meaning here, or those that have none."""
        if self.record.codes is None:
            return []
        codes = self.record.codes
        told_elsewhere = codes["code"].str.startswith("MEDS_")  # births and deaths
        table = codes[((codes["kind"] != "") == known) & ~told_elsewhere]
        return [
            {str(name): cell for name, cell in row.items()} for row in table.head(_MOST_CODES).to_dict("records")
        ]


def write_page(path: Path, *, head: PageHead, rows: Iterable[tuple[Row, Sequence[Thumbnail]]]) -> None:
    """Write the page, whole or not at all; each row is asked for when its turn comes.

    Args:
        rows: studies in the page's order, each with its pictures (none where it has no volume).

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    script = (files("pefuse.audit") / "templates" / "check.js").read_text(encoding="utf-8")
    stream = (
        _environment()
        .get_template("check.html")
        .stream(
            head=head,
            rows=rows,
            windows=WINDOWS_HU,
            kinds=KINDS.values(),
            worrying=WORRYING,
            script=Markup(script),  # ours
            script_hash=Markup(_script_hash(script)),
        )
    )
    stream.enable_buffering(50)  # pieces of text a write
    with atomic_file(path) as partial, partial.open("wb") as file:
        stream.dump(file, encoding="utf-8")


def is_page(path: Path) -> bool:
    """Whether a file is a page that `write_page` wrote: it may be written again."""
    with path.open("rb") as file:
        return _MARK in file.read(4096)


def remove_partial_pages(page: Path) -> None:
    """What a run that was killed left beside the page."""
    for partial in page.parent.glob(f".partial-*{page.suffix}"):
        if is_page(partial) or not partial.stat().st_size:
            partial.unlink(missing_ok=True)


def _environment() -> jinja2.Environment:
    """Templates of this layer, and the report's, whose style the page shares."""
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader(
            [jinja2.PackageLoader("pefuse.audit", "templates"), jinja2.PackageLoader("pefuse.report", "templates")]
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_without_paths,
    )
    environment.filters |= {"jpeg_uri": _jpeg_uri}
    environment.globals |= {"counted": counted}
    return environment


def _refusals(rows: Sequence[Row]) -> tuple[Refusals, ...]:
    refused = [row.study for row in rows if row.group == "quarantined"]
    steps = Counter(study.step for study in refused)
    return tuple(
        _refusals_of(step, [study.reason for study in refused if study.step == step])
        for step, _ in steps.most_common()
    )


def _refusals_of(step: str, reasons: list[str]) -> Refusals:
    """A reason that occurs once is shown with its numbers."""
    alike = Counter(map(_in_general, reasons))
    first = {_in_general(reason): _OF_SEVERAL.sub("", reason) for reason in reversed(reasons)}
    most = len(alike) if len(alike) <= _MOST_REASONS + 1 else _MOST_REASONS
    shown = tuple((general if count > 1 else first[general], count) for general, count in alike.most_common(most))
    others = len(reasons) - sum(count for _, count in shown)
    return Refusals(step=step, count=len(reasons), reasons=shown, others=others)


def _in_general(reason: str) -> str:
    """A reason without its numbers and how many series there were: the same ones are counted together."""
    return _NUMBER.sub("…", _OF_SEVERAL.sub("", reason))


def _script_hash(script: str) -> str:
    """For the page's security policy: no other script runs, whatever a text may hold."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _jpeg_uri(picture: bytes) -> Markup:
    return Markup("data:image/jpeg;base64," + base64.b64encode(picture).decode())


def _without_paths(value: Any) -> Any:
    """Every text that reaches the page loses absolute paths; pictures and our own script stay as they are."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return without_paths(value)
