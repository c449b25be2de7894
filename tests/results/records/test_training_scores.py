"""The file of a training's scores: small, optional, read as it was written, and named where it is damaged."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.files import read_arrays, write_arrays
from fernoise_bench.results.records.training_scores import (
    SUSPICIONS,
    TRAINING_SCORES,
    TrainingScores,
    read_training_scores,
    write_training_scores,
)

ROWS, CLASSES = 50, 8


def scores(kind: str, networks: int = 2, epochs: int = 30) -> TrainingScores:
    """Made-up scores; the first row was never drawn, and some labels are unknown."""
    generator = np.random.default_rng(0)
    given = generator.integers(-1, 8, ROWS) if kind == "single" else generator.integers(-1, 2, (ROWS, 5))
    seen = generator.integers(1, epochs + 1, ROWS)
    seen[0] = 0
    known = (given >= 0) & (seen > 0) if kind == "single" else (given != 0) & (seen > 0)[:, None]
    suspicions = {name: np.where(known, generator.random(given.shape), math.nan) for name in SUSPICIONS}
    suspicions["forgetting"] = np.where(known, np.round(suspicions["forgetting"] * epochs), math.nan)
    target = np.stack([given] * networks)
    p = generator.dirichlet(np.ones(CLASSES), ROWS)
    p[0] = math.nan
    single = kind == "single"
    return TrainingScores(
        sample_id=generator.integers(0, 2**60, ROWS),
        given=given,
        verified=generator.random(ROWS) < 0.3,
        epochs=seen,
        suspicions=suspicions,
        preferred=given,
        weight=generator.choice([0.0, 0.5, math.nan], target.shape),
        target=target,
        probabilities=p.astype(np.float16) if single else None,
        alternative=np.where(seen > 0, p.argmax(axis=1), -1) if single else None,
    )


@pytest.mark.parametrize(("kind", "precision"), [("single", 2**-24), ("multi", 2**-11)])
def test_what_is_written_is_read(kind: str, precision: float, tmp_path: Path) -> None:
    written = scores(kind)
    write_training_scores(tmp_path, written)
    found = read_training_scores(tmp_path)
    assert found is not None
    for name in ("sample_id", "given", "verified", "epochs", "preferred", "target"):
        assert np.array_equal(getattr(found, name), getattr(written, name)), name
    assert found.weight is not None
    assert np.array_equal(found.weight, written.weight, equal_nan=True)
    assert list(found.suspicions) == list(SUSPICIONS)
    for name, values in written.suspicions.items():
        assert found.suspicions[name].dtype == np.float64
        np.testing.assert_allclose(found.suspicions[name], values, rtol=precision, atol=2**-24)
    assert np.array_equal(found.suspicions["forgetting"], written.suspicions["forgetting"], equal_nan=True)
    if kind == "multi":
        assert found.probabilities is found.alternative is None
        return
    assert found.probabilities is not None
    assert found.probabilities.dtype == np.float64
    assert np.array_equal(found.probabilities, written.probabilities, equal_nan=True)  # type: ignore[arg-type]
    assert np.array_equal(found.alternative, written.alternative)  # type: ignore[arg-type]


def test_the_last_probabilities_hold_the_given_label_s_own() -> None:
    """More precise than the others; of an unknown label all are of half precision."""
    suspicions = {name: np.array([0.25001, math.nan, math.nan]) for name in SUSPICIONS}
    p = np.array([[0.75, 0.25], [0.1, 0.9], [math.nan, math.nan]], dtype=np.float16)
    given, three = np.array([0, -1, 1]), np.arange(3)
    found = TrainingScores(three, given, three > 3, np.array([1, 1, 0]), suspicions, given, probabilities=p)
    assert found.last_probabilities is not None
    assert found.last_probabilities.dtype == np.float64
    expected = [[1 - 0.25001, 0.25], p[1].tolist(), [math.nan, math.nan]]
    assert np.array_equal(found.last_probabilities, expected, equal_nan=True)


def test_a_file_of_an_earlier_version_has_no_probabilities(tmp_path: Path) -> None:
    write_training_scores(tmp_path, scores("single"))
    arrays = read_arrays(tmp_path / TRAINING_SCORES)
    del arrays["probabilities"], arrays["alternative"]
    write_arrays(tmp_path / TRAINING_SCORES, arrays)
    found = read_training_scores(tmp_path)
    assert found is not None
    assert found.probabilities is found.alternative is found.last_probabilities is None
    assert np.array_equal(found.given, scores("single").given)


def test_presence_of_aus_follows_from_the_last_suspicion() -> None:
    given = np.array([[1, -1, 0]])
    suspicions = {name: np.array([[0.25, 0.25, math.nan]]) for name in SUSPICIONS}
    one = np.array([1])
    found = TrainingScores(one, given, one > 1, one, suspicions, given)
    assert np.array_equal(found.last_probabilities, [[0.75, 0.25, math.nan]], equal_nan=True)


def test_a_row_takes_forty_bytes_at_most_beside_its_probabilities(tmp_path: Path) -> None:
    """Of two networks, of three, and of many epochs; an entry of AUs takes fewer."""
    more = 2 * CLASSES + 1
    for kind, networks, epochs, most in (
        ("single", 2, 30, 36 + more),
        ("single", 3, 400, 40 + more),
        ("multi", 2, 30, 20),
    ):
        written = scores(kind, networks, epochs)
        write_training_scores(tmp_path, written)
        size = sum(array.nbytes for array in read_arrays(tmp_path / TRAINING_SCORES).values())
        assert size <= most * written.given.size


def test_a_trial_may_have_none(tmp_path: Path) -> None:
    assert read_training_scores(tmp_path) is None


def test_decisions_that_were_not_reported_are_none(tmp_path: Path) -> None:
    written = scores("single")
    reported = TrainingScores(*(getattr(written, name) for name in list(written.__dataclass_fields__)[:6]))
    write_training_scores(tmp_path, reported)
    found = read_training_scores(tmp_path)
    assert found is not None
    assert found.weight is found.target is found.kept is None


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for _ in range(2):
        write_training_scores(tmp_path, scores("multi"))
        contents.append((tmp_path / TRAINING_SCORES).read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("loss", None, "loss is missing"),
        ("given", np.zeros((2, 2, 2), np.int8), "neither"),
        ("aum", np.zeros(3, np.float32), r"aum is \[3\]"),
        ("weight", np.zeros((0, ROWS), np.float16), r"weight is \[0, 50\]"),
        ("target", np.zeros(ROWS, np.int8), r"target is \[50\]"),
        ("weight", np.zeros((), np.float16), r"weight is \[\]"),
        ("verified", np.zeros(ROWS, np.int8), "verified holds int8"),
        ("mean", np.zeros(ROWS, np.int8), "mean holds int8"),
        ("weight", np.zeros((3, ROWS), np.float16), "different numbers of networks"),
        ("more", np.array(["a"] * ROWS), "more holds <U1"),
        ("probabilities", np.zeros(ROWS, np.float16), r"probabilities is \[50\]"),
        ("probabilities", np.zeros((ROWS, 8), np.int8), "probabilities holds int8"),
        ("probabilities", np.zeros((ROWS, 1), np.float16), "probabilities are of 1 classes"),
        ("probabilities", np.zeros((ROWS, 7), np.float16), "probabilities are of 7 classes, given labels of 8"),
        ("probabilities", np.full((ROWS, 8), 1.5, np.float16), r"a probability lies outside \[0, 1\]"),
        ("alternative", np.zeros((ROWS, 8), np.int8), r"alternative is \[50, 8\]"),
        ("alternative", np.zeros(ROWS, np.float16), "alternative holds float16"),
        ("loss", np.full(ROWS, np.inf, np.float32), "a loss is infinite"),
    ],
)
def test_damage_is_named(name: str, value: object, why: str, tmp_path: Path) -> None:
    write_training_scores(tmp_path, scores("single"))
    arrays = read_arrays(tmp_path / TRAINING_SCORES)
    if value is None:
        del arrays[name]
    else:
        arrays[name] = value  # type: ignore[assignment]
    write_arrays(tmp_path / TRAINING_SCORES, arrays)
    with pytest.raises(BadInput, match=rf"training_scores.npz is damaged \(.*{why}"):
        read_training_scores(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / TRAINING_SCORES).write_bytes(b"no zip")
    with pytest.raises(BadInput, match=r"training_scores.npz"):
        read_training_scores(tmp_path)
