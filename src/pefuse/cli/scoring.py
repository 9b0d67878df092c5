"""The verb `score`: clinical scores of a cohort, and the points behind one study's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, cast

import typer

from pefuse.cli.options import CohortFolder, Debug, Json, Lag, lag_hours
from pefuse.cli.output import RESEARCH_USE_ONLY, print_json, print_lines, print_table, table_rows
from pefuse.errors import UsageError

__all__ = ["score"]


def score(
    cohort: CohortFolder,
    scores: Annotated[
        str, typer.Option(help="Of pesi, spesi, esc2019, bova, fast, cpes, hestia, news2, shock_index.")
    ] = "pesi,spesi",
    study: Annotated[str | None, typer.Option(metavar="ID", help="List the points behind this study's.")] = None,
    missing: Annotated[str, typer.Option(help="What a missing part counts: normal (0) or refuse (no score).")] = (
        "normal"
    ),
    lag: Lag = None,
    out: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Write all studies' points, part by part.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compute clinical scores at each study's index time, and list the points behind them."""
    from pefuse.cohort import load_cohort
    from pefuse.ehr import MissingParts, count_scores, list_points, read_score_values
    from pefuse.storage import write_text

    if missing == "impute":
        raise UsageError("Imputed parts need training studies: `pefuse compare --set score_missing=impute`.")
    if missing not in ("normal", "refuse"):
        raise UsageError(f"--missing is '{missing}': it must be normal or refuse.")
    names = [name.strip().lower() for name in scores.split(",") if name.strip()]
    if not names:
        raise UsageError("--scores names no score.")
    loaded = load_cohort(cohort)
    if out is not None:
        _check_out(out)
    values = read_score_values(loaded, [study] if study else None, scores=names, lag_hours=lag_hours(lag))
    table = count_scores(values, names, missing=cast(MissingParts, missing))
    if out is not None:
        write_text(out, table.reset_index().to_csv(index=False))
    if study:
        _show_study(study, {name: list_points(values, study, name) for name in names}, table, json=json)
        return
    rows = [_summary(table, name) for name in names]
    if json:
        print_json({"studies": len(table), "scores": rows, **({"table": str(out)} if out else {})})
        return
    for row in rows:
        classes = ", ".join(f"{count} {name}" for name, count in row["classes"].items())
        print_lines(f"{row['score']}: {row['with_score']} of {len(table)} studies have it ({classes}).")
        for part, count in row["missing_parts"].items():
            print_lines(f"  {count} without {part}")
    print_lines(*([f"Points of each part: {out}"] if out else []), RESEARCH_USE_ONLY)


def _check_out(out: Path) -> None:
    """Refuse a folder, and any file that is no earlier table of scores: it may be the cohort's own."""
    if out.is_dir():
        raise UsageError("--out is a folder: name a file, such as scores.csv.")
    if not out.exists():
        return
    with out.open("rb") as file:
        head = file.readline(4096)
    if not (head.startswith(b"study_id,") and b"_points," in head):
        raise UsageError("The file after --out is there and is no table of scores: name another one.")


def _summary(table: Any, name: str) -> dict[str, Any]:
    classes = table[f"{name}_class"].value_counts()
    beginning = f"{name}_part_"
    lacking = {
        column.removeprefix(beginning).replace("_", " "): int(table[column].isna().sum())
        for column in table.columns
        if column.startswith(beginning) and table[column].isna().any()
    }
    return {
        "score": name,
        "with_score": int(table[f"{name}_points"].notna().sum()),
        "classes": {level: int(count) for level, count in sorted(classes.items()) if level},
        "missing_parts": dict(sorted(lacking.items(), key=lambda item: -item[1])),
    }


def _show_study(study: str, listed: dict[str, Any], table: Any, *, json: bool) -> None:
    row = table.loc[study]
    if json:
        print_json(
            {
                "study": study,
                "scores": {
                    name: {
                        "points": row[f"{name}_points"],
                        "class": row[f"{name}_class"],
                        "missing": row[f"{name}_missing"],
                        "parts": table_rows(lines),
                    }
                    for name, lines in listed.items()
                },
            }
        )
        return
    for name, lines in listed.items():
        points, level = row[f"{name}_points"], row[f"{name}_class"]
        told = f"{points:g} points, class {level}" if level else "no score"
        print_table(lines, title=f"{study}, {name}: {told}, {row[f'{name}_missing']} parts missing")
    print_lines(RESEARCH_USE_ONLY)
