"""Pictures that look alike: hashes that survive what copies go through, and every near pair found."""

from __future__ import annotations

import io
import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageFilter

from fernoise_bench.protocols.own_data import duplicates
from fernoise_bench.protocols.own_data.duplicates import MOST, difference_hash, look_alikes, near_pairs


def smooth(seed: int, side: int = 64) -> Image.Image:
    """A picture with large shapes, as faces have."""
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)


def differing(first: Image.Image, second: Image.Image) -> int:
    codes = (int.from_bytes(difference_hash(picture), "big") for picture in (first, second))
    return (next(codes) ^ next(codes)).bit_count()


def test_the_hash_says_where_it_gets_brighter() -> None:
    ramp = np.tile(np.arange(0, 252, 4, dtype=np.uint8), (63, 1))
    right = int.from_bytes(difference_hash(Image.fromarray(ramp)), "big")
    down = int.from_bytes(difference_hash(Image.fromarray(ramp.T.copy())), "big")
    assert right == (2**64 - 1) << 64  # brighter to the right everywhere, nowhere downwards
    assert down == 2**64 - 1
    assert difference_hash(Image.fromarray(ramp[:, ::-1].copy())) == bytes(16)


def test_copies_keep_their_hash_and_others_have_another() -> None:
    for seed in range(5):
        picture = smooth(seed)
        packed = io.BytesIO()
        picture.save(packed, "JPEG", quality=60)
        copies = [
            Image.open(packed),
            picture.resize((48, 48)),
            ImageEnhance.Brightness(picture).enhance(0.8),
            picture.filter(ImageFilter.GaussianBlur(1)),
        ]
        assert max(differing(picture, copy) for copy in copies) <= MOST
        assert differing(picture, smooth(seed + 100)) > 30


@settings(max_examples=100)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from([2, 5, 512]))
def test_every_near_pair_is_found(seed: int, most: int, block: int) -> None:
    """Against all pairs, one by one; in small blocks, as many pictures are compared."""
    generator = np.random.default_rng(seed)
    bits = np.repeat(generator.random((4, 128)) < 0.5, 6, axis=0)
    bits[:, : 8 * generator.integers(0, 16)] = False  # plain in a part
    bits ^= generator.random(bits.shape) < generator.choice([0.0, 0.01, 0.03], (len(bits), 1))
    hashes = np.packbits(bits, axis=1)
    expected = [[a, b] for a, b in combinations(range(len(bits)), 2) if (bits[a] ^ bits[b]).sum() <= most]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_BLOCK", block)
        assert near_pairs(hashes, most).tolist() == expected


def test_groups_join_pairs_and_thousands_of_equal_pictures() -> None:
    hashes = np.zeros((5_000, 16), np.uint8)
    hashes[1, 0], hashes[2, 0], hashes[3] = 0b1111, 0b11111111, 255
    group = look_alikes(hashes)
    assert group[0] == group[1] == group[2] == group[4_999] != group[3]  # 2 is near 1, which is near 0
    assert near_pairs(hashes[[0, 2]]).tolist() == []
    assert look_alikes(np.zeros((0, 16), np.uint8)).tolist() == []


def test_thousands_that_are_plain_in_their_upper_part_need_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their hashes agree in whole bands, in which all would be compared with all at once."""
    bits = np.random.default_rng(0).random((6_000, 128)) < 0.5
    bits[:, :32] = bits[:, 64:96] = False
    bits[5_999] = bits[0]
    bits[5_999, [40, 50, 100, 127]] ^= True
    compared: list[int] = []

    def count(some: np.ndarray, others: np.ndarray) -> np.ndarray:
        compared.append(len(some) * len(others))
        return differing_bits(some, others)

    differing_bits = duplicates._differing
    monkeypatch.setattr(duplicates, "_differing", count)
    hashes = np.packbits(bits, axis=1)
    tracemalloc.start()
    try:
        group = look_alikes(hashes)
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()
    assert len(set(group.tolist())) == 5_999
    assert group[0] == group[5_999]
    assert sum(compared) < 6_000**2 / 4  # of the 18 million pairs few are compared


def test_a_crowd_of_near_pictures_is_one_group_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two million pairs the groups are kept, not the pairs."""
    bits = np.arange(2_000)[:, None] >> np.arange(128) & 1  # 11 bits, of which neighbours differ in few
    monkeypatch.setattr(duplicates, "_WAITING", 10_000)
    tracemalloc.start()
    try:
        assert set(look_alikes(np.packbits(bits.astype(np.uint8), axis=1)).tolist()) == {0}
        assert tracemalloc.get_traced_memory()[1] < 30 << 20
    finally:
        tracemalloc.stop()
