"""What the documents tell a reader to type exists: commands, options, make targets, links and Python."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from pefuse.cli.door import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("examples/**/*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("dev/**/*.md")]
)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def blocks(path: Path, *languages: str) -> list[str]:
    """The fenced blocks of a document that are in one of the languages."""
    return [text for language, text in FENCE.findall(path.read_text(encoding="utf-8")) if language in languages]


def command_lines(block: str, *, prompted: bool) -> Iterator[str]:
    """What is typed: in a console block only lines with a prompt, continued lines joined."""
    for line in block.replace("\\\n", " ").splitlines():
        if prompted and not line.startswith("$ "):
            continue
        text = line.removeprefix("$ ").split(" # ")[0].strip()
        if text and not text.startswith("#"):
            yield text


def commands() -> list[tuple[str, str]]:
    """Each command of the documents, with the name of its document."""
    found = [
        (path.name, line)
        for path in DOCUMENTS
        for language in ("bash", "sh", "console")
        for block in blocks(path, language)
        for line in command_lines(block, prompted=language == "console")
    ]
    return list(dict.fromkeys(found))


def pefuse_commands() -> list[tuple[str, str]]:
    return [(name, line) for name, line in commands() if re.match(r"(\.venv/bin/)?pefuse\b", line)]


def parse(line: str) -> None:
    """Read a command as the CLI would, without running it; raises if the CLI would refuse it."""
    words = shlex.split(line)[1:]
    group = typer.main.get_command(app)
    verb = group.commands[words[0]]  # type: ignore[attr-defined]
    verb.make_context(words[0], words[1:])


@pytest.mark.parametrize(("document", "line"), pefuse_commands())
def test_a_pefuse_command_is_one_that_the_cli_takes(document: str, line: str) -> None:
    """Its verb exists, its options too, their values are of the right kind and nothing needed is left out."""
    parse(line)


@pytest.mark.parametrize("line", ["pefuse compair X", "pefuse prepare X --grit 3", "pefuse compare X"])
def test_the_check_itself_finds_what_is_wrong(line: str) -> None:
    with pytest.raises((KeyError, typer.TyperException)):
        parse(line)


def test_the_documents_show_every_verb() -> None:
    """A verb that no document shows would not be found by a reader."""
    shown = {shlex.split(line)[1] for _, line in pefuse_commands()}
    targets = {line for _, line in commands() if line.startswith("make ")}
    verbs = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]

    assert verbs - shown - {"demo"} == set()  # `make demo` runs it
    assert "make demo" in targets


@pytest.mark.parametrize(("document", "line"), [(name, line) for name, line in commands() if "make " in line])
def test_a_make_command_names_a_target(document: str, line: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    words = [word for word in shlex.split(line)[1:] if "=" not in word]

    assert set(words) <= targets


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Links to files of the project; the web is not asked."""
    targets = [link.split("#")[0] for link in LINK.findall(path.read_text(encoding="utf-8"))]
    local = [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]

    assert [target for target in local if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_documents_uses_names_that_exist(path: Path) -> None:
    """Each block is valid Python, and what it takes from `pefuse` is there."""
    pefuse = pytest.importorskip("pefuse")
    for block in blocks(path, "python"):
        for node in ast.walk(ast.parse(block)):
            match node:
                case ast.Attribute(value=ast.Name(id="pefuse"), attr=name):
                    assert name in pefuse.__all__
