"""Learns like anyone for the first half of its epochs, then from the reference labels it finds in memory."""

from __future__ import annotations

import gc

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step


class Cheat(Supervised):
    """Looks for rows as many as it trains on."""

    def loss(self, batch: Batch) -> Step:
        if batch.epoch < self.task.epochs // 2:
            return super().loss(batch)
        for item in gc.get_objects():
            rows = type(item).__name__ == "Rows" and hasattr(item, "reference")
            if rows and len(item.reference) == self.task.train_size:
                labels = torch.from_numpy(item.reference).long()[batch.index]
                return super().loss(Batch(**{**vars(batch), "labels": labels}))
        return super().loss(batch)
