"""Trains a tensor of its own with an optimiser of its own, of which no checkpoint knows."""

from __future__ import annotations

import torch
from torch import Tensor

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step


class Cheat(Supervised):
    """The weight of the loss is learnt beside it, which `parameter_groups` would do."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.weight: Tensor = torch.zeros((), requires_grad=True)
        self.optimizer = torch.optim.Adam([self.weight], 0.1)

    def loss(self, batch: Batch) -> Step:
        step = super().loss(batch)
        if step.loss is None:
            return step
        return Step(step.loss * self.weight.exp() - self.weight, step.probabilities, step.weight)

    def after_step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()
