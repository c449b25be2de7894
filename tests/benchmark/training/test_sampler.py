"""Samplers: which rows an epoch trains on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.benchmark.training.sampler import Sampler, visits
from fernoise_bench.protocols.base import Augmentation, Recipe
from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.errors import BadInput

few = settings(max_examples=40, deadline=None)


def make(size: int, batch: int, *, verified: int = 0, given: Any = None, seed: int = 0, **recipe: Any) -> Sampler:
    """A sampler over `size` rows of which the first `verified` are verified."""
    chosen = Recipe("small", "none", 3, batch, Augmentation(crop=8), **recipe)
    labels = np.zeros(size, dtype=np.int64) if given is None else given
    return Sampler(chosen, np.arange(size) < verified, labels, seed)


@given(size=st.integers(1, 200), batch=st.integers(1, 64), epoch=st.integers(0, 5))
@few
def test_shuffle_draws_each_row_at_most_once_and_drops_the_incomplete_batch(size: int, batch: int, epoch: int) -> None:
    sampler = make(size, batch)
    rows = sampler.epoch(epoch)
    wide = min(batch, size)
    assert rows.shape == (size // wide, wide) == (sampler.steps, sampler.batch_size)
    assert len(set(rows.ravel().tolist())) == rows.size
    assert set(rows.ravel().tolist()) <= set(range(size))
    assert size - rows.size < wide


@pytest.mark.parametrize("name", ["emotionet-3split", "bp4d-3fold", "disfa-3fold"])
@pytest.mark.parametrize("profile", ["paper", "small", "smoke"])
def test_a_pool_draws_clean_and_noisy_rows_as_they_come(name: str, profile: str) -> None:
    halves, pool = (find(protocol).profile(profile).recipe for protocol in (name, f"{name}:pool"))
    kept = {"sampler": pool.sampler, "verified_per_batch": 0, "sources": pool.sources}
    assert (halves.sampler, pool) == ("fixed", replace(halves, **kept))
    verified = np.arange(500) < 100
    sampler = Sampler(pool, verified, np.zeros(500, dtype=np.int64), 0)
    rows = sampler.epoch(0)
    assert len(set(rows.ravel().tolist())) == rows.size == sampler.steps * pool.batch_size
    assert len(set(verified[rows].sum(axis=1).tolist())) > 1


def test_epochs_and_seeds_shuffle_differently_and_repeatably() -> None:
    first = make(100, 10).epoch(0)
    np.testing.assert_array_equal(make(100, 10).epoch(0), first)
    assert not np.array_equal(make(100, 10).epoch(1), first)
    assert not np.array_equal(make(100, 10, seed=1).epoch(0), first)


def test_over_epochs_shuffle_leaves_no_row_out() -> None:
    """The dropped rows are others each epoch."""
    sampler = make(25, 10)
    seen = Counter(row for epoch in range(40) for row in sampler.epoch(epoch).ravel().tolist())
    assert set(seen) == set(range(25))
    assert min(seen.values()) > 20


@given(
    clean=st.integers(1, 60), noisy=st.integers(1, 60), share=st.integers(1, 12), rest=st.integers(1, 12),
    epoch=st.integers(0, 3),
)  # fmt: skip
@few
def test_fixed_gives_every_batch_its_verified_rows_first_and_every_verified_row_a_place(
    clean: int, noisy: int, share: int, rest: int, epoch: int
) -> None:
    sampler = make(clean + noisy, share + rest, verified=clean, sampler="fixed", verified_per_batch=share)
    rows = sampler.epoch(epoch)
    assert rows.shape == (sampler.steps, sampler.batch_size) == (-(-clean // share), share + rest)
    assert (rows[:, :share] < clean).all()
    assert (rows[:, share:] >= clean).all()
    assert set(rows[:, :share].ravel().tolist()) == set(range(clean))


@given(clean=st.integers(1, 40), noisy=st.integers(1, 40), share=st.integers(1, 8), rest=st.integers(1, 8))
@few
def test_fixed_cycles_evenly_through_both_kinds_of_rows(clean: int, noisy: int, share: int, rest: int) -> None:
    """Within an epoch no row comes a second time before all of its kind came once, and so on."""
    sampler = make(clean + noisy, share + rest, verified=clean, sampler="fixed", verified_per_batch=share)
    rows = sampler.epoch(0)
    for part, size in ((rows[:, :share].ravel(), clean), (rows[:, share:].ravel(), noisy)):
        for start in range(0, len(part), size):
            turn = part[start : start + size].tolist()
            assert len(set(turn)) == len(turn)


def test_fixed_needs_both_kinds_of_rows() -> None:
    for verified in (0, 10):
        sampler = make(10, 4, verified=verified, sampler="fixed", verified_per_batch=2)
        with pytest.raises(BadInput, match="verified and unverified rows"):
            sampler.epoch(0)


def test_oversampling_gives_every_class_the_same_share() -> None:
    labels = np.repeat([0, 1, 3], [900, 90, 10])  # class 2 has no row
    sampler = make(1000, 100, given=labels, sampler="oversample")
    drawn = np.concatenate([labels[sampler.epoch(epoch)].ravel() for epoch in range(20)])
    share = np.bincount(drawn, minlength=4) / len(drawn)
    np.testing.assert_allclose(share, [1 / 3, 1 / 3, 0, 1 / 3], atol=0.02)


def test_oversampling_gives_the_rows_of_a_class_the_same_share() -> None:
    labels = np.repeat([0, 1], [30, 10])
    sampler = make(40, 40, given=labels, sampler="oversample")
    seen = np.bincount(np.concatenate([sampler.epoch(epoch).ravel() for epoch in range(400)]), minlength=40)
    expected = 400 * 40 / 2 / np.array([30, 10])[labels]
    assert np.abs(seen / expected - 1).max() < 0.25


@given(labels=st.lists(st.integers(0, 4), min_size=1, max_size=60), batch=st.integers(1, 20))
@few
def test_oversampling_draws_rows_that_exist(labels: list[int], batch: int) -> None:
    rows = make(len(labels), batch, given=np.array(labels), sampler="oversample").epoch(1)
    assert rows.shape == (max(1, len(labels) // min(batch, len(labels))), min(batch, len(labels)))
    assert ((rows >= 0) & (rows < len(labels))).all()


@pytest.mark.parametrize("kind", ["shuffle", "oversample", "fixed"])
def test_steps_are_capped(kind: Any) -> None:
    recipe = {"sampler": kind, "verified_per_batch": 5 if kind == "fixed" else 0}
    whole = make(100, 10, verified=50, **recipe)
    capped = make(100, 10, verified=50, max_steps=4, **recipe)
    assert (whole.steps, capped.steps) == (10, 4)
    assert capped.epoch(0).shape == (4, 10)
    assert make(100, 10, verified=50, max_steps=40, **recipe).steps == 10


def test_a_training_set_smaller_than_a_batch_is_one_batch_of_all_its_rows() -> None:
    sampler = make(7, 100)
    assert sorted(sampler.epoch(0).ravel().tolist()) == list(range(7))
    fixed = make(7, 20, verified=3, sampler="fixed", verified_per_batch=10)
    assert (fixed.steps, fixed.batch_size) == (1, 20)
    assert Counter((fixed.epoch(0) < 3).ravel().tolist()) == {True: 10, False: 10}


@given(rows=st.lists(st.integers(0, 6), min_size=1, max_size=48))
@few
def test_visits_counts_how_often_a_row_came_before(rows: list[int]) -> None:
    table = np.array(rows)[: len(rows) // 2 * 2 or 1].reshape(-1, 2 if len(rows) > 1 else 1)
    flat = table.ravel().tolist()
    expected = [sum(earlier == row for earlier in flat[:place]) for place, row in enumerate(flat)]
    found = visits(table)
    assert found.shape == table.shape
    assert found.ravel().tolist() == expected
