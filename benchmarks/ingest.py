"""One large CT series from DICOM files to the model's grid: ours against other readers, in the same run.

    python benchmarks/ingest.py [--slices 300] [--matrix 512] [--repeat 3] [--syntaxes plain,rle] [--only A,B]

Makes the series in a temporary folder, then runs each contender in a fresh process with at most two threads, so
that its peak memory is its own. Files are in the page cache for all of them. The yardstick is a plain pydicom loop
that reads and decodes every file and does nothing else. Prints Markdown.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Times = dict[str, float]
SYNTAXES = {"plain": "", "rle": "1.2.840.10008.1.2.5", "jpeg2000": "1.2.840.10008.1.2.4.90"}
THREADS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=300)
    parser.add_argument("--matrix", type=int, default=512)
    parser.add_argument("--repeat", type=int, default=3, help="runs of each contender; the median counts")
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, separated by commas")
    parser.add_argument("--syntaxes", default="plain", help=f"of {', '.join(SYNTAXES)}, separated by commas")
    parser.add_argument("--child", nargs=2, metavar=("CONTENDER", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        run_child(*options.child)
        return
    names = options.only.split(",")
    for syntax in options.syntaxes.split(","):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name, "series")
            write_series(folder, slices=options.slices, matrix=options.matrix, syntax=syntax)
            # Interleaved, so that a busy moment of the machine hits all contenders alike.
            runs = [{name: in_fresh_process(name, folder) for name in names} for _ in range(options.repeat)]
        print(
            as_markdown(runs, title=f"{options.matrix}x{options.matrix}x{options.slices} DICOM series, {syntax},")
        )


def write_series(folder: Path, *, slices: int, matrix: int, syntax: str) -> None:
    """A body with two lungs and noise, 360 mm wide, 1 mm slices, as 16-bit DICOM of one of `SYNTAXES`."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    generator = np.random.default_rng(0)
    y, x = np.mgrid[-1 : 1 : matrix * 1j, -1 : 1 : matrix * 1j]
    body = np.where((x / 0.9) ** 2 + (y / 0.65) ** 2 < 1, 40, -1000)
    body[((abs(x) - 0.4) / 0.3) ** 2 + (y / 0.4) ** 2 < 1] = -850
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for i in range(slices):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
        dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "BENCHMARK", "BENCHMARK"
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = study, series, frame
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.InstanceNumber, dataset.SeriesNumber, dataset.AcquisitionNumber = i + 1, 2, 1
        dataset.ImagePositionPatient = [-180, -180, i - slices]
        dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        dataset.PixelSpacing = [360 / matrix, 360 / matrix]
        dataset.SliceThickness, dataset.KVP, dataset.ConvolutionKernel = 1, 120, "Br40"
        dataset.Rows = dataset.Columns = matrix
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, -1024
        hu = body + generator.normal(0, 15, body.shape)
        dataset.PixelData = np.clip(hu + 1024, 0, 4095).astype("<u2").tobytes()
        if SYNTAXES[syntax]:
            dataset.compress(SYNTAXES[syntax], generate_instance_uid=False)
        dataset.save_as(folder / f"{i:04d}", enforce_file_format=True)


def run_streamed(folder: Path) -> Times:
    """What `pefuse prepare` and `predict` do: each slice goes to the grid as it is decoded."""
    from pefuse.ct import read_to_grid

    start = time.perf_counter()
    scan = read_to_grid(folder, grid=128, threads=THREADS)
    end = time.perf_counter()
    assert scan.volume.hu.shape == (128, 128, 128)
    return {"total": end - start}


def run_two_steps(folder: Path) -> Times:
    """The whole volume first, then the grid."""
    from pefuse.ct import read_scan, to_grid

    start = time.perf_counter()
    volume, _ = read_scan(folder)
    read = time.perf_counter()
    prepared = to_grid(volume, grid=128, threads=THREADS)
    end = time.perf_counter()
    assert prepared.hu.shape == (128, 128, 128)
    return {"total": end - start, "read": read - start}


def run_monai(folder: Path) -> Times:
    import torch
    from monai.data import PydicomReader
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, Orientation, Resize, Spacing

    torch.set_num_threads(THREADS)
    pipeline = Compose(
        [
            LoadImage(reader=PydicomReader, image_only=True),
            EnsureChannelFirst(),
            Orientation(axcodes="RAS"),
            Spacing(pixdim=(1.0, 1.0, 1.0)),
            Resize((128, 128, 128)),
        ]
    )
    start = time.perf_counter()
    cube = pipeline(folder)
    end = time.perf_counter()
    assert tuple(cube.shape) == (1, 128, 128, 128)
    return {"total": end - start}


def run_simpleitk(folder: Path) -> Times:
    """The usual recipe; linear resampling without anti-aliasing."""
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
    start = time.perf_counter()
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    assert resampled(SimpleITK.DICOMOrient(reader.Execute(), "LPS")).GetSize() == (128, 128, 128)
    return {"total": time.perf_counter() - start}


