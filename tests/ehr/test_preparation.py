"""The fitted preparation: by hand on small records, and deaf to everything outside its training fold."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csc_matrix

from pefuse.ehr import FeaturePreparation, PreparationConfig, RawColumn, RawRecord
from pefuse.errors import RecordError, UsageError

NAN = float("nan")


def record(**columns: tuple[str, str, list[Any]]) -> RawRecord:
    """A raw record from `name=(family, kind, values)`; a missing number is NaN, a missing text ""."""
    count = len(next(iter(columns.values()))[2])
    dense = {name: column for name, column in columns.items() if column[1] != "categorical"}
    texts = {name: column for name, column in columns.items() if column[1] == "categorical"}
    rows, places, values = [], [], []
    for place, (_, kind, content) in enumerate(dense.values()):
        for row, value in enumerate(content):
            if not np.isnan(value) and (kind == "continuous" or value):
                rows.append(row)
                places.append(place)
                values.append(value)
    return RawRecord(
        study_ids=tuple(f"s{row}" for row in range(count)),
        columns=tuple(
            RawColumn(key=name, name=name, family=family, kind=kind)  # type: ignore[arg-type]
            for name, (family, kind, _) in {**dense, **texts}.items()
        ),
        values=csc_matrix((np.array(values, dtype=np.float32), (rows, places)), shape=(count, len(dense))),
        texts=np.array([content for _, _, content in texts.values()], dtype=object).reshape(len(texts), count).T,
        has_record=np.ones(count, dtype=bool),
    )


def prepared(raw: RawRecord, *, train: int | None = None, transform: dict[str, Any] | None = None, **config: Any):
    ids = list(raw.study_ids)
    preparation = FeaturePreparation.fit(raw, ids[:train], config=PreparationConfig(**config))
    features = preparation.transform(raw, ids, **(transform or {}))
    return preparation, dict(zip(features.names, features.values.T, strict=True))


def test_numbers_are_scaled_by_the_training_mean_and_sd_and_the_missing_take_the_mean():
    """Of 1, 3 (mean 2, SD 1): -1, 1, and 0 for the missing; 7 would be 5 SD, 9 is clipped there."""
    raw = record(x=("lab", "continuous", [1, 3, NAN, 7, 9]))

    _, columns = prepared(raw, train=3)

    np.testing.assert_allclose(columns["x"], [-1, 1, 0, 5, 5])
    np.testing.assert_array_equal(columns["x missing"], [0, 0, 1, 0, 0])


def test_unscaled_and_unimputed_values_are_the_raw_ones():
    raw = record(x=("lab", "continuous", [1, 3, NAN, 70, 9]))

    preparation, columns = prepared(raw, train=3, transform={"scale": False, "impute": False})
    imputed = preparation.transform(raw, raw.study_ids, scale=False)

    np.testing.assert_array_equal(columns["x"], [1, 3, NAN, 70, 9])
    np.testing.assert_array_equal(imputed.values[:, 0], [1, 3, 2, 70, 9])


def test_the_median_may_be_imputed_instead():
    """Of 0, 1, 8 the mean is 3 and the median 1."""
    raw = record(x=("lab", "continuous", [0, 1, 8, NAN]))

    _, columns = prepared(raw, impute="median", transform={"scale": False})

    assert columns["x"][3] == 1


def test_a_right_skewed_number_is_scaled_in_logarithms_and_its_mean_there_is_zero():
    values = [1, 1, 2, 2, 3, 3, 4, 5, 8, 200]
    raw = record(x=("lab", "continuous", [*values, NAN]))

    preparation, columns = prepared(raw)
    plain, _ = prepared(raw, log_skewed=False)

    logged = np.log1p(values)
    np.testing.assert_allclose(columns["x"][:-1], (logged - logged.mean()) / logged.std(), rtol=1e-5)
    assert columns["x"][-1] == pytest.approx(0, abs=1e-6)
    assert preparation.columns[0].logarithm
    assert not plain.columns[0].logarithm


def test_numbers_below_zero_and_symmetric_ones_take_no_logarithm():
    raw = record(
        below=("lab", "continuous", [-1, 1, 1, 2, 2, 3, 3, 4, 5, 200]),
        even=("lab", "continuous", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]),
    )

    preparation, _ = prepared(raw)

    assert not any(column.logarithm for column in preparation.columns)


def test_binary_columns_stay_zero_and_one():
    raw = record(
        drug=("medication", "binary", [1, 0, 0, 1]),
        flag=("table", "continuous", [1, 1, 0, NAN]),
    )

    _, columns = prepared(raw)

    assert columns["drug"].tolist() == [1, 0, 0, 1]
    assert columns["flag"].tolist() == [1, 1, 0, 1]  # the missing one is the commoner
    assert columns["flag missing"].tolist() == [0, 0, 0, 1]


def test_constants_identifiers_rare_codes_and_the_almost_always_missing_are_dropped():
    """Of 100 training studies 4 have `rare` and 5 have `usual`; `row` numbers them; `seldom` is there in none."""
    count = 100
    raw = record(
        always=("lab", "continuous", [7.0] * count),
        row=("table", "continuous", list(range(count))),
        platelets=("lab", "continuous", [100 + 3 * number for number in range(count)]),
        rare=("diagnosis", "binary", [1] * 4 + [0] * (count - 4)),
        usual=("diagnosis", "binary", [1] * 5 + [0] * (count - 5)),
        pill=("medication", "binary", [1] + [0] * (count - 1)),
        everyone=("medication", "binary", [1] * count),
        seldom=("lab", "continuous", [NAN] * count),
        accession=("table", "categorical", [f"A{number}" for number in range(count)]),
        same=("arrival", "categorical", ["x"] * count),
    )

    preparation, columns = prepared(raw)

    assert set(columns) == {"platelets", "usual", "pill"}
    assert preparation.dropped == {
        "always": "constant",
        "row": "identifier",
        "rare": "rare",
        "everyone": "constant",
        "seldom": "missing in almost all",
        "accession": "identifier",
        "same": "constant",
    }


@pytest.mark.parametrize(("missing", "marked"), [(0, False), (1, False), (2, True), (198, True), (199, False)])
def test_missing_indicators_are_there_between_one_and_99_percent(missing, marked):
    """Of 200 studies: 1 is 0.5 %, 2 are 1 %, 198 are 99 %, 199 are 99.5 %."""
    raw = record(
        x=("lab", "continuous", [NAN] * missing + [float(number) for number in range(200 - missing)]),
        y=("lab", "continuous", [float(number % 7) for number in range(200)]),
    )

    _, columns = prepared(raw, min_present_share=0.0)

    assert ("x missing" in columns) is marked
    _, without = prepared(raw, missing_indicators=False)
    assert "x missing" not in without


def test_categories_become_one_column_a_level_and_the_unseen_none_of_them():
    raw = record(wing=("arrival", "categorical", ["a", "b", "c", "a", "", "z"]))

    _, columns = prepared(raw, train=5)

    assert {name: column.tolist() for name, column in columns.items()} == {
        "wing: a": [1, 0, 0, 1, 0, 0],
        "wing: b": [0, 1, 0, 0, 0, 0],
        "wing: c": [0, 0, 1, 0, 0, 0],
        "wing: missing": [0, 0, 0, 0, 1, 0],
    }


def test_of_two_levels_one_column_is_enough():
    _, columns = prepared(record(sex=("demographic", "categorical", ["F", "M", "M"])))

    assert {name: column.tolist() for name, column in columns.items()} == {"sex: M": [0, 1, 1]}


def test_categories_may_be_codes_for_embeddings():
    raw = record(wing=("arrival", "categorical", ["a", "b", "c", "a", "z"]))

    preparation, columns = prepared(raw, train=4, categorical="codes")

    assert columns["wing"].tolist() == [1, 2, 3, 1, 0]
    assert preparation.columns[0].levels == ("a", "b", "c")
    assert preparation.columns[0].feature.kind == "categorical"


def random_record(generator: np.random.Generator, count: int = 60) -> dict[str, tuple[str, str, list[Any]]]:
    numbers = np.where(generator.random(count) < 0.3, NAN, generator.lognormal(1, 1, count))
    return {
        "lab": ("lab", "continuous", numbers.tolist()),
        "code": ("diagnosis", "binary", (generator.random(count) < 0.2).astype(float).tolist()),
        "wing": ("arrival", "categorical", generator.choice(["a", "b", "c", ""], count).tolist()),
    }


def test_nothing_outside_the_training_fold_changes_what_is_fitted():
    """The same 40 training studies beside two very different sets of 20 others: the same preparation."""
    first = random_record(np.random.default_rng(1))
    train = [f"s{row}" for row in range(40)]
    others: dict[str, list[Any]] = {"lab": [1e6] * 20, "code": [1.0] * 20, "wing": ["new"] * 20}
    second = {
        name: (family, kind, [*values[:40], *others[name]]) for name, (family, kind, values) in first.items()
    }

    one = FeaturePreparation.fit(record(**first), train)
    two = FeaturePreparation.fit(record(**second), train)

    assert one == two
    np.testing.assert_array_equal(
        one.transform(record(**first), train).values, two.transform(record(**second), train).values
    )


def test_a_changed_training_value_does_change_it():
    columns = random_record(np.random.default_rng(1))
    train = [f"s{row}" for row in range(40)]
    before = FeaturePreparation.fit(record(**columns), train)
    columns["lab"][2][next(row for row in range(40) if not np.isnan(columns["lab"][2][row]))] += 1.0

    assert FeaturePreparation.fit(record(**columns), train) != before


def test_it_survives_json_and_gives_the_same_bits():
    raw = record(**random_record(np.random.default_rng(2)))
    preparation = FeaturePreparation.fit(raw, raw.study_ids[:40])

    text = json.dumps(preparation.to_json(), allow_nan=False)
    again = FeaturePreparation.from_json(json.loads(text))

    assert again == preparation
    np.testing.assert_array_equal(
        again.transform(raw, raw.study_ids).values, preparation.transform(raw, raw.study_ids).values
    )


@pytest.mark.parametrize("content", [{}, {"format": 99}, {"format": 1}, {"format": 1, "config": {"x": 1}}])
def test_a_damaged_json_is_named(content):
    with pytest.raises(RecordError, match="train the model again"):
        FeaturePreparation.from_json(content)


def spoilt(**changes):
    """The JSON of a preparation of one number, with its column or a top entry changed."""
    raw = record(x=("lab", "continuous", [1, 2, 3, 5]))
    content = FeaturePreparation.fit(raw, raw.study_ids).to_json()
    content = json.loads(json.dumps(content))
    for name, value in changes.items():
        place = content if name in content else content["columns"][0]
        place[name] = value
    return content


@pytest.mark.parametrize(
    "content",
    [
        spoilt(columns=[]),
        spoilt(sd=0.0),
        spoilt(sd=float("inf")),
        spoilt(mean="high"),
        spoilt(role="secret"),
        spoilt(role="level"),
        spoilt(colour="red"),
        spoilt(config={"clip_sd": float("nan")}),
        spoilt(config={"min_level_share": 2}),
        spoilt(other=1),
    ],
)
def test_a_json_that_would_give_wrong_numbers_is_refused(content):
    with pytest.raises(RecordError, match="train the model again"):
        FeaturePreparation.from_json(content)


def test_some_columns_alone_are_prepared_as_among_all():
    raw = record(**random_record(np.random.default_rng(5)))
    preparation = FeaturePreparation.fit(raw, raw.study_ids)
    some = [3, 0]

    np.testing.assert_array_equal(
        preparation.only(some).transform(raw, raw.study_ids).values,
        preparation.transform(raw, raw.study_ids).values[:, some],
    )


def test_a_mark_that_became_a_number_is_refused():
    """Its gaps would be NaN, not "not set"."""
    marks = record(code=("diagnosis", "binary", [1.0, 0.0, 1.0]))
    numbers = record(code=("diagnosis", "continuous", [1.0, 2.0, 3.0]))

    for trained, given in ((marks, numbers), (numbers, marks)):
        preparation = FeaturePreparation.fit(trained, trained.study_ids)
        with pytest.raises(RecordError, match=r"'code' was .* in training and now is"):
            preparation.transform(given, given.study_ids)


def test_one_study_gets_what_it_gets_among_others():
    """A new patient's record holds only the columns that they have: the rest is missing or not set."""
    raw = record(**random_record(np.random.default_rng(3)))
    preparation = FeaturePreparation.fit(raw, raw.study_ids)
    alone = record(code=("diagnosis", "binary", [1.0]))

    features = preparation.transform(alone, ["s0"])
    row = dict(zip(features.names, features.values[0], strict=True))

    assert row["code"] == 1
    assert row["lab"] == pytest.approx(0, abs=1e-6)
    assert row["lab missing"] == 1
    assert row["wing: missing"] == 1
    assert row["wing: a"] == 0


