"""Damaged files: whatever bytes are wrong, no crash of ours, no hang, no volume that differs without a word.

One file of a small clean series is mutated, the series read in a worker process under a memory and a time limit,
and the volume compared with the clean one. Everything before the pixels' own bytes is mutated in each syntax.
Within uncompressed pixels nothing is, but for their end cut off: one value is as good as another, and the file
holds no checksum. The bytes within a compressed stream are mutated for the decoders' sake: what they then make of
that one slice cannot be known to be wrong either, but every other slice must be as it was.

More mutations: `PEFUSE_FUZZ_MUTATIONS=10000`, from another seed: `PEFUSE_FUZZ_FIRST_SEED=300`. A mutation is its
seed.
"""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEG2000Lossless, RLELossless

from pefuse.ct import SeriesReport, read_scan
from pefuse.errors import ScanError
from pefuse.types import Volume
from pefuse.workers import Worker, WorkerDiedError, Workers, WorkerTimedOutError, serve

from .faults import body_hu, chest_series, compressed, grid, setting
from .verdicts import Truth, verdict

SHAPE = (34, 64, 64)
SPACING_MM = (4.8, 6.0, 5.5)  # one missing slice leaves a gap of 9.6 mm, which is still filled
SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless, JPEG2000Lossless)
MEMORY_BYTES = 4 << 30  # of address space; the libraries alone map more than 1 GiB
LIMIT_SECONDS = 30.0
MOVED_MM = 0.6  # a corner: slices may lie 0.5 mm beside their line, and the outermost ones are the corners
ROOT = Path(__file__).parents[2]
ACCEPTED = {
    "same",
    "refused",
    "recorded",
    "one slice decoded differently",
    "out of memory",
}
Random = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class CleanFile:
    """One file of the clean series; its pixels' own bytes begin at `pixels`."""

    content: bytes
    pixels: int
    compressed: bool


# --- mutations ---------------------------------------------------------------------------------------------------


def flipped(content: bytearray, start: int, end: int, random: Random) -> None:
    """One to three bits."""
    for at in random.integers(start, end, random.integers(1, 4)):
        content[at] ^= 1 << int(random.integers(8))


def zeroed(content: bytearray, start: int, end: int, random: Random) -> None:
    """A block of up to 64 bytes."""
    at, length = int(random.integers(start, end)), int(random.integers(1, 65))
    stop = min(at + length, end)
    content[at:stop] = bytes(stop - at)


def scrambled(content: bytearray, start: int, end: int, random: Random) -> None:
    """A block of up to 16 bytes at random."""
    at, length = int(random.integers(start, end)), int(random.integers(1, 17))
    stop = min(at + length, end)
    content[at:stop] = random.bytes(stop - at)


def cut_out(content: bytearray, start: int, end: int, random: Random) -> None:
    """A block of up to 32 bytes is missing, all after it moves up."""
    at, length = int(random.integers(start, end)), int(random.integers(1, 33))
    del content[at : min(at + length, end)]


def truncated(content: bytearray, start: int, end: int, random: Random) -> None:
    """The file ends early: anywhere, within its pixels too."""
    del content[int(random.integers(start, len(content))) :]


def wrong_length(content: bytearray, start: int, end: int, random: Random) -> None:
    """Two bytes at an even place, where lengths of elements stand, become another small or large number."""
    at = int(random.integers(start, end)) // 2 * 2
    number = int(random.integers(1 << int(random.integers(1, 17))))
    content[at : at + 2] = number.to_bytes(2, "little")


def digit(content: bytearray, start: int, end: int, random: Random) -> None:
    """A digit becomes another one: what a number's text suffers most quietly."""
    places = [at for at in range(start, end) if chr(content[at]).isdigit()] or [start]
    content[int(random.choice(places))] = int(random.integers(ord("0"), ord("9") + 1))


MUTATIONS = (flipped, zeroed, scrambled, cut_out, truncated, wrong_length, digit)


