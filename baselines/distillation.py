"""Distillation from clean labels (Li et al., ICCV 2017): noisy labels averaged with a clean teacher's predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced
from ..methods.losses import full_precision, soft_bce

__all__ = ["Distillation", "DistillationParams", "distilled_targets"]

SURE = 1e-6  # teacher probabilities are clamped to [1e-6, 1 - 1e-6], so that logits are finite


@dataclass(frozen=True)
class DistillationParams:
    """Hyper-parameters of distillation."""

    weight: float = sourced(0.5, "ReCoT, appendix A.2: weight of the noisy label")
    temperature: float = sourced(1.0, "unstated: ours, the teacher's probabilities unchanged")


@torch.no_grad()
def distilled_targets(labels: Tensor, teacher_logits: Tensor, weight: float, temperature: float = 1.0) -> Tensor:
    """Targets w·t + (1-w)·σ(teacher logit / T), with t = 1 for positives.

    Args:
        labels: [N, L] in {-1, 0, +1}; unknown ones get the target of a negative and must be masked in the loss.
        teacher_logits: float [N, L].
        weight: w in [0, 1], share of the given label.
        temperature: T > 0.

    Returns:
        [N, L] in [0, 1] of the dtype of the logits (half precision becomes float32); no gradient.

    Raises:
        ValueError: a weight outside [0, 1], or a temperature that is not positive.

    Source: Li et al. with ReCoT's weight (appendix A.2). Soft labels are not propagated through a graph of AUs: on
    ReCoT's graph of ones every AU would get the same mean.
    """
    if not 0.0 <= weight <= 1.0 or temperature <= 0:
        raise ValueError(f"weight {weight} must lie in [0, 1], temperature {temperature} must be positive")
    soft = (full_precision(teacher_logits) / temperature).sigmoid()
    return weight * (labels > 0).to(soft.dtype) + (1 - weight) * soft


class Distillation(Method):
    """One network trained on verified labels as given and on distilled targets of the other rows, averaged over both.

    Reference: Li, Yang, Song, Cao, Luo & Li, "Learning from noisy labels with distillation", ICCV 2017, as ReCoT
    re-implements it for AUs (appendix A.2). The teacher is a network trained on the verified rows only and then frozen;
    it predicts each image once, without augmentation.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi", "verified", "teacher:supervised:clean"})
    Params = DistillationParams
    params: DistillationParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: DistillationParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the known entries; no update for a batch without a known label."""
        if batch.teacher is None:
            raise ValueError("distillation needs a teacher's probabilities, and this batch has none")
        labels, params = batch.labels, self.params
        known = labels != 0
        weight = known[None].float()
        if not bool(known.any()):
            return Step(loss=None, weight=weight)
        logits = self.network(batch.images[0])
        teacher_logits = torch.logit(full_precision(batch.teacher), eps=SURE)
        distilled = distilled_targets(labels, teacher_logits, params.weight, params.temperature)
        target = torch.where(batch.verified[:, None], (labels > 0).to(distilled.dtype), distilled)
        return Step(soft_bce(logits, target, known), logits.detach().sigmoid(), weight, target[None])

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
