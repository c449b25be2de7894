"""Which rows a step trains on: the order of an epoch, a pure function of the key and the training set."""

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
        recipe: names the sampler, the batch size and the cap on steps.
        verified: bool [N].
        given: int64 [N] class labels (for "oversample"); any labels otherwise.
        seed: of the trial.
    """

    recipe: Recipe
    verified: NDArray[np.bool_]
    given: NDArray[np.int64]
    seed: int

    @property
    def batch_size(self) -> int:
        """Rows of a batch: the recipe's, or all rows of a smaller training set where rows are not drawn again."""
        size = self.recipe.batch_size
        return size if self.recipe.sampler == "fixed" else min(size, len(self.verified))

    @property
    def steps(self) -> int:
        """Optimiser steps of an epoch; an incomplete last batch is dropped, as its statistics would differ."""
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
        everything = np.arange(len(self.verified))
        wanted = self.steps * self.batch_size
        if self.recipe.sampler == "oversample":
            rows = _oversampled(self.given, random_streams.uniforms(stream, np.arange(wanted), 1)[:, 0])
        else:
            rows = random_streams.order(stream, everything)[:wanted]
        return rows.reshape(self.steps, self.batch_size)

    def _fixed(self, stream: int) -> Index:
        """Each batch: a fixed number of verified rows, then noisy ones; both run in shuffled cycles."""
        clean, noisy = np.flatnonzero(self.verified), np.flatnonzero(~self.verified)
        share = self.recipe.verified_per_batch
        if not len(clean) or not len(noisy):
            raise BadInput(
                "the sampler 'fixed' needs verified and unverified rows; this training set has one kind only"
            )
        halves = (
            _cycled(clean, self.steps * share, random_streams.key(stream, "verified")).reshape(self.steps, share),
            _cycled(noisy, self.steps * (self.recipe.batch_size - share), random_streams.key(stream, "noisy")).reshape(
                self.steps, self.recipe.batch_size - share
            ),
        )
        return np.concatenate(halves, axis=1)


def _cycled(rows: Index, wanted: int, stream: int) -> Index:
    """Shuffled passes over rows, one after the other, cut to `wanted`."""
    passes = -(-wanted // len(rows))
    return np.concatenate([random_streams.order(random_streams.key(stream, turn), rows) for turn in range(passes)])[
        :wanted
    ]


def _oversampled(given: Index, uniform: NDArray[np.float64]) -> Index:
    """Rows drawn with replacement, each class equally often in expectation."""
    counts = np.bincount(given)
    bounds = np.cumsum(1.0 / counts[given])
    return np.searchsorted(bounds / bounds[-1], uniform, side="right").clip(max=len(given) - 1)


def visits(rows: Index) -> Index:
    """How often each entry's row came before in the same epoch (flat, 0 for the first time)."""
    flat = rows.ravel()
    by_row = np.argsort(flat, kind="stable")
    sorted_rows = flat[by_row]
    first = np.searchsorted(sorted_rows, sorted_rows, side="left")
    count = np.empty_like(flat)
    count[by_row] = np.arange(len(flat)) - first
    return count.reshape(rows.shape)
