"""Write src/pefuse/cli/codec_samples.json: one tiny image in each compressed transfer syntax, for `pefuse doctor`.

Run from the repository's root, only when a syntax is to be added. GDCM does the encoding.
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

import gdcm
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import generate_frames
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from pefuse.cli.doctor import sample_image

SAMPLE = sample_image()
SYNTAXES = {
    "1.2.840.10008.1.2.5": gdcm.TransferSyntax.RLELossless,
    "1.2.840.10008.1.2.4.57": gdcm.TransferSyntax.JPEGLosslessProcess14,
    "1.2.840.10008.1.2.4.70": gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    "1.2.840.10008.1.2.4.80": gdcm.TransferSyntax.JPEGLSLossless,
    "1.2.840.10008.1.2.4.90": gdcm.TransferSyntax.JPEG2000Lossless,
}


def uncompressed(path: Path) -> None:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
    dataset.Modality = "CT"
    dataset.Rows, dataset.Columns = SAMPLE.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 12, 11, 0
    dataset.PixelData = SAMPLE.astype("<u2").tobytes()
    dataset.save_as(path, enforce_file_format=True)


def encoded(source: Path, target: Path, syntax: int) -> bytes:
    reader = gdcm.ImageReader()
    reader.SetFileName(str(source))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    dataset = pydicom.dcmread(target)
    assert np.array_equal(dataset.pixel_array, SAMPLE)
    return next(iter(generate_frames(dataset.PixelData, number_of_frames=1)))


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.dcm"
        uncompressed(source)
        frames = {uid: encoded(source, Path(folder) / f"{uid}.dcm", syntax) for uid, syntax in SYNTAXES.items()}
    samples = {uid: base64.b64encode(frame).decode() for uid, frame in frames.items()}
    text = json.dumps(samples, indent=2) + "\n"
    Path("src/pefuse/cli/codec_samples.json").write_text(text, encoding="utf-8")


main()
