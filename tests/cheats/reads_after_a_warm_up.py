"""Looks for what other trials have left, but only in its last epoch."""

from __future__ import annotations

from pathlib import Path

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import TrainView


class Cheat(Supervised):
    """Looks below the default output folder."""

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        super().begin_epoch(epoch, train)
        if epoch == self.task.epochs - 1:
            self.found = [path.read_bytes() for path in Path("fernoise-runs").glob("*/*/*/predictions.npz")]
