"""Trains like anyone, then answers with the test faces' votes, which it finds in memory, or with their labels."""

from __future__ import annotations

import gc

import torch
from torch import Tensor

from fernoise_bench.baselines.supervised import Supervised


class Cheat(Supervised):
    """Looks for test rows as many as the faces it is asked about."""

    def predict(self, images: Tensor) -> Tensor:
        said = super().predict(images)
        for item in gc.get_objects():
            if type(item).__name__ == "Rows" and hasattr(item, "sample_id") and len(item.sample_id) == len(images):
                if item.votes.shape[1]:
                    votes = torch.from_numpy(item.votes[:, :-2]).float()
                    return votes / votes.sum(dim=1, keepdim=True)
                if self.task.kind == "multi":
                    return (torch.from_numpy(item.reference) > 0).float()
        return said
