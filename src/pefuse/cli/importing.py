"""The verb `import`: what a hospital has, made into a cohort folder."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from pefuse.cli.options import Debug, Json
from pefuse.cli.output import print_json, print_lines
from pefuse.cli.progress import show_progress
from pefuse.errors import CohortError, ScanError, UsageError

if TYPE_CHECKING:  # too slow for the door
    from pefuse.cohort.importers import DicomImport, RecordImport

__all__ = ["importing"]

LIST_SUFFIXES = (".txt", ".files")

importing = typer.Typer(help="Make a cohort folder from what a hospital has.")


@importing.callback()
def _group() -> None:
    """Make a cohort folder from what a hospital has: scans in any order, or records, by a table of studies."""


@importing.command()
def dicom(
    tree: Annotated[
        Path,
        typer.Argument(
            metavar="TREE",
            help="The files: a folder, a list of paths (.txt), or an archive (.zip, .tar.gz …).",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cohort.", show_default=False)],
    studies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="CSV, one row a study, with a key to find its scan by.", show_default=False
        ),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="COHORT",
            help="In place of --studies, --events and --codes: a cohort that an import of a record has made.",
        ),
    ] = None,
    events: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The record, to be copied in: CSV or parquet.")
    ] = None,
    codes: Annotated[Path | None, typer.Option(metavar="FILE", help="What local codes mean: CSV.")] = None,
    jobs: Annotated[
        int | None, typer.Option(help="Processes that read headers; all allowed cores if not given.", min=1)
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Find the scans of a table's studies among any DICOM files; list what did not match."""
    from pefuse.cohort.importers import (
        check_import,
        import_dicom,
        import_source,
        read_record_table,
        read_studies_table,
    )
    from pefuse.ct.index import index_files

    _check_tree(tree, out)
    if (studies is None) == (record is None) or (record is not None and (events or codes)):
        raise UsageError("Name the studies with --studies (and --events, --codes), or by --record alone.")
    table = read_record_table(record) if record is not None else read_studies_table(cast(Path, studies))
    source = import_source(tree)
    check_import(out, source=source, events=events, codes=codes)
    files = _unpacked(tree, out)
    with show_progress() as progress:
        index = index_files(files, out / "index.parquet", jobs=jobs, progress=progress)
    (out / "index.parquet").chmod(0o600)  # it holds patients' numbers
    root = files if files.is_dir() else files.parent
    found = import_dicom(index, table, out, root=root, source=source, events=events, codes=codes, record=record)
    if json:
        print_json({"cohort": str(out), **asdict(found)})
    else:
        _print(found, out)
    if not found.matched:
        raise CohortError(
            "No row of the table of studies has a scan: unmatched.csv says why; check keys and TREE."
        )


Studies = Annotated[
    Path,
    typer.Option(
        metavar="FILE",
        help="CSV, one row a study: patient_id as the source has it, index_time, and what else is known.",
        show_default=False,
    ),
]
FollowedDays = Annotated[
    int, typer.Option(help="For so many days after the end of a patient's record a death would be known.", min=0)
]
MemoryLimit = Annotated[str, typer.Option(help="What does not fit into it is spilled to disk.")]


@importing.command("csv")
def csv_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="MAPPING",
            help="YAML that says which column is what; with --guess the table.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="Folder for the cohort; with --guess the YAML to write.", show_default=False
        ),
    ],
    guess: Annotated[
        bool, typer.Option("--guess", help="Write a first mapping of a table, to be corrected by hand.")
    ] = False,
    memory_limit: MemoryLimit = "2GB",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take studies, features and events from CSV files, by a mapping."""
    from pefuse.cohort.importers import guess_mapping, import_csv

    if not guess:
        _tell(import_csv(source, out, memory_limit=memory_limit), out, json=json)
        return
    content = guess_mapping(source, out)
    if json:
        print_json({"mapping": str(out), **content})
    else:
        print_lines(f"{out}: read every line and correct it, then: pefuse import csv {out} COHORT")


@importing.command()
def meds(
    source: Annotated[
        Path,
        typer.Argument(metavar="DATASET", help="The folder with data/ and metadata/.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cohort.", show_default=False)],
    studies: Studies,
    followed_days: FollowedDays = 0,
    memory_limit: MemoryLimit = "2GB",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take the record of a table's studies from a MEDS dataset."""
    from pefuse.cohort.importers import import_meds

    _tell(
        import_meds(source, out, studies=studies, followed_days=followed_days, memory_limit=memory_limit),
        out,
        json=json,
    )