@dataclass(frozen=True, kw_only=True)
class Mutation:
    """What one seed does: to which syntax, which slice, how, and whether within a compressed stream."""

    syntax: int
    slice: int
    change: Callable[[bytearray, int, int, Random], None]
    in_stream: bool
    random: Random

    @classmethod
    def drawn(cls, seed: int) -> Mutation:
        random = np.random.default_rng(seed)
        syntax = int(random.integers(len(SYNTAXES)))
        return cls(
            syntax=syntax,
            slice=int(random.integers(SHAPE[0])),
            change=MUTATIONS[random.integers(len(MUTATIONS))],
            in_stream=syntax >= 2 and bool(random.random() < 0.3),
            random=random,
        )

    def __str__(self) -> str:
        place = "stream" if self.in_stream else "header"
        return f"{self.change.__name__} in {place}, {SYNTAXES[self.syntax].name}, slice {self.slice}"

    def applied(self, clean: CleanFile) -> bytes:
        content = bytearray(clean.content)
        span = (clean.pixels, len(content)) if self.in_stream else (0, clean.pixels)
        self.change(content, *span, self.random)
        return bytes(content)


# --- the clean series --------------------------------------------------------------------------------------------


def clean_hu() -> np.ndarray:
    return np.rint(body_hu(*grid(SHAPE, SPACING_MM))).astype(np.int16)


def write_clean(folder: Path, syntax: int) -> None:
    """The series in one syntax, 12 bits stored, with the padding value and rescale type that scanners write."""
    uid = SYNTAXES[syntax]

    def edit(i: int, dataset: pydicom.Dataset) -> None:
        dataset.BitsStored, dataset.HighBit, dataset.RescaleType = 12, 11, "HU"
        dataset.add_new("PixelPaddingValue", "US", 0)
        if uid.is_compressed:
            compressed(uid)(i, dataset)
        else:
            dataset.file_meta.TransferSyntaxUID = uid

    chest_series(setting(ImagesInAcquisition=SHAPE[0]), edit, hu=clean_hu(), spacing_mm=SPACING_MM).write(folder)


def clean_file(path: Path, syntax: int) -> CleanFile:
    """The file, and where the bytes begin of which any value may be right."""
    content, uid = path.read_bytes(), SYNTAXES[syntax]
    if uid == JPEG2000Lossless:
        pixels = content.index(b"\xff\x4f\xff\x51")  # SOC, SIZ: its tables scale the pixels as its data do
    elif uid == RLELossless:
        pixels = content.index((2).to_bytes(4, "little") + (64).to_bytes(4, "little")) + 64  # behind RLE's header
    else:
        pixels = len(content) - 2 * SHAPE[1] * SHAPE[2]
    return CleanFile(content=content, pixels=pixels, compressed=uid.is_compressed)


def paths_in_order(folder: Path) -> list[Path]:
    paths = sorted(folder.iterdir())
    return sorted(paths, key=lambda path: float(pydicom.dcmread(path).ImagePositionPatient[2]))


# --- in the worker -----------------------------------------------------------------------------------------------


