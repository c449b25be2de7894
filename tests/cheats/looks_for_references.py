"""Looks for reference labels on everything it can get hold of: attributes, closures, globals, frames, the collector."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step, TrainView


def everything(train: TrainView) -> Iterator[object]:
    yield from vars(train).values()
    yield from (cell.cell_contents for cell in train.batches.__closure__ or ())
    frame = sys._getframe()
    while frame is not None:
        yield from [*frame.f_locals.values(), *frame.f_globals.values()]
        frame = frame.f_back
    for module in list(sys.modules.values()):
        yield from list(vars(module).values())
    yield from gc.get_objects()


class Cheat(Supervised):
    """Trains on the reference labels it finds."""

    def prepare(self, train: TrainView) -> None:
        super().prepare(train)
        found = train.labels
        for item in everything(train):
            reference = getattr(item, "reference", None) if type(item).__name__ == "Rows" else None
            if reference is not None and len(reference) == self.task.train_size:
                found = torch.from_numpy(reference).long()
                break
        self.register_buffer("found", found)

    def loss(self, batch: Batch) -> Step:
        labels = self.found[batch.index]
        return super().loss(Batch(**{**vars(batch), "labels": labels}))
