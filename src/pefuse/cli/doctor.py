"""The verb `doctor`: what is installed, what this machine can do, and what is missing."""

from __future__ import annotations

import base64
import csv
import json as json_format
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pefuse.cli.options import Debug, Json
from pefuse.cli.output import print_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Finding", "codec_samples", "decode_sample", "doctor", "examine", "sample_image", "tested_versions"]

State = Literal["good", "note", "missing"]  # "missing" is what pefuse cannot work without

HERE = Path(__file__).parent  # of the two tables that come with this file
GIB = 2**30
NEEDED_MEMORY_GIB = 4.0  # SANet at 128³, batch 2, with room for the system
NEEDED_DISK_GIB = 2.0  # the demo's cohort, prepared scans and cells
OLDEST_PYTHON = (3, 11)

SYNTAXES = {  # what CT archives hold
    "1.2.840.10008.1.2": "implicit VR little endian",
    "1.2.840.10008.1.2.1": "explicit VR little endian",
    "1.2.840.10008.1.2.2": "explicit VR big endian",
    "1.2.840.10008.1.2.1.99": "deflated",
    "1.2.840.10008.1.2.5": "RLE lossless",
    "1.2.840.10008.1.2.4.50": "JPEG baseline",
    "1.2.840.10008.1.2.4.57": "JPEG lossless",
    "1.2.840.10008.1.2.4.70": "JPEG lossless SV1",
    "1.2.840.10008.1.2.4.80": "JPEG-LS lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "HTJ2K lossless",
}
RARE_SYNTAXES = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201"}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at: its name, what was found, and, where it is not good, what to do."""

    name: str
    found: str
    state: State = "good"
    remedy: str = ""