def work() -> None:
    """Read the mutation of each seed that the parent sends."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    clean = {}
    with TemporaryDirectory() as name:
        for syntax in range(len(SYNTAXES)):
            folder = Path(name, str(syntax))
            write_clean(folder, syntax)
            clean[syntax] = (paths_in_order(folder), read_scan(folder))
        serve(lambda: partial(outcome_of, clean, Path(name)))


def outcome_of(clean: dict[int, tuple[list[Path], tuple[Volume, SeriesReport]]], place: Path, seed: int) -> Any:
    mutation = Mutation.drawn(seed)
    paths, expected = clean[mutation.syntax]
    with TemporaryDirectory(dir=place) as name:
        for i, path in enumerate(paths):
            if i != mutation.slice:
                os.link(path, Path(name, path.name))
        victim = paths[mutation.slice]
        Path(name, victim.name).write_bytes(mutation.applied(clean_file(victim, mutation.syntax)))
        try:
            found = read_scan(Path(name))
        except ScanError as refusal:
            return {"outcome": "refused", "why": refusal.reason}
        except MemoryError:
            return {"outcome": "out of memory", "why": ""}
    return {"outcome": compared(found, expected, mutation), "why": "; ".join(found[1].repairs)}


def compared(found: tuple[Volume, SeriesReport], expected: tuple[Volume, SeriesReport], mutation: Mutation) -> str:
    (volume, report), (clean, clean_report) = found, expected
    if same(volume, clean):
        return "same"
    if mutation.in_stream and same_elsewhere(volume, clean, mutation.slice):
        return "one slice decoded differently"
    if told(report) == told(clean_report):
        return "silently different"
    truth = Truth(hu=clean.hu.astype(np.float32), affine=clean.affine, interpolated=frozenset({mutation.slice}))
    right = verdict(volume.hu, volume.affine, [truth]) == "right" or one_shorter(volume, clean, mutation.slice)
    return "recorded" if right else "recorded, and wrong"


def told(report: SeriesReport) -> tuple[object, ...]:
    """All that a report says of how the volume came about."""
    return (report.repairs, report.warnings, dict(report.other_files), len(report.entries))


def same(volume: Volume, clean: Volume) -> bool:
    return volume.hu.shape == clean.hu.shape and same_place(volume, clean) and alike(volume.hu, clean.hu)


def same_elsewhere(volume: Volume, clean: Volume, z: int) -> bool:
    if volume.hu.shape != clean.hu.shape or not same_place(volume, clean):
        return False
    return alike(np.delete(volume.hu, z, axis=0), np.delete(clean.hu, z, axis=0))


def one_shorter(volume: Volume, clean: Volume, z: int) -> bool:
    """The first or the last slice is left out, the rest is as it was."""
    return z in (0, SHAPE[0] - 1) and alike(volume.hu, np.delete(clean.hu, z, axis=0))


def alike(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and bool(np.abs(one - other.astype(np.float32)).max() < 0.01)


def same_place(volume: Volume, clean: Volume) -> bool:
    corners = np.array([[z, y, x, 1] for z in (0, SHAPE[0]) for y in (0, SHAPE[1]) for x in (0, SHAPE[2])])
    return bool(np.abs(corners @ (volume.affine - clean.affine).T).max() <= MOVED_MM)


# --- in the test -------------------------------------------------------------------------------------------------


def try_seed(seed: int, worker: Worker) -> tuple[str, str]:
    try:
        answer = worker.do(seed, limit_seconds=LIMIT_SECONDS)
    except WorkerTimedOutError:
        return "too slow", ""
    except WorkerDiedError:
        return "worker crashed", ""
    return answer["outcome"], answer["why"]


def acceptable(outcome: str, mutation: Mutation) -> bool:
    """A native decoder may end its worker's process, which costs one study; nothing else may."""
    return outcome in ACCEPTED or (outcome == "worker crashed" and mutation.in_stream)


def outcomes(seeds: range) -> Iterator[tuple[int, str, str]]:
    """Each seed, what came of it, and why."""
    with Workers(2, "tests.ct.test_fuzz.work") as workers:
        waiting: list[tuple[int, Future[tuple[str, str]]]] = [
            (seed, workers.submit(partial(try_seed, seed))) for seed in seeds
        ]
        for seed, future in waiting:
            yield seed, *future.result()


@pytest.mark.slow
def test_no_damaged_file_gives_another_volume_without_a_word(monkeypatch):
    """An error that nobody foresaw and a hang of the worker count as failures too."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    first = int(os.environ.get("PEFUSE_FUZZ_FIRST_SEED", "0"))
    count = int(os.environ.get("PEFUSE_FUZZ_MUTATIONS", "120"))
    found = [(seed, outcome, Mutation.drawn(seed)) for seed, outcome, _ in outcomes(range(first, first + count))]
    counts = Counter(outcome for _, outcome, _ in found)
    bad = [
        (seed, outcome, str(mutation)) for seed, outcome, mutation in found if not acceptable(outcome, mutation)
    ]
    assert not bad, counts
    assert {"same", "refused", "recorded"} <= set(counts)  # the mutations reach all that we think they do


def test_a_mutation_is_its_seed():
    clean = CleanFile(content=bytes(range(256)) * 8, pixels=1024, compressed=False)
    for seed in range(50):
        assert Mutation.drawn(seed).applied(clean) == Mutation.drawn(seed).applied(clean)


def test_no_mutation_touches_uncompressed_pixels():
    """But for an end cut off: what is left is as it was."""
    clean = CleanFile(content=bytes(1024) + bytes(range(1, 256)) * 8, pixels=1024, compressed=False)
    for seed in range(300):
        mutation = Mutation.drawn(seed)
        if not mutation.in_stream:
            pixels = mutation.applied(clean)[-len(clean.content) + 1024 :]
            assert clean.content[1024:].startswith(pixels) or mutation.change is truncated
