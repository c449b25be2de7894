"""Symmetric cross-entropy (Wang et al., ICCV 2019): cross-entropy plus reverse cross-entropy."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced
from ..methods.losses import full_precision

__all__ = ["SCE", "SCEParams", "symmetric_cross_entropy"]


@dataclass(frozen=True)
class SCEParams:
    """Hyper-parameters of symmetric cross-entropy."""

    alpha: float = sourced(0.1, "Wang et al. §4: CIFAR-10, their data set with the most similar number of classes")
    beta: float = sourced(1.0, "Wang et al. §4: CIFAR-10, their data set with the most similar number of classes")
    floor: float = sourced(
        1e-4,
        "authors' code, loss.py (YisenWang/symmetric_cross_entropy_for_noisy_labels @ec778df): A = log 1e-4 = -9.21",
    )


def symmetric_cross_entropy(logits: Tensor, labels: Tensor, alpha: float, beta: float, floor: float = 1e-4) -> Tensor:
    """The loss α·cross-entropy + β·reverse cross-entropy, batch means.

    Reverse cross-entropy, -Σ_c p_c·log max(onehot_c, floor), equals -log(floor)·(1 - p_y). Cross-entropy is computed
    from logits; the authors clip its probabilities at 1e-7, which makes no difference above that value.

    Args:
        logits: float [B, C].
        labels: int64 [B].
        alpha: weight of the cross-entropy.
        beta: weight of the reverse cross-entropy.
        floor: in (0, 1], replaces the zeros of a one-hot label.

    Returns:
        Scalar with gradient; 0 for B = 0.

    Raises:
        ValueError: floor outside (0, 1].

    Source: authors' code, loss.py (YisenWang/symmetric_cross_entropy_for_noisy_labels @ec778df).
    """
    if not 0.0 < floor <= 1.0:
        raise ValueError(f"floor {floor}: must lie in (0, 1]")
    log_p = F.log_softmax(full_precision(logits), dim=1).gather(1, labels[:, None]).squeeze(1)
    reverse = math.log(floor) * torch.expm1(log_p)
    return (beta * reverse - alpha * log_p).sum() / max(1, len(labels))


class SCE(Method):
    """One network trained with cross-entropy and reverse cross-entropy; the latter is bounded for every sample.

    Reference: Wang, Ma, Chen, Luo, Yi & Bailey, "Symmetric cross entropy for robust learning with noisy labels", ICCV
    2019; code YisenWang/symmetric_cross_entropy_for_noisy_labels.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = SCEParams
    params: SCEParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: SCEParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Symmetric loss of all rows."""
        params = self.params
        logits = self.network(batch.images[0])
        weight = torch.ones_like(batch.labels, dtype=torch.float32)[None]
        loss = symmetric_cross_entropy(logits, batch.labels, params.alpha, params.beta, params.floor)
        return Step(loss, logits.detach().softmax(dim=1), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
