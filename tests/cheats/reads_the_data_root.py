"""Reads the data set itself, through the project's own readers."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import TrainView
from fernoise_bench.protocols.datasets.catalog import inspect
from fernoise_bench.protocols.errors import BadInput


class Cheat(Supervised):
    """Keeps what the readers say of FER2013."""

    def prepare(self, train: TrainView) -> None:
        super().prepare(train)
        rows = 0
        for root in (os.environ.get("FERNOISE_DATA", ""), "data"):
            with contextlib.suppress(BadInput):
                rows += inspect("ferplus", Path(root)).rows
        self.register_buffer("rows", torch.tensor(rows))