def test_values_are_float32_without_nan_and_in_the_order_asked_for():
    raw = record(**random_record(np.random.default_rng(4)))
    preparation = FeaturePreparation.fit(raw, raw.study_ids[:30])

    features = preparation.transform(raw, ["s50", "s3"])
    all_of_them = preparation.transform(raw, raw.study_ids)

    assert features.study_ids == ("s50", "s3")
    assert features.values.dtype == np.float32
    assert not np.isnan(all_of_them.values).any()
    np.testing.assert_array_equal(features.values, all_of_them.values[[50, 3]])


def test_another_unit_or_kind_than_in_training_is_refused():
    raw = record(x=("table", "continuous", [1, 2, 3]))
    column = RawColumn(key="x", name="x", family="table", kind="continuous", unit="mg/dL")
    in_units = RawRecord(**{**vars(raw), "columns": (column,)})
    preparation = FeaturePreparation.fit(in_units, raw.study_ids)

    with pytest.raises(RecordError, match="'x' is in '' but was in 'mg/dL'"):
        preparation.transform(raw, raw.study_ids)
    with pytest.raises(RecordError, match="'x' was a number in training"):
        preparation.transform(record(x=("table", "categorical", ["a", "b"])), ["s0"])


def test_what_cannot_be_fitted_is_refused():
    raw = record(x=("lab", "continuous", [1, 1, 1]))
    with pytest.raises(RecordError, match="teaches nothing"):
        FeaturePreparation.fit(raw, raw.study_ids)
    with pytest.raises(RecordError, match="needs 2 or more"):
        FeaturePreparation.fit(raw, ["s0"])
    with pytest.raises(UsageError, match="Study s9 is not among the 3"):
        FeaturePreparation.fit(raw, ["s0", "s9"])


@pytest.mark.parametrize(
    "wrong", [{"clip_sd": 0.0}, {"min_diagnosis_share": 1.5}, {"impute": "zero"}, {"categorical": "hash"}]
)
def test_wrong_options_are_the_users_error(wrong):
    with pytest.raises(UsageError):
        PreparationConfig(**wrong)
