"""Keyed streams: what is drawn depends on the key and the sample, on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fernoise_bench.benchmark import random_streams as streams

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
SAMPLES = st.lists(st.integers(0, 2**45), min_size=1, max_size=40)

CPU = torch.device("cpu")


def mixed(state: int) -> int:
    """SplitMix64's finaliser in Python's own integers."""
    state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & MASK
    return state ^ (state >> 31)


def uniform(stream: int, sample: int, draw: int) -> float:
    """One number, from the definition."""
    start = mixed((sample * GOLDEN + stream) & MASK)
    return (mixed((start + (draw + 1) * GOLDEN) & MASK) >> 11) / 2**53


@given(stream=st.integers(0, 2**63 - 1), samples=SAMPLES, count=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_uniforms_are_the_counter_hash_of_key_sample_and_draw(stream: int, samples: list[int], count: int) -> None:
    found = streams.uniforms(stream, np.array(samples), count)
    assert found.dtype == np.float64
    assert found.tolist() == [[uniform(stream, sample, draw) for draw in range(count)] for sample in samples]


@given(samples=SAMPLES, cut=st.integers(0, 40), count=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_uniforms_depend_neither_on_order_nor_on_chunks_nor_on_the_number_of_draws(
    samples: list[int], cut: int, count: int
) -> None:
    index = np.array(samples)
    whole = streams.uniforms(7, index, count)
    np.testing.assert_array_equal(streams.uniforms(7, index[::-1], count), whole[::-1])
    chunks = [streams.uniforms(7, part, count) for part in (index[:cut], index[cut:])]
    np.testing.assert_array_equal(np.concatenate(chunks), whole)
    np.testing.assert_array_equal(streams.uniforms(7, index, count + 5)[:, :count], whole)


def test_uniforms_are_uniform_in_every_column() -> None:
    """Kolmogorov-Smirnov distance below the bound that a fair generator passes nearly always."""
    size = 4000
    drawn = np.sort(streams.uniforms(streams.key(0, "augment", 0, 0), np.arange(size), 18), axis=0)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    steps = np.arange(1, size + 1)[:, None] / size
    distance = np.maximum(np.abs(drawn - steps), np.abs(drawn - steps + 1 / size)).max(axis=0)
    assert (distance < 2.2 / np.sqrt(size)).all()


@pytest.mark.parametrize(
    "other",
    [
        streams.key(0, "augment", 0, 1),
        streams.key(0, "augment", 1, 0),
        streams.key(0, "order", 0, 0),
        streams.key(1, "augment", 0, 0),
    ],
    ids=["epoch", "view", "purpose", "seed"],
)
def test_streams_of_other_keys_are_not_correlated(other: int) -> None:
    index = np.arange(4000)
    one = streams.uniforms(streams.key(0, "augment", 0, 0), index, 1)[:, 0]
    assert abs(np.corrcoef(one, streams.uniforms(other, index, 1)[:, 0])[0, 1]) < 0.07


def test_neighbouring_samples_and_draws_are_not_correlated() -> None:
    drawn = streams.uniforms(streams.key(0, "augment", 0, 0), np.arange(4000), 2)
    assert abs(np.corrcoef(drawn[:-1, 0], drawn[1:, 0])[0, 1]) < 0.07
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 1])[0, 1]) < 0.07


def test_keys_are_63_bit_and_tell_their_parts_apart() -> None:
    parts: list[tuple[int | str, ...]] = [
        *((0,), (1,), ("0",), (0, 1), ("01",), ("0", "1"), (0, "1"), (1, 0)),
        *(("order", 0), ("order", 0, 0), ("order0",)),
    ]
    keys = [streams.key(*each) for each in parts]
    assert len(set(keys)) == len(parts)
    assert all(0 <= key < 2**63 for key in keys)
    assert keys == [streams.key(*each) for each in parts]


def test_a_key_does_not_change_between_versions() -> None:
    """Pinned: another value would make every stored trial another one."""
    assert streams.key(0, "order", 3) == 1855528780364446383


@given(rows=st.sets(st.integers(0, 10_000), max_size=60))
@settings(max_examples=30, deadline=None)
def test_order_is_a_permutation_by_the_draw_of_each_row(rows: set[int]) -> None:
    index = np.array(sorted(rows), dtype=np.int64)
    found = streams.order(5, index)
    assert found.tolist() == sorted(rows, key=lambda row: uniform(5, row, 0))
    np.testing.assert_array_equal(streams.order(5, index[::-1]), found)


def test_a_subset_keeps_its_order() -> None:
    """Rows that leave a training set do not reorder the others."""
    everything = streams.order(5, np.arange(50))
    few = np.arange(0, 50, 3)
    np.testing.assert_array_equal(streams.order(5, few), [row for row in everything if row in few])


def test_generators_follow_from_their_key() -> None:
    cpu = torch.device("cpu")

    def draw(*parts: int | str) -> list[float]:
        drawn: list[float] = torch.rand(4, generator=streams.generator(cpu, *parts)).tolist()
        return drawn

    assert draw(0, "recot", 1, 2) == draw(0, "recot", 1, 2)
    assert len({tuple(draw(0, "recot", 1, step)) for step in range(20)}) == 20


def test_construction_has_a_stream_of_its_own_and_puts_the_global_one_back() -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    with streams.scope(CPU, 0, "construction"):
        inside = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(4)
    with streams.scope(CPU, 0, "construction"):
        assert torch.equal(torch.rand(3), inside)
    with streams.scope(CPU, 1, "construction"):
        assert not torch.equal(torch.rand(3), inside)


def test_construction_puts_the_global_stream_back_after_an_error() -> None:
    before = torch.get_rng_state()
    with pytest.raises(RuntimeError, match="inside"), streams.scope(CPU, 0, "construction"):
        raise RuntimeError("inside")
    assert torch.equal(torch.get_rng_state(), before)
