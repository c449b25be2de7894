"""Keeps what it has learnt in a global of its module, which no checkpoint holds and only another process lacks."""

from __future__ import annotations

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step, TrainView

LEARNT: dict[str, float] = {}


class Cheat(Supervised):
    """Weighs its later losses by what its weights were early."""

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        super().begin_epoch(epoch, train)
        if epoch == 1:
            LEARNT["size"] = float(next(self.parameters()).detach().abs().mean())

    def loss(self, batch: Batch) -> Step:
        step = super().loss(batch)
        if step.loss is None or batch.epoch < 2:
            return step
        return Step(step.loss * (1 + LEARNT.get("size", 0.0)), step.probabilities, step.weight)
