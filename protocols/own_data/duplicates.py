"""Pictures that look alike: a perceptual hash of each, and the pairs whose hashes nearly agree."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from ..files import Array

BITS = 128
MOST = 4
"""The largest number of differing bits, of 128, of two pictures that count as near copies.

In FER2013 there are 591 such pairs that are not equal pixel for pixel, whose pixels correlate with 0.97 in the median;
from 6 bits on there are pairs below 0.8.
"""

_SIDE = 8
_BLOCK = 512  # pictures compared with as many others at once
_WAITING = 1 << 20  # pairs found before their groups are joined


def difference_hash(picture: Image.Image) -> bytes:
    """128 bits of a picture: whether each of 8 x 8 grey blocks is darker than the one to its right, and below it.

    Args:
        picture: RGB or grey, of any size.

    Returns:
        16 bytes. Resizing, compression and changes of brightness and contrast leave most bits as they are.
    """
    grey = picture.convert("L")
    across = np.asarray(grey.resize((_SIDE + 1, _SIDE), Image.Resampling.BOX), np.int16)
    down = np.asarray(grey.resize((_SIDE, _SIDE + 1), Image.Resampling.BOX), np.int16)
    bits = np.concatenate([np.diff(across, axis=1).ravel() > 0, np.diff(down, axis=0).ravel() > 0])
    return np.packbits(bits).tobytes()


def look_alikes(hashes: Array, most: int = MOST) -> Array:
    """The group of each picture: those whose hashes nearly agree, directly or through others, have one number.

    Memory does not grow with the number of pairs, of which a thousand plain pictures have half a million.

    Args:
        hashes: uint8 [N, 16].
        most: as in `near_pairs`.

    Returns:
        int64 [N].
    """
    distinct, member = np.unique(hashes, axis=0, return_inverse=True)  # thousands may be equal, as black pictures are
    group = np.arange(len(distinct), dtype=np.int64)
    waiting: list[Array] = []
    for pairs in _near(distinct, most):
        waiting.append(pairs)
        if sum(map(len, waiting)) > _WAITING:
            group, waiting = _joined(group, waiting), []
    joined: Array = _joined(group, waiting)[member.ravel()]
    return joined


def near_pairs(hashes: Array, most: int = MOST) -> Array:
    """The pairs of pictures whose hashes differ in at most `most` bits.

    Args:
        hashes: uint8 [N, 16].
        most: 1 or more; the more, the longer it takes.

    Returns:
        int64 [P, 2], each row ascending, in ascending order.
    """
    found = list(_near(hashes, most))
    if not found:
        return np.zeros((0, 2), np.int64)
    return np.unique(np.concatenate(found), axis=0)


def _joined(group: Array, pairs: list[Array]) -> Array:
    """The group of each picture after the groups of each pair have become one: int64 [N]."""
    if not pairs:
        return group
    first, second = group[np.concatenate(pairs)].T
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(group), len(group)))
    number: Array = connected_components(links, directed=False)[1][group].astype(np.int64)
    return number


def _near(hashes: Array, most: int) -> Iterator[Array]:
    """The near pairs, int64 [P, 2] each, ascending; those that agree in several bands come more than once."""
    bits = np.unpackbits(np.ascontiguousarray(hashes), axis=1)
    for pairs in _among(bits, np.arange(len(bits)), np.arange(BITS), most):
        yield np.sort(pairs, axis=1)


def _among(bits: Array, rows: Array, columns: Array, most: int) -> Iterator[Array]:
    """The near pairs among some pictures, which differ in no other bits than some columns.

    Pictures that differ in fewer bits than there are bands have one band in common, so those of each band are compared.
    """
    bands = _even_bands(bits, rows, columns, most + 1) if len(rows) > _BLOCK else []
    found = [_agreeing(bits, rows, band) for band in bands]
    if not found or 2 * sum(len(group) ** 2 for groups in found for group in groups) > len(rows) ** 2:
        yield from _compared(bits, rows, most)
        return
    for band, groups in zip(bands, found, strict=True):
        others = np.setdiff1d(columns, band)
        for group in groups:
            yield from _among(bits, group, others, most)


def _even_bands(bits: Array, rows: Array, columns: Array, count: int) -> list[Array]:
    """The columns in bands, of which each has as many that divide the pictures as the others.

    Neighbouring bits would not do: pictures that are plain in their upper part agree in all that are from there.
    """
    unevenness = np.abs(bits[np.ix_(rows, columns)].mean(axis=0) - 0.5)
    ordered = columns[np.argsort(unevenness, kind="stable")]
    return [ordered[first::count] for first in range(count)]


def _agreeing(bits: Array, rows: Array, columns: Array) -> list[Array]:
    """The groups of two or more pictures that agree in some columns."""
    key = bits[np.ix_(rows, columns)].astype(np.int64) @ (1 << np.arange(len(columns)))
    order = np.argsort(key, kind="stable")
    groups = np.split(rows[order], np.flatnonzero(np.diff(key[order])) + 1)
    return [group for group in groups if len(group) > 1]


def _compared(bits: Array, rows: Array, most: int) -> Iterator[Array]:
    """The near pairs among some pictures, each compared with each, block by block."""
    blocks = [rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
    for number, block in enumerate(blocks):
        for other in blocks[number:]:
            near = _differing(bits[block], bits[other]) <= most
            first, second = np.nonzero(np.triu(near, 1) if other is block else near)
            if len(first):
                yield np.stack([block[first], other[second]], axis=1)


def _differing(some: Array, others: Array) -> Array:
    """In how many bits each of some hashes differs from each of others, float32 [n, m], exact: a product of signs."""
    signs, other_signs = (1 - 2 * bits.astype(np.float32) for bits in (some, others))
    return (BITS - signs @ other_signs.T) / 2