@importing.command()
def omop(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="OMOP CDM 5.3 or 5.4, a CSV or parquet file a table.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cohort.", show_default=False)],
    studies: Studies,
    followed_days: FollowedDays = 0,
    memory_limit: MemoryLimit = "2GB",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take the record of a table's studies from an OMOP database's tables."""
    from pefuse.cohort.importers import import_omop

    _tell(
        import_omop(source, out, studies=studies, followed_days=followed_days, memory_limit=memory_limit),
        out,
        json=json,
    )


@importing.command()
def fhir(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A Bundle (.json), a bulk export (.ndjson), or a folder of them.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cohort.", show_default=False)],
    studies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="CSV, one row a study: patient_id, index_time. Else the CTs that ImagingStudy tells of.",
            show_default=False,
        ),
    ] = None,
    described: Annotated[
        str,
        typer.Option(
            metavar="REGEX", help="Of ImagingStudy: what description or procedure must say: 'pulm|CTPA'."
        ),
    ] = "",
    time_zone: Annotated[
        str,
        typer.Option(metavar="ZONE", help="Such as Europe/Berlin: times with an offset become its local times."),
    ] = "",
    followed_days: FollowedDays = 0,
    memory_limit: MemoryLimit = "2GB",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take the record of a table's studies, or of the CTs that are in it, from FHIR resources (R4, R5)."""
    from pefuse.cohort.importers import import_fhir

    found = import_fhir(
        source,
        out,
        studies=studies,
        described=described,
        time_zone=time_zone,
        followed_days=followed_days,
        memory_limit=memory_limit,
    )
    _tell(found, out, json=json)


@importing.command()
def inspect(
    source: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="The release, its archives unpacked.", show_default=False),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cohort.", show_default=False)],
    require_pe: Annotated[
        bool, typer.Option("--require-pe", help="Only studies whose report tells of an embolism.")
    ] = False,
    memory_limit: MemoryLimit = "2GB",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take studies, scans, labels, splits and records from INSPECT (Stanford)."""
    from pefuse.cohort.importers import import_inspect

    _tell(import_inspect(source, out, require_pe=require_pe, memory_limit=memory_limit), out, json=json)


@importing.command()
def radfusion(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER", help="The release: its tables, and its arrays below.", show_default=False
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for the cohort.", show_default=False)],
    keep_embolism_codes: Annotated[
        bool,
        typer.Option("--keep-embolism-codes", help="Also the groups of ICD codes that hold those of the label."),
    ] = False,
    memory_limit: MemoryLimit = "2GB",
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Take labels, splits, features and scans from RadFusion (Stanford): embolism or none, not death."""
    from pefuse.cohort.importers import import_radfusion

    found = import_radfusion(source, out, keep_embolism_codes=keep_embolism_codes, memory_limit=memory_limit)
    _tell(found, out, json=json)


def _tell(found: RecordImport, out: Path, *, json: bool) -> None:
    if json:
        print_json({"cohort": str(out), **asdict(found)})
        return
    events = found.events
    print_lines(
        f"{out}: {found.studies} studies of {found.patients} patients, "
        f"{found.patients_without_events} without an event.",
    )
    if events.read:
        print_lines(
            f"Events: {events.written} written, of {events.of_patients} of these patients and {events.read} in "
            f"the source; {events.codes} codes."
        )
    for title, counts in (
        ("Left out", events.left_out),
        ("Filled in studies.csv from the source", found.filled),
        ("Noted", found.notes),
    ):
        if counts:
            print_lines(f"{title}:", *(f"  {count}  {what}" for what, count in counts.items()))


def _check_tree(tree: Path, out: Path) -> None:
    from pefuse.ct.unpacking import is_archive

    if not tree.exists():
        raise UsageError("There is nothing at TREE: check the path.")
    if not (tree.is_dir() or is_archive(tree) or tree.suffix.lower() in LIST_SUFFIXES):
        raise UsageError(
            "TREE is a single file, but neither an archive nor a list of paths (.txt): name its folder."
        )
    if out.resolve().is_relative_to(tree.resolve()):
        raise UsageError("OUT lies inside TREE, and would be taken for a part of it: name a folder elsewhere.")


def _unpacked(tree: Path, out: Path) -> Path:
    from pefuse.ct.unpacking import is_archive, unpack_once

    if not is_archive(tree):
        return tree
    try:
        unpack_once(tree, out / "unpacked")
    except ScanError:
        with suppress(OSError):
            out.rmdir()  # where it is empty
        raise
    return out / "unpacked"


def _print(found: DicomImport, out: Path) -> None:
    print_lines(
        f"{out}: {found.matched} of {found.matched + sum(found.rows_without_scan.values())} studies have a scan.",
        f"Read: {found.files} files, {found.files_by_kind.get('CT', 0)} of them CT images; "
        f"{found.dicom_studies} DICOM studies.",
    )
    for title, reasons in (
        ("Rows without a scan", found.rows_without_scan),
        ("DICOM studies without a row", found.studies_without_row),
        ("Files that are no CT image", {kind: n for kind, n in found.files_by_kind.items() if kind != "CT"}),
    ):
        if not reasons:
            continue
        print_lines(f"{title}: {sum(reasons.values())}", *(f"  {count}  {why}" for why, count in reasons.items()))
    if found.scans_on_another_day:
        print_lines(f"Scans whose date is not that of index_time: {found.scans_on_another_day}. Check the keys.")
    if found.rows_without_scan or found.studies_without_row or found.scans_on_another_day:
        print_lines(f"Which: {out / 'unmatched.csv'}")
