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
_BLOCK = 512  # pictures compared with each other at once
_BITS_SET = np.array([bin(byte).count("1") for byte in range(256)], np.uint8)


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

    Args:
        hashes: uint8 [N, 16].
        most: as in `near_pairs`.

    Returns:
        int64 [N].
    """
    if not len(hashes):
        return np.zeros(0, np.int64)
    distinct, member = np.unique(hashes, axis=0, return_inverse=True)  # thousands may be equal, as black pictures are
    first, second = near_pairs(distinct, most).T
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(len(distinct), len(distinct)))
    group: Array = connected_components(links, directed=False)[1]
    return group[member.ravel()].astype(np.int64)


def near_pairs(hashes: Array, most: int = MOST) -> Array:
    """The pairs of pictures whose hashes differ in at most `most` bits.

    Args:
        hashes: uint8 [N, 16].
        most: 1 or more; the more, the longer it takes.

    Returns:
        int64 [P, 2], each row ascending, in ascending order.
    """
    bits = np.unpackbits(np.ascontiguousarray(hashes), axis=1)
    # Pictures that differ in fewer bits than there are bands have one band in common.
    bands = [part.astype(np.int64) @ (1 << np.arange(part.shape[1])) for part in np.array_split(bits, most + 1, axis=1)]
    found = [pair for band in bands for pair in _pairs_of_band(hashes, band, most)]
    if not found:
        return np.zeros((0, 2), np.int64)
    return np.unique(np.concatenate(found), axis=0)


def _pairs_of_band(hashes: Array, band: Array, most: int) -> Iterator[Array]:
    """The near pairs among pictures that agree in a band, int64 [P, 2] each."""
    order = np.argsort(band, kind="stable")
    bounds = np.flatnonzero(np.diff(band[order])) + 1
    for rows in np.split(order, bounds):
        for start in range(0, len(rows) - 1, _BLOCK):
            block, rest = rows[start : start + _BLOCK], rows[start:]
            differing = _BITS_SET[hashes[block][:, None] ^ hashes[rest][None]].sum(axis=2, dtype=np.uint8)
            first, second = np.nonzero(np.triu(differing <= most, 1))
            if len(first):
                yield np.sort(np.stack([block[first], rest[second]], axis=1), axis=1)
