"""Frequency weighting: binary cross-entropy with larger weights for rare action units."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, NoParams, Step, Task
from ..methods.losses import masked_bce

__all__ = ["FrequencyWeighting", "frequency_weights"]


def frequency_weights(frequency: Tensor) -> Tensor:
    """Weight of each AU, inversely proportional to its share of positives: w_k = L·(1/f_k) / Σ_j (1/f_j), mean 1.

    Args:
        frequency: [L] in [0, 1], share of positives among known training labels; NaN without a known label.

    Returns:
        [L] ≥ 0 of the dtype of `frequency`, no gradient. An AU without positives gets the weight of the rarest AU with
        positives; one without a known label gets 1 and is left out of the sum.

    Source: JAA-Net (ZhiwenShao/JAANet @0b8e87e) and ME-GraphAU (CVI-SZU/ME-GraphAU @dda53cb); JAA-Net counts missing
    labels as positive, here they are ignored. The edge cases are unstated: ours.
    """
    share = frequency.detach()
    known = ~share.isnan()
    rarest = torch.where(share > 0, share, 1.0).amin() if share.numel() else share.sum()
    inverse = torch.where(known, 1.0 / torch.where(share > 0, share, rarest), 0.0)
    return torch.where(known, inverse * known.sum() / inverse.sum(), 1.0)


class FrequencyWeighting(Method):
    """One network trained with binary cross-entropy weighted by AU, equally for its positives and negatives.

    Reference: Shao et al., "JAA-Net", 2021, and Luo et al., "Learning multi-dimensional edge feature-based AU relation
    graph", 2022, which RHLS (Tallec et al.) compares with. The weights are computed once from the training labels.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = NoParams
    weights: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NoParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        # A buffer so that it moves to the module's device; not persistent, since it follows from the task.
        self.register_buffer("weights", frequency_weights(task.frequency), persistent=False)

    def loss(self, batch: Batch) -> Step:
        """Weighted mean loss over the known entries; no update for a batch without a known label."""
        known = batch.labels != 0
        weight = known[None] * self.weights.float()
        if not bool(known.any()):
            return Step(loss=None, weight=weight)
        logits = self.network(batch.images[0])
        return Step(masked_bce(logits, batch.labels, self.weights), logits.detach().sigmoid(), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