def doctor(
    folder: Annotated[
        Path, typer.Option(help="Folder whose disk is to be examined; the working folder if not given.")
    ] = Path(),
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Say what is installed and what this machine can do; exit 1 where something needed is missing."""
    findings = examine(folder)
    missing = [finding for finding in findings if finding.state == "missing"]
    if json:
        print_json({"good": not missing, "findings": [asdict(finding) for finding in findings]})
    else:
        _show(findings)
    for finding in missing:
        typer.echo(f"{finding.name}: {finding.found}. {finding.remedy}", err=True)
    if missing:
        raise typer.Exit(1)


def examine(folder: Path) -> list[Finding]:
    """Everything that `pefuse doctor` looks at."""
    return [_python(), *_packages(), *_machine(), *_disk(folder), *_torch(), *_codecs()]


def tested_versions() -> dict[str, str]:
    """The version of each direct dependency that pefuse is tested with."""
    text = (HERE / "tested_versions.csv").read_text(encoding="utf-8")
    return {row["package"]: row["version"] for row in csv.DictReader(text.splitlines())}


def _python() -> Finding:
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding(name="Python", found=found, state="missing", remedy="Install Python 3.11 or newer.")
    return Finding(name="Python", found=found)


def _packages() -> list[Finding]:
    return [_package(name, tested) for name, tested in tested_versions().items()]


def _package(name: str, tested: str) -> Finding:
    from importlib import metadata

    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Finding(name=name, found="not installed", state="missing", remedy=f"pip install {name}=={tested}")
    if found.partition("+")[0] == tested:
        return Finding(name=name, found=found)
    return Finding(name=name, found=found, state="note", remedy=f"Tested with {tested}; other versions may do.")


def _machine() -> list[Finding]:
    from pefuse.machine import allowed_cores, available_memory_bytes

    free_gib = available_memory_bytes() / GIB
    little = free_gib < NEEDED_MEMORY_GIB
    memory = Finding(
        name="memory",
        found=f"{free_gib:.1f} GiB free",
        state="note" if little else "good",
        remedy=f"Below {NEEDED_MEMORY_GIB:g} GiB use the demo preset or a smaller grid." if little else "",
    )
    return [Finding(name="cores", found=f"{allowed_cores()} allowed"), memory]


def _disk(folder: Path) -> list[Finding]:
    from pefuse.errors import UsageError

    if not folder.is_dir():
        raise UsageError("There is no such folder: give an existing one with --folder.")
    free_gib = shutil.disk_usage(folder).free / GIB
    little = free_gib < NEEDED_DISK_GIB
    space = Finding(
        name="disk",
        found=f"{free_gib:.1f} GiB free",
        state="missing" if little else "good",
        remedy=f"Free at least {NEEDED_DISK_GIB:g} GiB." if little else "",
    )
    return [space, _writable(folder)]


def _writable(folder: Path) -> Finding:
    """Write a file the way all our files are written: aside, flushed, renamed."""
    from pefuse.errors import PefuseError
    from pefuse.storage import write_text

    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".pefuse-doctor-") as place:
            write_text(Path(place) / "test.txt", "written")
    except (OSError, PefuseError):
        return Finding(
            name="writing", found="the folder is not writable", state="missing", remedy="Work in one that is."
        )
    return Finding(name="writing", found="the folder is writable")


def _torch() -> list[Finding]:
    try:
        import torch
    except (ImportError, OSError):
        return [Finding(name="torch", found="cannot be imported", state="missing", remedy="Install it again.")]
    findings = [Finding(name="torch threads", found=str(torch.get_num_threads()))]
    if not torch.cuda.is_available():
        return [*findings, Finding(name="GPU", found="none: training runs on the processor")]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        findings.append(
            Finding(name=f"GPU {index}", found=f"{properties.name}, {properties.total_memory / GIB:.0f} GiB")
        )
    return findings


def _codecs() -> list[Finding]:
    try:
        import pydicom  # noqa: F401
    except ImportError:
        return []  # the packages' finding says so
    samples = codec_samples()
    return [_codec(uid, name, samples.get(uid)) for uid, name in SYNTAXES.items()]


def codec_samples() -> dict[str, bytes]:
    """For some transfer syntaxes `sample_image` as a compressed frame (dev/tools/make_codec_samples.py)."""
    text = (HERE / "codec_samples.json").read_text(encoding="utf-8")
    return {uid: base64.b64decode(frame) for uid, frame in json_format.loads(text).items()}


def _codec(uid: str, name: str, sample: bytes | None) -> Finding:
    from pydicom.pixels.decoders.base import get_decoder

    title = f"DICOM {name}"
    if sample is not None:
        works, found = decode_sample(uid, sample), "a sample decodes right"
    else:
        works, found = bool(get_decoder(uid).is_available), "a decoder is there"
    if works:
        return Finding(name=title, found=found)
    state: State = "note" if uid in RARE_SYNTAXES else "missing"
    return Finding(
        name=title,
        found="cannot be read",
        state=state,
        remedy="Install python-gdcm, pylibjpeg and pylibjpeg-openjpeg, or have such scans exported uncompressed.",
    )


def sample_image() -> NDArray[np.uint16]:
    """The image `(16, 16)` that every sample holds: all twelve bits in use."""
    import numpy as np

    return (np.arange(256, dtype=np.uint16).reshape(16, 16) * 16 + 5) % 4096


def decode_sample(uid: str, frame: bytes) -> bool:
    """Whether a compressed frame of `sample_image` is decoded to the very same values."""
    import numpy as np
    from pydicom.encaps import encapsulate
    from pydicom.pixels.decoders.base import get_decoder

    image = sample_image()
    layout: dict[str, Any] = {
        "rows": image.shape[0],
        "columns": image.shape[1],
        "number_of_frames": 1,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": 16,
        "bits_stored": 12,
        "pixel_representation": 0,
        "pixel_keyword": "PixelData",
    }
    try:
        decoded, _ = get_decoder(uid).as_array(encapsulate([frame]), **layout)
    except Exception:  # a codec may fail in any way: that is what is being asked
        return False
    return bool(np.array_equal(decoded, image))


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    marks = {"good": "ok", "note": "note", "missing": "MISSING"}
    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        table.add_row(marks[finding.state], finding.name, finding.found, finding.remedy)
    Console().print(table)
