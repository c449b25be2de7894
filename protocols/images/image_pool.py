"""Images by row number, read on demand from one or several pools in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..files import Array

CHUNK = 1024  # images held in memory at once when all images are processed


class Pool(Protocol):
    """Images of one size: an array in memory, or a pack on disk."""

    def __len__(self) -> int:
        """The number of images."""
        ...

    def read(self, rows: Array) -> NDArray[np.uint8]:
        """The images of int64 row numbers: uint8 [n, H, W, C]."""
        ...


@dataclass(frozen=True, eq=False)
class Memory:
    """A pool in memory, an array uint8 [N, H, W, C]."""

    pixels: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pixels)

    def read(self, rows: Array) -> NDArray[np.uint8]:
        """The images of some rows."""
        return self.pixels[rows]


@dataclass(frozen=True, eq=False)
class Images:
    """The images of a set of rows; selecting and joining copies row numbers, not pixels.

    Attributes:
        pools: where the images are stored.
        pool: int64 [N], the pool of each image.
        row: int64 [N], its row number in the pool.
        side: image size in pixels to which larger images are reduced when read (area averaging); None: as stored.
    """

    pools: tuple[Pool, ...]
    pool: Array
    row: Array
    side: int | None = None

    def __len__(self) -> int:
        return len(self.row)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The shape [N, H, W, C] of all images when read; (N, 0, 0, 0) if there are none."""
        one = self.read(np.arange(min(1, len(self))))
        return len(self), *cast(tuple[int, int, int], one.shape[1:])

    @cached_property
    def _channels(self) -> int:
        """The number of channels of the images when read: the largest of any pool, since those of a pool are equal."""
        first = (self.pools[pool].read(self.row[self.pool == pool][:1]) for pool in np.unique(self.pool).tolist())
        return max(int(faces.shape[-1]) for faces in first)

    def __getitem__(self, rows: Array) -> Images:
        """The images selected by an index or boolean array."""
        return Images(self.pools, self.pool[rows], self.row[rows], self.side)

    def read(self, rows: Array | None = None) -> NDArray[np.uint8]:
        """The images of some rows (None: all), uint8 [n, H, W, C]; grey images become RGB if any pool has RGB images.

        Raises:
            ValueError: images of different sizes.
        """
        chosen = np.arange(len(self)) if rows is None else np.arange(len(self))[rows]
        pool, row = self.pool[chosen], self.row[chosen]
        present = np.unique(pool).tolist()
        if not present:
            return np.zeros((0, 0, 0, 0), np.uint8)
        if len(self.pools) == 1:
            return self._reduced(self.pools[0].read(row))
        parts = [self._reduced(self.pools[number].read(row[pool == number])) for number in present]
        found = np.empty((len(chosen), *parts[0].shape[1:3], self._channels), np.uint8)
        for number, part in zip(present, parts, strict=True):
            if part.shape[1:3] != found.shape[1:3]:
                raise ValueError(f"faces of {part.shape[1:3]} beside faces of {found.shape[1:3]} pixels")
            found[pool == number] = part
        return found

    def _reduced(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self.side is None or max(pixels.shape[1:3]) <= self.side:
            return pixels
        size = (self.side, self.side)
        smaller = [np.asarray(Image.fromarray(face.squeeze()).resize(size, Image.Resampling.BOX)) for face in pixels]
        return np.stack(smaller).reshape(len(pixels), *size, -1)


def in_memory(pixels: NDArray[np.uint8]) -> Images:
    """All images of an array, uint8 [N, H, W, C]."""
    return of_pool(Memory(pixels))


def of_pool(pool: Pool, side: int | None = None) -> Images:
    """All images of a pool, larger ones reduced to `side` pixels."""
    rows = np.arange(len(pool), dtype=np.int64)
    return Images((pool,), np.zeros_like(rows), rows, side)


def join(parts: Sequence[Images]) -> Images:
    """The concatenation of several sets of images; shared pools are kept once."""
    pools: list[Pool] = []
    numbers = []
    for part in parts:
        for pool in part.pools:
            if not any(pool is known for known in pools):
                pools.append(pool)
        place = np.array([next(at for at, known in enumerate(pools) if known is pool) for pool in part.pools], np.int64)
        numbers.append(place[part.pool] if len(place) else part.pool)
    sides = [part.side for part in parts if part.side is not None]
    row = np.concatenate([part.row for part in parts])
    return Images(tuple(pools), np.concatenate(numbers), row, min(sides, default=None))


def digests(images: Images) -> Array:
    """A 64-bit digest of the pixels of each image: uint64 [N]."""
    found = np.empty(len(images), np.uint64)
    for start in range(0, len(images), CHUNK):
        chunk = images.read(np.arange(start, min(start + CHUNK, len(images))))
        found[start : start + len(chunk)] = [
            int.from_bytes(blake2b(face.tobytes(), digest_size=8).digest(), "little") for face in chunk
        ]
    return found


def copies_of(images: Images, others: Images) -> NDArray[np.bool_]:
    """Which images are exact copies of one of the others: bool [N]."""
    return np.isin(digests(images), digests(others))


def first_of_copies(images: Images) -> NDArray[np.bool_]:
    """The first of each group of identical images: bool [N]."""
    keep = np.zeros(len(images), dtype=bool)
    keep[np.unique(digests(images), return_index=True)[1]] = True
    return keep
