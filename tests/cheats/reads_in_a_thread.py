"""Reads the data set in a thread of its own."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import TrainView


class Cheat(Supervised):
    """Keeps how much it has read."""

    def prepare(self, train: TrainView) -> None:
        super().prepare(train)
        found: list[bytes] = []

        def look() -> None:
            for path in Path(os.environ.get("FERNOISE_DATA", "nowhere")).glob("*/*.csv"):
                found.append(path.read_bytes())

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        self.register_buffer("found", torch.tensor(len(found)))
