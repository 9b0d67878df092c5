"""Points of the plane: neighbours stay neighbours, the same every time, and none where nothing can be drawn."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from pefuse.report.tsne import FEWEST, perplexity_of, place, shown_cases


def clusters(each: int = 30, width: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Three groups, far apart."""
    group = np.repeat(np.arange(3), each)
    return group, np.random.default_rng(0).normal(size=(3 * each, width)) + 20.0 * group[:, None]


def test_neighbours_stay_neighbours():
    """The nearest point of each is of its own group, and groups do not mix."""
    group, vectors = clusters()
    points = place(vectors)
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)

    assert points.shape == (90, 2)
    assert (group[distances.argmin(axis=1)] == group).all()


def test_the_same_vectors_give_the_same_points_whatever_the_threads_and_the_scale():
    _, vectors = clusters()
    points = place(vectors)
    code = (
        "import numpy as np; from pefuse.report.tsne import place;"
        "group = np.repeat(np.arange(3), 30);"
        "print(repr(place(np.random.default_rng(0).normal(size=(90, 5)) + 20.0 * group[:, None]).tobytes().hex()))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "OMP_NUM_THREADS": "2"}, capture_output=True, check=True
    )

    assert place(vectors).tobytes() == points.tobytes()
    assert other.stdout.decode().strip() == repr(points.tobytes().hex())
    assert np.isfinite(place(1e30 * vectors)).all()


@pytest.mark.parametrize("count", [0, 1, 2, FEWEST - 1])
def test_too_few_are_not_drawn(count):
    assert place(np.random.default_rng(0).normal(size=(count, 4))) is None


def test_the_fewest_that_are_drawn_have_a_perplexity_below_their_number():
    points = place(np.random.default_rng(0).normal(size=(FEWEST, 4)))

    assert points.shape == (FEWEST, 2)
    assert np.isfinite(points).all()


@pytest.mark.parametrize(("count", "expected"), [(10, 3), (46, 15), (91, 30), (358, 30), (5000, 30)])
def test_perplexity_is_lowered_for_few(count, expected):
    """A third of the other cases, at most 30: (46 - 1) / 3 = 15."""
    assert perplexity_of(count) == expected


@pytest.mark.parametrize("value", [0.0, 3.5])
def test_vectors_that_are_all_the_same_are_not_drawn(value):
    assert place(np.full((40, 6), value)) is None


def test_vectors_of_one_number_are_drawn():
    assert np.isfinite(place(np.random.default_rng(0).normal(size=(30, 1)))).all()


def test_dead_numbers_and_doubles_do_no_harm():
    """As a rectified embedding has them: columns of zeros, and cases that are the same."""
    vectors = np.maximum(np.random.default_rng(0).normal(size=(40, 6)), 0)
    vectors[:, 2:4] = 0
    vectors[20:] = vectors[:20]

    assert np.isfinite(place(vectors)).all()


def test_all_cases_are_shown_while_there_is_room():
    np.testing.assert_array_equal(shown_cases(["test", "train"] * 5, most=10), np.arange(10))


@pytest.mark.parametrize(
    ("tests", "others", "shown"),
    [(1000, 1000, 50), (10, 1000, 10), (1000, 10, 90), (0, 1000, 0), (1000, 0, 100), (60, 60, 50)],
)
def test_of_many_cases_the_test_gets_half_of_the_room_and_what_the_others_leave(tests, others, shown):
    splits = ["test"] * tests + ["train"] * others
    picked = shown_cases(splits, most=100)

    assert len(picked) == len(set(picked.tolist())) == 100
    assert sum(splits[row] == "test" for row in picked) == shown
    assert (np.diff(picked) > 0).all()
    np.testing.assert_array_equal(picked, shown_cases(splits, most=100))
