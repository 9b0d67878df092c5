"""The fault corpus of the tests through pefuse and five other readers: right, refused or silently wrong.

    python benchmarks/readers.py [--readers pefuse SimpleITK] [--faults clean gantry-tilt-12] [--limit-seconds 60]

Each reader has a process of its own, with a time limit: one that crashes or hangs costs that cell alone. A reader
that raises, or writes no volume, has refused; one that gives a volume is judged by `tests/ct/verdicts.py`,
whatever it printed. Prints Markdown: `docs/readers.md` holds its output.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pefuse.workers import Worker, WorkerDiedError, WorkerTimedOutError, serve

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.ct.faults import FAULTS, Fault  # noqa: E402
from tests.ct.verdicts import verdict  # noqa: E402

Scan = tuple[NDArray[Any], NDArray[np.float64]]  # voxels, and the affine from their index to LPS mm
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SHOWN = {"silently wrong": "**wrong**", "crashed": "**crashed**", "too slow": "**too slow**"}


class RefusedError(Exception):
    """The reader gave no volume."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--readers", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--faults", nargs="+", choices=FAULTS, default=list(FAULTS), metavar="FAULT")
    parser.add_argument("--limit-seconds", type=float, default=60.0, help="of one reader on one fault")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    outcomes = {name: run(name, options.faults, options.limit_seconds) for name in options.readers}
    print(as_markdown(outcomes))


def run(reader: str, faults: Sequence[str], limit_seconds: float) -> dict[str, str]:
    """What the reader makes of each fault."""
    worker = Worker("benchmarks.readers.work")
    try:
        return {fault: attempt(worker, reader, fault, limit_seconds) for fault in faults}
    finally:
        worker.close()


def attempt(worker: Worker, reader: str, fault: str, limit_seconds: float) -> str:
    try:
        outcome: str = worker.do((reader, fault), limit_seconds=limit_seconds)["outcome"]
        return outcome
    except WorkerTimedOutError:
        return "too slow"
    except WorkerDiedError:
        return "crashed"


# --- in the reader's process -------------------------------------------------------------------------------------


def work() -> None:
    """Judge each reader and fault that the parent sends."""
    warnings.simplefilter("ignore")
    serve(lambda: judge)


def judge(task: tuple[str, str]) -> dict[str, str]:
    reader, fault = task
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "study")
        folder.mkdir()
        truths = FAULTS[fault].write(folder)
        try:
            volume, affine = READERS[reader](folder)
        except Exception:  # each reader has errors of its own
            return {"outcome": "refused"}
        return {"outcome": verdict(volume, affine, truths)}


def by_pefuse(folder: Path) -> Scan:
    from pefuse.ct import read_scan

    volume, _ = read_scan(folder)
    return volume.hu, volume.affine


def by_simpleitk(folder: Path) -> Scan:
    """The recipe of its documentation, with the series of the most files."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    series = [reader.GetGDCMSeriesFileNames(str(folder), name) for name in reader.GetGDCMSeriesIDs(str(folder))]
    reader.SetFileNames(max(series, key=len))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return SimpleITK.GetArrayFromImage(image).transpose(2, 1, 0), affine


def by_dicom2nifti(folder: Path) -> Scan:
    import dicom2nifti

    written = folder.parent / "volume.nii"
    dicom2nifti.dicom_series_to_nifti(str(folder), str(written))
    return from_nifti(written)


def by_highdicom(folder: Path) -> Scan:
    """All CT images of the folder as one series, or the frames of the one file."""
    import highdicom
    import pydicom

    datasets = []
    for path in sorted(folder.iterdir()):
        try:
            datasets.append(pydicom.dcmread(path))
        except pydicom.errors.InvalidDicomError:
            continue
    images = [dataset for dataset in datasets if dataset.get("Modality") == "CT" and "PixelData" in dataset]
    if "NumberOfFrames" in images[0]:
        volume = highdicom.Image.from_dataset(images[0]).get_volume(dtype=np.float32)
    else:
        volume = highdicom.get_volume_from_series(images, dtype=np.float32)
    return volume.array, volume.affine


def by_monai(folder: Path) -> Scan:
    from monai.data import PydicomReader
    from monai.transforms import LoadImage

    image = LoadImage(reader=PydicomReader(), image_only=True)(str(folder))
    return image.numpy(), RAS_TO_LPS @ np.asarray(image.affine, float)


def by_dcm2niix(folder: Path) -> Scan:
    """Of several volumes it wrote, the one that it corrected for tilt or uneven gaps, else the largest."""
    import dcm2niix

    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "volume", "-o", str(folder.parent), str(folder)]
    done = subprocess.run(command, capture_output=True, check=False)
    written = sorted(folder.parent.glob("*.nii"), key=lambda path: path.stat().st_size)
    corrected = [path for path in written if "_Tilt" in path.name or "_Eq" in path.name]
    if done.returncode or not written:
        raise RefusedError
    return from_nifti((corrected or written)[-1])


def from_nifti(path: Path) -> Scan:
    import nibabel

    image: Any = nibabel.load(path)
    return image.get_fdata(), RAS_TO_LPS @ image.affine


READERS: dict[str, Callable[[Path], Scan]] = {
    "pefuse": by_pefuse,
    "SimpleITK": by_simpleitk,
    "dicom2nifti": by_dicom2nifti,
    "highdicom": by_highdicom,
    "MONAI": by_monai,
    "dcm2niix": by_dcm2niix,
}


# --- the table ---------------------------------------------------------------------------------------------------


def as_markdown(outcomes: dict[str, dict[str, str]]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in [*outcomes, "pydicom"])
    lines = [
        f"{versions}; Python {platform.python_version()}.",
        "",
        "| fault | may be | " + " | ".join(outcomes) + " |",
        "|---|---|" + "---|" * len(outcomes),
    ]
    for name in next(iter(outcomes.values())):
        found = (outcomes[reader][name] for reader in outcomes)
        cells = " | ".join(SHOWN.get(outcome, outcome) for outcome in found)
        lines.append(f"| {FAULTS[name].summary} | {allowed(FAULTS[name])} | {cells} |")
    return "\n".join([*lines, *totals(outcomes)])


def allowed(fault: Fault) -> str:
    """What a right reader may do; whether the files hold a volume is known once they are written."""
    if fault.recoverable:
        return "right"
    with tempfile.TemporaryDirectory() as folder:
        return "right or refused" if fault.write(Path(folder)) else "refused"


def totals(outcomes: dict[str, dict[str, str]]) -> list[str]:
    counts = {reader: Counter(found.values()) for reader, found in outcomes.items()}
    kinds = ("right", "refused", "silently wrong", "crashed", "too slow")
    shown = [kind for kind in kinds if any(count[kind] for count in counts.values())]
    return [
        f"| *{kind}, of all* | | " + " | ".join(str(c[kind]) for c in counts.values()) + " |" for kind in shown
    ]


if __name__ == "__main__":
    main()
