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

ROWS = 50


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
    return TrainingScores(
        sample_id=generator.integers(0, 2**60, ROWS),
        given=given,
        verified=generator.random(ROWS) < 0.3,
        epochs=seen,
        suspicions=suspicions,
        preferred=given,
        weight=generator.choice([0.0, 0.5, math.nan], target.shape),
        target=target,
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


def test_a_row_takes_forty_bytes_at_most(tmp_path: Path) -> None:
    """Of two networks, of three, and of many epochs; an entry of AUs takes fewer."""
    for kind, networks, epochs, most in (("single", 2, 30, 36), ("single", 3, 400, 40), ("multi", 2, 30, 20)):
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
