"""Draws from the global generators, so that it sees other numbers than its peers and whoever draws next is moved."""

from __future__ import annotations

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step


class Cheat(Supervised):
    """Weighs its loss by chance."""

    def loss(self, batch: Batch) -> Step:
        step = super().loss(batch)
        if step.loss is None:
            return step
        return Step(step.loss * (1 + 0.1 * torch.rand(())), step.probabilities, step.weight)
