"""The command `pefuse`: its verbs, and how it ends.

    exit 0      done
    exit 1      one line on stderr that says what is wrong and what to do
    exit 130    stopped with Ctrl-C, or by a scheduler's SIGTERM

Only typer and rich are imported before a verb runs, so that `pefuse --help` answers at once.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import warnings
from collections.abc import Sequence

import typer

from pefuse.cli.checking import check
from pefuse.cli.data import prepare, simulate
from pefuse.cli.demo import demo
from pefuse.cli.doctor import doctor
from pefuse.cli.explaining import explain
from pefuse.cli.failure import Failure, explain_failure
from pefuse.cli.importing import importing
from pefuse.cli.learn import compare, fit
from pefuse.cli.options import DebugState
from pefuse.cli.results import report
from pefuse.cli.scoring import score

__all__ = ["app", "main"]

app = typer.Typer(
    name="pefuse",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (demo, simulate, check, score, prepare, compare, fit, explain, report, doctor):
    app.command()(verb)
app.add_typer(importing, name="import")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"pefuse {version('pefuse')}")
        raise typer.Exit


@app.callback()
def door(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Predict 30-day death after acute pulmonary embolism from a CT pulmonary angiogram and the patient's record.

    Research use only: not a medical device.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave the process with its exit status."""
    # A scheduler's wish to stop is heard as Ctrl-C: partial files are removed and the workers end.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:] if arguments is None else list(arguments)))


def run(arguments: list[str]) -> int:
    """Run one command; its exit status."""
    debug = DebugState()
    if "--debug" not in arguments:
        _silence_libraries()
    try:
        command = typer.main.get_command(app)
        status = command.main(args=arguments or ["--help"], prog_name="pefuse", standalone_mode=False, obj=debug)
    except (Exception, KeyboardInterrupt) as error:
        failure = explain_failure(error)
        if debug.on and failure.traceback:
            raise
        return _say(failure)
    return _say(Failure.stopped()) if status == Failure.stopped().status else int(status or 0)


def _say(failure: Failure) -> int:
    if failure.line:
        typer.echo(f"Error: {failure.line}" if failure.status == 1 else failure.line, err=True)
    return failure.status


def _silence_libraries() -> None:
    """Keep other packages' warnings off the terminal: a DICOM reader's quote patients' data and files' paths."""
    warnings.simplefilter("ignore")
    os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for the worker processes
    logging.getLogger().addHandler(logging.NullHandler())
