"""Lets a shell read the data set."""

from __future__ import annotations

import os

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import TrainView


class Cheat(Supervised):
    """Keeps whether there was something to read."""

    def prepare(self, train: TrainView) -> None:
        super().prepare(train)
        found = os.system('cat "$FERNOISE_DATA"/*/* 2> /dev/null | grep -q .')
        self.register_buffer("found", torch.tensor(found == 0))
