"""A run folder that cannot be read is refused in one line that names no path."""

from __future__ import annotations

import pandas as pd
import pytest

from pefuse.errors import RunError
from pefuse.report import build_report
from pefuse.report.run_folder import read_run


def damaged(make_run, change) -> str:
    """The message that a run gives after `change` was made to its predictions."""
    run = make_run(bare=True, models={"xgboost": 1.5})
    table = change(pd.read_csv(run / "predictions.csv"))
    table.to_csv(run / "predictions.csv", index=False)
    with pytest.raises(RunError) as raised:
        build_report(run)
    assert str(run) not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not (run / "report.html").exists()
    return str(raised.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(RunError, match="There is no such run folder"):
        build_report(tmp_path / "nothing")


def test_a_folder_without_predictions_is_refused(tmp_path):
    with pytest.raises(RunError, match=r"no predictions\.csv"):
        build_report(tmp_path)


def test_a_missing_column_is_named(make_run):
    assert 'the column "risk" is missing' in damaged(make_run, lambda table: table.drop(columns="risk"))


def test_a_label_outside_0_and_1_is_refused(make_run):
    assert "neither 0 nor 1" in damaged(make_run, lambda table: table.assign(label=2))


def test_a_risk_that_is_no_probability_is_refused(make_run):
    assert "risks run from" in damaged(make_run, lambda table: table.assign(risk=table["risk"] * 3))


@pytest.mark.parametrize("column", ["risk", "logit", "label"])
def test_text_in_a_column_of_numbers_is_named_by_its_line(make_run, column):
    """The text itself may be a name: it is not repeated."""

    def type_over(table):
        return table.astype({column: object}).assign(**{column: [*table[column][:-1], "see note"]})

    said = damaged(make_run, type_over)

    assert said.startswith(
        f"predictions.csv: line 1791 has text in the column {column}, where a number is needed."
    )
    assert "see note" not in said


def test_an_unknown_split_is_refused(make_run):
    assert 'the split "holdout"' in damaged(make_run, lambda table: table.replace({"split": {"test": "holdout"}}))


def test_a_doubled_row_is_refused(make_run):
    assert "stands twice" in damaged(make_run, lambda table: pd.concat([table, table.head(1)]))


def test_a_test_study_that_was_trained_on_is_refused(make_run):
    def leak(table):
        return table.assign(
            split=table["split"].where(table.index != table.index[table["split"] == "test"][0], "train")
        )

    assert "also trained on" in damaged(make_run, leak)


def test_a_model_without_test_studies_is_refused(make_run):
    """The end of the file was cut, and the rest is whole by chance."""
    assert "no test study of xgboost" in damaged(make_run, lambda table: table[table["split"] != "test"])


def test_predictions_without_rows_are_refused(make_run):
    assert "nothing to report" in damaged(make_run, lambda table: table.head(0))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cohort.json", "{"),
        ("cohort.json", "[1, 2]"),
        ("environment.json", '{"seconds": '),
        ("config.yaml", "a: [1"),
        ("quarantine.csv", "study_id,step\nS1,read\n"),
        ("ideal.csv", ""),
        ("characteristics.csv", "cancer,age\n1,60\n"),
        ("predictions.csv", ""),
    ],
)
def test_a_damaged_file_is_named(make_run, name, content):
    run = make_run(bare=True, models={"xgboost": 1.5})
    (run / name).write_text(content)

    with pytest.raises(RunError, match=name.replace(".", r"\.")) as raised:
        read_run(run)
    assert str(run) not in str(raised.value)


@pytest.mark.parametrize("name", ["studies.csv", "ideal.csv", "characteristics.csv", "subgroups.csv"])
def test_a_study_that_stands_twice_is_named(make_run, name):
    run = make_run(models={"xgboost": 1.5})
    if not (run / name).exists():
        (run / name).write_text("study_id,scanner\nS0001,a\nS0002,b\n")
    lines = (run / name).read_text().splitlines()
    (run / name).write_text("\n".join([*lines, lines[-1]]))

    with pytest.raises(RunError, match=rf"{name} of the run: study S0\d+ stands twice"):
        read_run(run)


def test_a_damaged_manifest_is_named_by_its_cell(make_run):
    run = make_run(models={"tabnet": 1.5})
    (run / "cells" / "tabnet-seed0-fold2" / "manifest.json").write_text('{"model": "tabnet"}')

    with pytest.raises(RunError, match="cell tabnet-seed0-fold2 is damaged"):
        read_run(run)


def test_models_that_found_nothing_important_leave_an_empty_table(make_run):
    """Trees that learned nothing: a file with a head and no rows, in every fold."""
    run = make_run()
    for path in run.glob("cells/*/importance.csv"):
        path.write_text("feature,importance\n")

    assert read_run(run).importance.empty


def test_importance_is_averaged_over_all_folds_of_a_model(make_run):
    """A feature that only one of five folds kept counts as 0 in the other four."""
    run = make_run(models={"tabnet": 1.5})
    for fold in range(5):
        rows = pd.DataFrame({"feature": ["age", "lactate"], "importance": [0.4, 0.6]}).head(1 if fold else 2)
        rows.to_csv(run / "cells" / f"tabnet-seed0-fold{fold}" / "importance.csv", index=False)

    found = read_run(run).importance.set_index("feature")["importance"]

    assert found.to_dict() == pytest.approx({"age": 0.4, "lactate": 0.12})


@pytest.mark.parametrize("left", [0.9999, 0.95, 0.7], ids=["by a row", "in the last fold", "by whole folds"])
def test_a_file_that_was_cut_is_refused(make_run, left):
    """A full disk or a broken copy: the last model would be judged on a part of its folds."""
    run = make_run(bare=True, models={"sanet": 1.2, "xgboost": 1.5})
    table = pd.read_csv(run / "predictions.csv")
    table.head(int(left * len(table))).to_csv(run / "predictions.csv", index=False)
    with pytest.raises(RunError, match=r"xgboost does not have as many studies .* seems to be cut"):
        build_report(run)


def test_cells_of_an_earlier_run_with_other_models_are_not_shown(make_run):
    run = make_run(models={"xgboost": 1.5, "sanet": 1.2})
    table = pd.read_csv(run / "predictions.csv")
    before = read_run(run)
    table[table["model"] == "xgboost"].to_csv(run / "predictions.csv", index=False)

    assert {cell.model for cell in before.cells} >= {"sanet"}
    assert {cell.model for cell in read_run(run).cells} <= {"xgboost"}