def run_dicom2nifti(folder: Path) -> Times:
    """To a NIfTI file, as its users do, and from there as SimpleITK."""
    import dicom2nifti
    import SimpleITK

    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(THREADS)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        file = Path(name, "scan.nii")
        dicom2nifti.dicom_series_to_nifti(str(folder), str(file), reorient_nifti=True)
        assert resampled(SimpleITK.ReadImage(str(file))).GetSize() == (128, 128, 128)
    return {"total": time.perf_counter() - start}


def resampled(image: Any) -> Any:
    import SimpleITK

    spacing = [side * mm / 128 for side, mm in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    return SimpleITK.Resample(
        image,
        (128, 128, 128),
        SimpleITK.Transform(),
        SimpleITK.sitkLinear,
        image.GetOrigin(),
        spacing,
        image.GetDirection(),
    )


def run_pydicom(folder: Path) -> Times:
    """Only read and decode, keeping nothing: what no reader built on pydicom can undercut without a trick."""
    import pydicom

    start = time.perf_counter()
    for path in sorted(folder.iterdir()):
        pixels = pydicom.dcmread(path).pixel_array
        assert pixels.ndim == 2
    return {"total": time.perf_counter() - start}


CONTENDERS: dict[str, Callable[[Path], Times]] = {
    "streamed": run_streamed,
    "two_steps": run_two_steps,
    "monai": run_monai,
    "simpleitk": run_simpleitk,
    "dicom2nifti": run_dicom2nifti,
    "pydicom": run_pydicom,
}


def run_child(contender: str, folder: str) -> None:
    times = CONTENDERS[contender](Path(folder))
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**times, "peak_mib": peak_mib}))


def in_fresh_process(contender: str, folder: Path) -> Times:
    limits = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(THREADS))
    command = [sys.executable, "-W", "ignore", __file__, "--child", contender, str(folder)]
    done = subprocess.run(command, env={**os.environ, **limits}, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{contender} failed (the readers are in the extra dev):\n{done.stderr[-2000:]}")
    times: Times = json.loads(done.stdout.splitlines()[-1])
    return times


def as_markdown(runs: list[dict[str, Times]], *, title: str) -> str:
    middle = {
        name: {key: statistics.median(run[name][key] for run in runs) for key in runs[0][name]} for name in runs[0]
    }
    ours, steps = middle["streamed"], middle["two_steps"]
    floor = statistics.median(run["streamed"]["total"] / run["pydicom"]["total"] for run in runs)
    cores = len(os.sched_getaffinity(0))
    lines = [
        f"# One {title} to 128x128x128",
        "",
        f"{datetime.date.today().isoformat()}, {cores} cores, at most {THREADS} threads, Python "
        f"{platform.python_version()}, median of {len(runs)} runs, files in the page cache, "
        "each in a fresh process.",
        "",
        "| contender | seconds | peak memory, MiB |",
        "|---|---|---|",
        *(
            f"| {LABELS[name]} | {times['total']:.2f} | {times['peak_mib']:.0f} |"
            for name, times in middle.items()
        ),
        "",
        "| measure | here | target |",
        "|---|---|---|",
    ]
    for other, target in (("monai", "at least 8"), ("simpleitk", ""), ("dicom2nifti", "")):
        if other in middle:
            ratios = sorted(run[other]["total"] / run["streamed"]["total"] for run in runs)
            times_faster = f"{statistics.median(ratios):.1f} times ({ratios[0]:.1f} to {ratios[-1]:.1f})"
            lines.append(f"| faster than {other} | {times_faster} | {target} |")
    lines += [
        f"| our time over pydicom reading and decoding alone | {floor:.2f} | at most 2 |",
        f"| share of our time that reading and decoding alone would take | {1 / floor:.0%} | at least 50% |",
        f"| in two steps: share that is reading, decoding and checking | {steps['read'] / steps['total']:.0%} | |",
        f"| our peak memory | {ours['peak_mib']:.0f} MiB | at most 1024 MiB |",
        f"| our peak memory in two steps | {steps['peak_mib']:.0f} MiB | at most 1024 MiB |",
    ]
    return "\n".join(lines)


LABELS = {
    "streamed": "pefuse: read_to_grid, as `pefuse prepare` does",
    "two_steps": "pefuse: read_scan, then to_grid",
    "simpleitk": "SimpleITK: ImageSeriesReader + DICOMOrient + Resample",
    "dicom2nifti": "dicom2nifti, then SimpleITK: Resample",
    "monai": "MONAI: LoadImage(PydicomReader) + Orientation + Spacing(1 mm) + Resize",
    "pydicom": "pydicom: read and decode only",
}

if __name__ == "__main__":
    main()
