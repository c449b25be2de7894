"""Random numbers that are pure functions of a key, independent of order, chunk size and threads.

Only integer arithmetic and exact conversions to float are used, so the numbers are the same on every machine.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

Keys = NDArray[np.uint64]
Float = NDArray[np.float64]

VERSION = 1  # raised by hand when the same specification and seed give other faces

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(values: Keys) -> Keys:
    """The finaliser of SplitMix64, a hash of uint64 values of any shape."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def key(*parts: str | int) -> Keys:
    """The key (uint64 [1]) of strings and integers, for instance ``key("pose", seed)``."""
    digest = hashlib.blake2b("\x1f".join(str(part) for part in parts).encode(), digest_size=8).digest()
    return np.frombuffer(digest, dtype="<u8").astype(np.uint64)


def mix_key(keys: Keys, index: NDArray[np.int64] | int) -> Keys:
    """Keys derived from keys and non-negative indices, which are broadcast: uint64."""
    return mix(keys + mix(np.atleast_1d(index).astype(np.uint64) * _GOLDEN + _GOLDEN))


def bits(keys: Keys, draws: int) -> Keys:
    """Random words uint64 [..., draws] for each key."""
    return mix(keys[..., None] + np.arange(1, draws + 1, dtype=np.uint64) * _GOLDEN)


def uniform(keys: Keys, draws: int) -> Float:
    """Uniform numbers in [0, 1): float64 [..., draws] for each key."""
    return (bits(keys, draws) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(keys: Keys, draws: int) -> Float:
    """Nearly standard normal numbers: float64 [..., draws] in (-6, 6), each the sum of twelve uniform 16-bit numbers.

    A sum needs no logarithm or sine, whose rounding differs between machines.
    """
    words = bits(keys, 3 * draws)
    total = np.zeros(words.shape, dtype=np.uint64)
    for shift in (0, 16, 32, 48):
        total += (words >> np.uint64(shift)) & np.uint64(0xFFFF)
    # Sums of integers are exact in any order; adding 0.5 per number centres each 16-bit step.
    sums = total.reshape(*keys.shape, draws, 3)
    whole = sums[..., 0] + sums[..., 1] + sums[..., 2]
    return (whole.astype(np.float64) + 6.0) * 2.0**-16 - 6.0
