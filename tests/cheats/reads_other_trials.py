"""Reads what other trials have left: test labels stand in their predictions."""

from __future__ import annotations

from pathlib import Path

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import TrainView


class Cheat(Supervised):
    """Looks below the default output folder and below the folder it is run in."""

    def prepare(self, train: TrainView) -> None:
        super().prepare(train)
        found = [
            path.read_bytes() for root in ("fernoise-runs", ".") for path in Path(root).glob("*/*/*/predictions.npz")
        ]
        self.register_buffer("found", torch.tensor(len(found)))
