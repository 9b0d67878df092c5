"""The door: what a person or a script sees of each verb, above all when something is wrong."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from pefuse.cli import learn
from pefuse.cli.door import run
from pefuse.cli.failure import explain_failure
from pefuse.cli.output import print_json
from pefuse.cli.progress import Pace, ProgressLines
from pefuse.errors import CohortError
from pefuse.models import ZOO

VERBS = ("demo", "simulate", "check", "prepare", "compare", "fit", "report", "doctor")


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def error_lines(self) -> list[str]:
        return self.err.strip().splitlines()


@pytest.fixture
def pefuse(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """Run a command in this process."""
    door = importlib.import_module("pefuse.cli.door")
    monkeypatch.setattr(door, "_silence_libraries", lambda: None)  # tests keep their warnings
    monkeypatch.setenv("COLUMNS", "200")

    def run_command(*arguments: object) -> Outcome:
        status = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Outcome(status, captured.out, captured.err)

    return run_command


def test_help_lists_every_verb(pefuse: Callable[..., Outcome]) -> None:
    """With --help, and with nothing at all."""
    for arguments in (["--help"], ["-h"], []):
        outcome = pefuse(*arguments)

        assert outcome.status == 0
        assert [verb for verb in VERBS if re.search(rf"\b{verb}\b", outcome.out)] == list(VERBS)
        assert "not a medical device" in outcome.out


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_json_and_debug(pefuse: Callable[..., Outcome], verb: str) -> None:
    outcome = pefuse(verb, "--help")

    assert outcome.status == 0
    assert "--json" in outcome.out
    assert "--debug" in outcome.out


def test_help_needs_neither_torch_nor_pandas() -> None:
    """They take seconds to import: only the verb that needs them may."""
    code = (
        "import sys; from pefuse.cli.door import run; run(['--help']); "
        "heavy = {'torch', 'pandas', 'numpy', 'scipy', 'sklearn', 'pydicom', 'matplotlib', 'psutil', 'yaml'}; "
        "sys.exit(','.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.stderr.strip() == ""
    assert done.returncode == 0


def test_version_is_the_installed_one(pefuse: Callable[..., Outcome]) -> None:
    assert pefuse("--version").out.strip() == f"pefuse {importlib.import_module('pefuse').__version__}"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["compair"], "Did you mean 'compare'"),
        (["compare", "X", "--fodls", "3"], "--folds"),
        (["compare", "X"], "--out"),
        (["prepare"], "COHORT"),
        (["prepare", "X", "Y"], "unexpected"),
        (["prepare", "X", "--grid", "many"], "--grid"),
        (["prepare", "X", "--grid", "2"], "--grid"),
        (["compare", "X", "--out", "Y", "--seed", "1", "--seeds", "2"], "--seeds"),
        (["compare", "X", "--out", "Y", "--models", "resnet"], "resnet"),
        (["compare", "X", "--out", "Y", "--models", " ,"], "--models names no model"),
        (["compare", "X", "--out", "Y", "--preset", "best"], "best"),
        (["compare", "X", "--out", "Y", "--set", "depth=3"], "depth"),
        (["compare", "X", "--out", "Y", "--set", "folds=0"], "folds"),
        (["fit", "X", "--out", "Y", "--model", "resnet"], "resnet"),
        (["report", "X"], "run"),
        (["prepare", "X"], "folder"),
        (["compare", "X", "--out", "Y"], "folder"),
        (["doctor", "--folder", "X"], "folder"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_users_error_is_one_line_and_exit_1(
    pefuse: Callable[..., Outcome], tmp_path: Path, arguments: list[str], said: str
) -> None:
    """It names what is wrong, never a folder: folders are often named after patients."""
    folders = {"X": tmp_path / "nobody_jane", "Y": tmp_path / "out"}
    outcome = pefuse(*(folders.get(argument, argument) for argument in arguments))

    assert outcome.status == 1
    assert len(outcome.error_lines) == 1
    assert said in outcome.err
    assert outcome.out == ""
    assert "nobody_jane" not in outcome.err
    assert str(tmp_path) not in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(pefuse: Callable[..., Outcome], tmp_path: Path) -> None:
    """Wherever the error comes from, but not for a mistyped option."""
    with pytest.raises(importlib.import_module("pefuse.errors").PefuseError):
        pefuse("doctor", "--folder", tmp_path / "missing", "--debug")

    assert pefuse("doctor", "--nonsense", "--debug").status == 1


def fallen_from(error: Exception) -> Exception:
    """The error as it arrives when raised while another one was handled."""
    try:
        try:
            raise error
        except Exception as cause:
            raise RuntimeError("worker failed") from cause
    except RuntimeError as outer:
        return outer


@pytest.mark.parametrize("out", ["afile", "afile/below"])
def test_an_output_folder_that_is_a_file_is_told_as_such(
    out: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "afile").write_text("mine")
    status = run(["simulate", out, "--patients", "20", "--matrix", "32", "--slices", "24"])

    assert status == 1
    assert "A file stands where a folder is needed" in capsys.readouterr().err
    assert (tmp_path / "afile").read_text() == "mine"


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device", "/data/jane_doe/x.npy"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
    ids=["python", "another library"],
)
def test_a_full_disk_is_told_as_such(error: Exception) -> None:
    for arrived in (error, fallen_from(error)):
        failure = explain_failure(arrived)

        assert "disk is full" in failure.line
        assert "jane" not in failure.line
        assert failure.status == 1


def test_a_fault_of_ours_tells_its_kind_and_nothing_of_its_text() -> None:
    """The text of any exception may quote a file's content."""
    failure = explain_failure(KeyError("Jane Doe 1950-01-01 /data/jane"))

    assert "KeyError" in failure.line
    assert "Jane" not in failure.line
    assert "\n" not in failure.line
    assert failure.status == 1


