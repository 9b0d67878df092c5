"""How a command that fails ends: any exception becomes one line without paths or patient data, and a status."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass

import typer

from pefuse.errors import PefuseError
from pefuse.storage import disk_error

__all__ = ["Failure", "explain_failure"]


@dataclass(frozen=True, kw_only=True)
class Failure:
    """The line for the user (may be empty), the exit status, and whether `--debug` shows a traceback for it."""

    line: str
    status: int = 1
    traceback: bool = True

    @classmethod
    def stopped(cls) -> Failure:
        """Ctrl-C."""
        return cls(
            line="Stopped. Nothing half-written was left; what is finished is kept for the same command.",
            status=130,
            traceback=False,
        )


def explain_failure(error: BaseException) -> Failure:
    """What to tell the user about an exception that reached the door."""
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Failure.stopped()
    if isinstance(error, BrokenPipeError):
        return Failure(line="", traceback=False)  # the reader of our output, such as `head`, had enough
    if isinstance(error, typer.TyperException):
        return Failure(line=_one_line(_usage_line(error)), traceback=False)
    if isinstance(error, PefuseError):
        return Failure(line=_one_line(str(error)))
    return Failure(line=_mendable_line(error) or _fault_line(error))


def _usage_line(error: typer.TyperException) -> str:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "pefuse"
    return f"{error.format_message().rstrip('.')}. Try `{command} --help`."


def _mendable_line(error: BaseException) -> str:
    return _storage_line(error) or _memory_line(error) or _import_line(error)


def _storage_line(error: BaseException) -> str:
    for cause in _causes(error):
        if isinstance(cause, PefuseError):
            return _one_line(str(cause))
        mended = disk_error(cause)
        if mended is not None:
            return str(mended)
    return ""


def _memory_line(error: BaseException) -> str:
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower():
        return "The memory ran out: close other programs, or use a smaller grid or fewer jobs."
    return ""


def _import_line(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and not str(error.name or "pefuse").startswith("pefuse"):
        return "A package that pefuse needs is missing or broken: `pefuse doctor` says which."
    return ""


def _fault_line(error: BaseException) -> str:
    """A fault of ours: its kind and our line of code, never its text: that may hold a path or a patient's data."""
    return (
        f"pefuse failed in a way that it should not ({type(error).__name__} in {_our_frame(error)}). "
        "Please report this line; --debug shows more, to be read before it is passed on."
    )


def _our_frame(error: BaseException) -> str:
    """The innermost line of the package in the traceback, as `pefuse/ct/reader.py:12`."""
    ours = [
        f"pefuse/{frame.filename.replace(chr(92), '/').rpartition('/pefuse/')[2]}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if "/pefuse/" in frame.filename.replace(chr(92), "/")
    ]
    return ours[-1] if ours else "another package"


def _causes(error: BaseException | None) -> list[BaseException]:
    """The exception and those that it came from, outermost first."""
    chain: list[BaseException] = []
    while error is not None and error not in chain:
        chain.append(error)
        error = error.__cause__ or error.__context__
    return chain


_PATH = re.compile(r"""(?<![^\s'"(=:,])(?:~|[A-Za-z]:)?(?:[/\\][^\s'"(),;:/\\]+){2,}[/\\]?""")


def _one_line(text: str) -> str:
    """One line, its absolute paths struck out: folders are often named after patients."""
    return _PATH.sub("(path)", " ".join(text.split()))
