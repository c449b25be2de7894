"""Pictures by number: taking and joining moves numbers, and what is read is what lies in the pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fernoise_bench.protocols.images import image_pool as module
from fernoise_bench.protocols.images.image_pool import (
    Images,
    Memory,
    copies_of,
    digests,
    first_of_copies,
    in_memory,
    join,
    of_pool,
)

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = st.lists(st.integers(0, 9), max_size=20)


def noise(count: int, side: int = 4, channels: int = 3, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


@dataclass
class Watched:
    """A pool that keeps count of what is read from it."""

    pixels: Array
    asked: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Array) -> Array:
        self.asked += rows.tolist()
        return self.pixels[rows]


# --- taking and joining


@given(first=ROWS, second=ROWS, third=st.lists(st.integers(0, 39), max_size=10))
def test_taking_and_joining_is_what_it_is_for_arrays(first: list[int], second: list[int], third: list[int]) -> None:
    one, other = noise(10), noise(10, seed=1)
    a, b = in_memory(one)[np.array(first, int)], in_memory(other)[np.array(second, int)]
    both = join([a, b, a])
    expected = np.concatenate([one[first], other[second], one[first]])
    assert len(both) == len(expected)
    if len(expected):
        np.testing.assert_array_equal(both.read(), expected)
        assert both.shape == expected.shape
        chosen = np.array([row % len(expected) for row in third], int)
        if len(chosen):
            np.testing.assert_array_equal(both.read(chosen), expected[chosen])
            np.testing.assert_array_equal(both[chosen].read(), expected[chosen])
    else:
        assert both.read().shape == both.shape == (0, 0, 0, 0)


def test_rows_may_be_a_boolean_array() -> None:
    pixels, wanted = noise(5), np.array([True, False, False, True, True])
    np.testing.assert_array_equal(in_memory(pixels)[wanted].read(), pixels[wanted])
    np.testing.assert_array_equal(in_memory(pixels).read(wanted), pixels[wanted])


def test_a_pool_they_share_is_kept_once() -> None:
    pool = Watched(noise(6))
    everything = of_pool(pool)
    both = join([everything[np.array([4, 1])], in_memory(noise(2, seed=1)), everything[np.array([0])]])
    assert len(both.pools) == 2
    assert both.pools[0] is pool
    assert both.row.tolist() == [4, 1, 0, 1, 0]


def test_nothing_is_read_before_it_is_asked_for_and_nothing_else_then() -> None:
    pool, other = Watched(noise(1000)), Watched(noise(1000, seed=1))
    chosen = join([of_pool(pool), of_pool(other)])[np.array([3, 1500, 7, 3])]
    assert pool.asked == other.asked == []
    chosen.read(np.array([0, 1]))
    assert (set(pool.asked), set(other.asked)) == ({3}, {500})


def test_joining_nothing_with_something() -> None:
    some = in_memory(noise(3))
    nothing = some[np.zeros(0, np.int64)]
    np.testing.assert_array_equal(join([nothing, some]).read(), some.read())
    assert join([nothing, nothing]).shape == (0, 0, 0, 0)


# --- grey beside colour, sizes


def test_grey_pictures_become_colour_beside_coloured_ones_alone() -> None:
    """Whichever of them are read at once."""
    grey, colour = noise(2, channels=1), noise(2, seed=1)
    both = join([in_memory(grey), in_memory(colour)])
    found = both.read(np.array([3, 0, 2, 1]))
    np.testing.assert_array_equal(found, np.stack([colour[1], grey[0].repeat(3, 2), colour[0], grey[1].repeat(3, 2)]))
    np.testing.assert_array_equal(both.read(np.array([1, 0])), grey[[1, 0]].repeat(3, 3))
    np.testing.assert_array_equal(both[np.array([1, 0])].read(), grey[[1, 0]])
    assert both.shape == (4, 4, 4, 3)
    alone = np.concatenate([digests(both[rows]) for rows in (np.array([0, 2]), np.array([1, 3]))])
    assert digests(both).tolist() == alone[[0, 2, 1, 3]].tolist()


def test_pictures_of_two_sizes_are_refused_or_brought_to_one() -> None:
    both = join([in_memory(noise(1, side=8)), in_memory(noise(1, side=4))])
    with pytest.raises(ValueError, match=r"faces of \(4, 4\) beside faces of \(8, 8\) pixels"):
        both.read()
    assert join([of_pool(Memory(noise(1, side=8)), 4), in_memory(noise(1, side=4))]).read().shape == (2, 4, 4, 3)


@pytest.mark.parametrize("channels", [1, 3])
def test_larger_pictures_are_averaged_over_areas_and_smaller_ones_stay(channels: int) -> None:
    pixels = noise(3, side=8, channels=channels)
    found = of_pool(Memory(pixels), side=4).read(np.array([2, 0]))
    means = pixels.reshape(3, 4, 2, 4, 2, channels).mean((2, 4))[[2, 0]]
    assert found.shape == (2, 4, 4, channels)
    assert found.dtype == np.uint8
    assert np.abs(found - means).max() <= 1  # rounded along each axis
    for side in (None, 8, 9):
        np.testing.assert_array_equal(of_pool(Memory(pixels), side).read(), pixels)


def test_a_batch_is_reduced_as_each_of_its_pictures_is() -> None:
    reduced = of_pool(Memory(noise(7, side=10)), side=6)
    alone = np.concatenate([reduced.read(np.array([row])) for row in range(7)])
    np.testing.assert_array_equal(reduced.read(), alone)


# --- digests


def slowly(pixels: Array) -> list[bytes]:
    return [face.tobytes() for face in pixels]


@given(ROWS.filter(bool), ROWS.filter(bool), st.sampled_from([1, 3, 1024]))
def test_copies_are_those_whose_pixels_are_all_the_same(first: list[int], second: list[int], chunk: int) -> None:
    pixels = noise(10, side=2, channels=1) % 2  # of 16 possible pictures, so that many are alike
    one, other = in_memory(pixels[first]), in_memory(pixels[second])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        copies, firsts, found = copies_of(one, other), first_of_copies(one), digests(one)
    seen = slowly(pixels[first])
    assert copies.tolist() == [face in slowly(pixels[second]) for face in seen]
    assert firsts.tolist() == [face not in seen[:row] for row, face in enumerate(seen)]
    assert len(set(found.tolist())) == len(set(seen))
    assert found.dtype == np.uint64


@pytest.mark.parametrize("work", [digests, first_of_copies, lambda none: copies_of(none, none)])
def test_no_picture_has_no_copy(work: Callable[[Images], Array]) -> None:
    assert len(work(in_memory(noise(3))[np.zeros(0, np.int64)])) == 0


def test_digests_are_of_the_pictures_as_they_are_read() -> None:
    """At the same side, whatever they were stored at; and the same on every run."""
    pixels = np.repeat(np.repeat(noise(3, side=4), 2, axis=1), 2, axis=2)
    np.testing.assert_array_equal(digests(of_pool(Memory(pixels), 4)), digests(in_memory(noise(3, side=4))))
    assert not np.isin(digests(in_memory(pixels)), digests(in_memory(noise(3, side=4)))).any()
    zero = in_memory(np.zeros((1, 2, 2, 1), np.uint8))
    expected = int.from_bytes(blake2b(bytes(4), digest_size=8).digest(), "little")
    assert digests(zero).tolist() == [expected]
