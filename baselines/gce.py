"""Generalized cross-entropy (Zhang & Sabuncu, NeurIPS 2018): between cross-entropy and mean absolute error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced
from ..methods.losses import full_precision

__all__ = ["GCE", "GCEParams", "generalized_cross_entropy"]


@dataclass(frozen=True)
class GCEParams:
    """Hyper-parameters of generalized cross-entropy."""

    q: float = sourced(0.7, "Zhang & Sabuncu §4: q = 0.7 throughout")


def generalized_cross_entropy(logits: Tensor, labels: Tensor, q: float) -> Tensor:
    """The L_q loss (1 - p_y^q) / q, mean over rows: cross-entropy for q → 0, 1 - p_y for q = 1.

    Args:
        logits: float [B, C].
        labels: int64 [B].
        q: in (0, 1].

    Returns:
        Scalar in [0, 1/q] with gradient; 0 for B = 0.

    Raises:
        ValueError: q outside (0, 1].

    Source: Zhang & Sabuncu eq. (6).
    """
    if not 0.0 < q <= 1.0:
        raise ValueError(f"q {q}: must lie in (0, 1]")
    log_p = F.log_softmax(full_precision(logits), dim=1).gather(1, labels[:, None]).squeeze(1)
    # p^q = exp(q·log p), since p^q has no finite gradient where p rounds to 0.
    return -torch.expm1(q * log_p).sum() / (q * max(1, len(labels)))


class GCE(Method):
    """One network trained with the L_q loss, which gives improbable labels less weight than cross-entropy does.

    Reference: Zhang & Sabuncu, "Generalized cross entropy loss for training deep neural networks with noisy labels",
    NeurIPS 2018. The plain loss, not the truncated one, which prunes samples between epochs.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = GCEParams
    params: GCEParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: GCEParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """L_q loss of all rows."""
        logits = self.network(batch.images[0])
        weight = torch.ones_like(batch.labels, dtype=torch.float32)[None]
        loss = generalized_cross_entropy(logits, batch.labels, self.params.q)
        return Step(loss, logits.detach().softmax(dim=1), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
