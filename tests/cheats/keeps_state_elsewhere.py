"""Keeps what it has learnt in a plain attribute, which no checkpoint holds."""

from __future__ import annotations

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step


class Cheat(Supervised):
    """Trains harder on rows it has seen often: after a restart it has seen none."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.seen = {}

    def loss(self, batch: Batch) -> Step:
        for row in batch.index.tolist():
            self.seen[row] = self.seen.get(row, 0) + 1
        often = torch.tensor([float(self.seen[row]) for row in batch.index.tolist()]).mean()
        step = super().loss(batch)
        if step.loss is None:
            return step
        return Step(step.loss * often, step.probabilities, step.weight)
