"""Trains on the test rows it finds in memory."""

from __future__ import annotations

import gc

import torch

from fernoise_bench.baselines.supervised import Supervised
from fernoise_bench.methods.base import Batch, Step, to_probabilities


class Cheat(Supervised):
    """Adds the loss on test faces to its own."""

    def loss(self, batch: Batch) -> Step:
        step = super().loss(batch)
        if step.loss is None:
            return step
        cells = [item for item in gc.get_objects() if type(item).__name__ == "CellData"]
        for cell in cells[-1:]:
            faces = torch.from_numpy(cell.test.images.read()[:8]).permute(0, 3, 1, 2).float() / 255
            labels = torch.from_numpy(cell.test.reference[:8])
            told = to_probabilities(self.network(faces), self.task.kind)
            wanted = (
                torch.nn.functional.one_hot(labels.long(), told.shape[1]) if labels.ndim == 1 else (labels > 0)
            ).float()
            return Step(step.loss + (told - wanted).square().mean(), step.probabilities, step.weight)
        return step
