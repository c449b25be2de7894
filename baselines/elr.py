"""Early-learning regularisation (Liu et al., NeurIPS 2020): stay close to a running mean of early predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced
from ..methods.losses import full_precision
from ..methods.selection import write_rows

__all__ = ["ELR", "ELRParams", "elr_loss"]

LOWEST = 1e-4  # authors' code: probabilities are clamped to [1e-4, 1 - 1e-4]


@dataclass(frozen=True)
class ELRParams:
    """Hyper-parameters of early-learning regularisation."""

    momentum: float = sourced(
        0.7, "authors' code, ELR/config_cifar10.json (shengliu66/ELR @934af53): beta, CIFAR-10 with symmetric noise"
    )
    weight: float = sourced(
        3.0, "authors' code, ELR/config_cifar10.json (shengliu66/ELR @934af53): lambda, CIFAR-10 with symmetric noise"
    )


def elr_loss(
    logits: Tensor, labels: Tensor, targets: Tensor, index: Tensor, momentum: float, weight: float
) -> tuple[Tensor, Tensor]:
    """Cross-entropy plus weight·mean log(1 - <t, p>), where t is each sample's running mean prediction.

    Probabilities are clamped; what enters the memory is renormalised, what meets t in the loss is not. The memory is
    updated first, so t already holds this prediction. Of a sample that occurs twice the last row enters the memory,
    and both rows read it.

    Args:
        logits: float [B, C].
        labels: int64 [B].
        targets: float [N, C], the memory; left as it is.
        index: int64 [B], rows of the memory.
        momentum: share of the old target, β.
        weight: λ.

    Returns:
        (loss, targets): a scalar with gradient through p alone, 0 for B = 0, and the updated memory [N, C] without
        gradient.

    Source: authors' code, ELR/model/loss.py (shengliu66/ELR @934af53).
    """
    logits = full_precision(logits)
    p = logits.softmax(dim=1).clamp(LOWEST, 1.0 - LOWEST)
    current = p.detach() / p.detach().sum(dim=1, keepdim=True)
    targets = targets.detach().clone()
    write_rows(targets, index, momentum * targets[index] + (1.0 - momentum) * current)
    rows = max(1, len(labels))
    supervision = F.cross_entropy(logits, labels, reduction="sum") / rows
    regularisation = torch.log(1.0 - (targets[index] * p).sum(dim=1)).sum() / rows
    return supervision + weight * regularisation, targets


class ELR(Method):
    """One network whose predictions are drawn towards what it predicted before it could memorise.

    Reference: Liu, Niles-Weed, Razavian & Fernandez-Granda, "Early-learning regularization prevents memorization of
    noisy labels", NeurIPS 2020; code shengliu66/ELR. The one-network form; memory starts at zero.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = ELRParams
    params: ELRParams
    targets: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: ELRParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.register_buffer("targets", torch.zeros(task.train_size, task.num_classes))

    def loss(self, batch: Batch) -> Step:
        """Regularised loss of all rows; the memory takes up their predictions."""
        params = self.params
        logits = self.network(batch.images[0])
        loss, self.targets = elr_loss(logits, batch.labels, self.targets, batch.index, params.momentum, params.weight)
        weight = torch.ones_like(batch.labels, dtype=torch.float32)[None]
        return Step(loss, logits.detach().softmax(dim=1), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
