"""Reads how labels go wrong, which it does not say that it needs."""

from __future__ import annotations

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step


class Cheat(Supervised):
    """Trusts the labels of classes that are seldom wrong, if it is told which."""

    def loss(self, batch: Batch) -> Step:
        step, transition = super().loss(batch), self.task.transition
        if step.loss is None or transition is None or batch.labels.ndim > 1:
            return step
        trust = transition.diagonal()[batch.labels].float().mean()
        return Step(step.loss * trust, step.probabilities, step.weight)
