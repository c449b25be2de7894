"""Looks up the results that ship with the package."""

from __future__ import annotations

from pathlib import Path

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import TrainView
from fernoise_bench.results import metrics


class Cheat(Supervised):
    """Supervised training that opens the first bundle it finds, or at least looks for one."""

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        super().begin_epoch(epoch, train)
        for bundle in sorted((Path(metrics.__file__).parent / "reference").glob("*.zip"))[:1]:
            bundle.read_bytes()
