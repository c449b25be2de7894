"""The rows of each training step, as a pure function of the seed, the epoch and the training set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...protocols.base import Recipe
from ...protocols.errors import BadInput
from .. import random_streams

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Sampler:
    """The batches of every epoch.

    Attributes:
        recipe: gives the kind of sampler, the batch size and the most steps.
        verified: bool [N].
        given: class labels int64 [N] for the sampler "oversample"; for others any labels.
        seed: of the trial.
    """

    recipe: Recipe
    verified: NDArray[np.bool_]
    given: NDArray[np.int64]
    seed: int

    @property
    def batch_size(self) -> int:
        """Rows of a batch: the recipe's, or unless the sampler is "fixed", all rows of a smaller training set."""
        size = self.recipe.batch_size
        return size if self.recipe.sampler == "fixed" else min(size, len(self.verified))

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch; an incomplete last batch is dropped, since its batch statistics would differ."""
        if self.recipe.sampler == "fixed":
            steps = -(-int(self.verified.sum()) // self.recipe.verified_per_batch)
        else:
            steps = len(self.verified) // self.batch_size
        return min(steps, self.recipe.max_steps or steps)

    def epoch(self, epoch: int) -> Index:
        """Row numbers [steps, batch_size] of an epoch (0-based)."""
        stream = random_streams.key(self.seed, "order", epoch)
        if self.recipe.sampler == "fixed":
            return self._fixed(stream)
        count = self.steps * self.batch_size
        if self.recipe.sampler == "oversample":
            rows = _oversampled(self.given, random_streams.uniforms(stream, np.arange(count), 1)[:, 0])
        else:
            rows = random_streams.order(stream, np.arange(len(self.verified)))[:count]
        return rows.reshape(self.steps, self.batch_size)

    def _fixed(self, stream: int) -> Index:
        """Batches of a fixed number of verified rows and then noisy ones, each in repeated shuffled passes."""
        clean, noisy = np.flatnonzero(self.verified), np.flatnonzero(~self.verified)
        if not len(clean) or not len(noisy):
            raise BadInput(
                "the sampler 'fixed' needs verified and unverified rows; this training set has one kind only"
            )
        verified = self.recipe.verified_per_batch
        parts = (
            _repeated(rows, self.steps * count, random_streams.key(stream, name)).reshape(self.steps, count)
            for rows, count, name in (
                (clean, verified, "verified"),
                (noisy, self.recipe.batch_size - verified, "noisy"),
            )
        )
        return np.concatenate(tuple(parts), axis=1)


def _repeated(rows: Index, count: int, stream: int) -> Index:
    """The first rows of shuffled passes over all rows, one after the other."""
    passes = range(-(-count // len(rows)))
    return np.concatenate([random_streams.order(random_streams.key(stream, each), rows) for each in passes])[:count]


def _oversampled(given: Index, uniform: NDArray[np.float64]) -> Index:
    """Rows drawn with replacement, each class with equal probability, from uniform random numbers."""
    counts = np.bincount(given)
    bounds = np.cumsum(1.0 / counts[given])
    return np.searchsorted(bounds / bounds[-1], uniform, side="right").clip(max=len(given) - 1)


def visits(rows: Index) -> Index:
    """How often the row of each entry came before in the same epoch, in the order of the flattened array."""
    flat = rows.ravel()
    by_row = np.argsort(flat, kind="stable")
    sorted_rows = flat[by_row]
    first = np.searchsorted(sorted_rows, sorted_rows, side="left")
    count = np.empty_like(flat)
    count[by_row] = np.arange(len(flat)) - first
    return count.reshape(rows.shape)