def test_absolute_paths_are_struck_from_messages_and_units_are_not() -> None:
    message = (
        "Study 12: potassium 4 mmol/L; lactate mg/dL/h in /data/jane doe/x.csv, (C:\\scans\\jane\\1.dcm)\nagain"
    )

    line = explain_failure(CohortError(message)).line

    assert line.startswith("Study 12: potassium 4 mmol/L; lactate mg/dL/h in (path)")
    assert "C:" not in line
    assert line.count("\n") == 0


def test_a_reader_that_has_enough_is_no_error() -> None:
    """`pefuse doctor | head -1` must not complain."""
    assert explain_failure(BrokenPipeError()).line == ""


def test_ctrl_c_is_one_line_and_exit_130(
    pefuse: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def stopped(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("pefuse.cli.doctor"), "examine", stopped)
    outcome = pefuse("doctor", "--folder", tmp_path)

    assert outcome.status == 130
    assert len(outcome.error_lines) == 1


def test_doctor_finds_this_machine_fit(pefuse: Callable[..., Outcome], tmp_path: Path) -> None:
    """Every needed package and codec is here, else these tests could not run; and it leaves nothing behind."""
    outcome = pefuse("doctor", "--folder", tmp_path, "--json")
    result = json.loads(outcome.out)
    names = {finding["name"] for finding in result["findings"]}

    assert outcome.status == 0
    assert result["good"]
    assert {"Python", "torch", "cores", "memory", "disk", "writing", "DICOM RLE lossless"} <= names
    assert str(tmp_path) not in outcome.out
    assert list(tmp_path.iterdir()) == []


def test_doctor_exits_1_with_a_line_for_each_thing_missing(
    pefuse: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = importlib.import_module("pefuse.cli.doctor")
    monkeypatch.setattr(module, "tested_versions", lambda: {"no-such-package": "1.0", "numpy": "0.1"})
    outcome = pefuse("doctor", "--folder", tmp_path)

    assert outcome.status == 1
    assert outcome.error_lines == ["no-such-package: not installed. pip install no-such-package==1.0"]
    assert "Tested with 0.1" in outcome.out


def test_a_codec_that_decodes_wrongly_is_found_out() -> None:
    """The sample must come back value by value, not just without an error."""
    module = importlib.import_module("pefuse.cli.doctor")
    rle = "1.2.840.10008.1.2.5"
    frame = module.codec_samples()[rle]
    damaged = frame[:-1] + bytes([frame[-1] ^ 1])

    assert module.decode_sample(rle, frame)
    assert not module.decode_sample(rle, damaged)
    assert not module.decode_sample(rle, b"")


def test_json_has_null_for_what_json_cannot_say(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"auc": float("nan"), "rows": [{"n": 3, "ok": True, "path": Path("a/b")}]})

    assert json.loads(capsys.readouterr().out) == {"auc": None, "rows": [{"n": 3, "ok": True, "path": "a/b"}]}


def test_progress_in_a_log_is_one_line_at_the_end_of_each_task(capsys: pytest.CaptureFixture[str]) -> None:
    """Not a line a step: 300 studies would bury the result."""
    progress = ProgressLines()
    for done in range(301):
        progress("scans", done, 300)
    progress("scans", 300, 300)
    captured = capsys.readouterr()

    assert captured.err.splitlines() == ["scans: 300 of 300"]
    assert captured.out == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "2 a second, 0:00:10 left"), (40, "4 s each, 0:01:20 left"), (0, "")]
)
def test_progress_tells_the_pace_and_what_is_left(monkeypatch, seconds, text):
    """10 of 30 done since it began, then 20 are left."""
    clock = iter([100.0, 100.0 + seconds])
    monkeypatch.setattr("pefuse.cli.progress.time.monotonic", lambda: next(clock))
    pace = Pace(0)
    assert pace.text(10, 30) == text


def hear_ctrl_c() -> None:
    """A shell starts background jobs, this test run among them, deaf to SIGINT, and children inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_help_names_every_model():
    assert learn.MODELS.split(", ") == list(ZOO)


def test_a_size_and_full_size_contradict_each_other(pefuse):
    outcome = pefuse("simulate", "cohort", "--full-size", "--matrix", "64")
    assert outcome.status == 1
    assert "leave out --matrix and --slices" in outcome.error_lines[0]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals")
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_in_the_middle_leaves_nothing_half_written(stop: signal.Signals, tmp_path: Path) -> None:
    """While scans are being written: one line, 130, no partial file or folder, and no worker that goes on."""
    command = [sys.executable, "-m", "pefuse", "simulate", "cohort", "--patients", "1000"]
    process = subprocess.Popen(
        [*command, "--matrix", "64", "--slices", "32", "--jobs", "2"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,
    )
    assert process.stderr is not None
    first = process.stderr.readline()
    begun = [path.name for path in tmp_path.iterdir()]
    # A terminal sends Ctrl-C to the whole group, a scheduler may end the one process that it started.
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)
    else:
        process.send_signal(stop)
    _, rest = process.communicate(timeout=120)

    assert re.fullmatch(r"simulate scans: \d+ of 1000(, .* left)?\n", first)
    assert len(begun) == 1  # it was at work
    assert process.returncode == 130
    assert rest.splitlines()[-1].startswith("Stopped.")
    assert "Traceback" not in rest
    assert list(tmp_path.iterdir()) == []
    assert all_gone(process.pid, within_s=20)


def all_gone(group: int, *, within_s: float) -> bool:
    """Whether every process of the group ends in time."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
