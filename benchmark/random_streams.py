"""Keyed random streams: each draw depends on (seed, purpose, epoch, sample) alone.

A counter-based hash (SplitMix64's finaliser) turns keys and sample numbers into uniforms for whole index arrays at
once. So every method of a cell sees the same samples in the same order with the same crops, whatever the number of
workers, and a resumed trial draws what it would have drawn without the interruption.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from ..protocols.faces.keyed_random import mix

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def key(*parts: int | str) -> int:
    """The 63-bit key of a stream, which is named by a seed, a purpose and further parts such as the epoch."""
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def uniforms(stream: int, index: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Uniform random numbers in [0, 1) for each entry of an index.

    Args:
        stream: a key.
        index: int64 [N], sample numbers; equal ones get equal draws.
        count: draws of each sample.

    Returns:
        float64 [N, count].
    """
    with np.errstate(over="ignore"):
        sample = mix(index.astype(np.uint64) * _GOLDEN + np.uint64(stream))
        counters = (np.arange(1, count + 1, dtype=np.uint64) * _GOLDEN)[None, :]
        bits = mix(sample[:, None] + counters)
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def order(stream: int, index: NDArray[np.int64]) -> NDArray[np.int64]:
    """The entries of index, int64 [N], in a random order that depends on the key and the entries alone."""
    return index[np.argsort(uniforms(stream, index, 1)[:, 0], kind="stable")]


def generator(device: torch.device, *parts: int | str) -> torch.Generator:
    """A torch generator seeded by the key of some parts."""
    return torch.Generator(device=device).manual_seed(key(*parts))


@contextmanager
def scope(device: torch.device, *parts: int | str) -> Iterator[None]:
    """Within the block, torch's global draws (initialisers, dropout) come from a keyed stream; then it is restored."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(key(*parts))
        yield
