"""Early-learning regularisation (Liu et al., NeurIPS 2020): predictions are kept close to their moving average."""

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
    """Cross-entropy plus weight·mean log(1 - <t, p>), where t is the moving average of a sample's predictions.

    Probabilities are clamped; they are renormalised for the moving average but not for the product with t. The average
    is updated first, so that t includes the current prediction. For a sample that occurs twice the last row updates the
    average, and both rows use it.

    Args:
        logits: float [B, C].
        labels: int64 [B].
        targets: float [N, C], the moving averages of all samples; not modified.
        index: int64 [B], rows of `targets`.
        momentum: β, weight of the old average.
        weight: λ.

    Returns:
        (loss, targets): a scalar with gradient through p only, 0 for B = 0, and the updated averages [N, C] without
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
    """One network regularised towards the moving average of its predictions, which precede memorisation.

    Reference: Liu, Niles-Weed, Razavian & Fernandez-Granda, "Early-learning regularization prevents memorization of
    noisy labels", NeurIPS 2020; code shengliu66/ELR. The one-network version; the averages are initialised with zeros.
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
        """Regularised loss of all rows; updates the moving averages of their predictions."""
        params = self.params
        logits = self.network(batch.images[0])
        loss, self.targets = elr_loss(logits, batch.labels, self.targets, batch.index, params.momentum, params.weight)
        weight = torch.ones_like(batch.labels, dtype=torch.float32)[None]
        return Step(loss, logits.detach().softmax(dim=1), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
