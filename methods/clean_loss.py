"""The supervised loss on action unit labels that ReCoT, MLCR and plain training share: binary cross-entropy."""

from __future__ import annotations

from torch import Tensor

from .losses import binary_cross_entropy


def clean_loss(logits: Tensor, labels: Tensor, weight: Tensor | None = None, reduction: str = "mean") -> Tensor:
    """Weighted binary cross-entropy on clean labels, divided by N·L, unknown entries included in the divisor.

    `logits` float [N, L], `labels` [N, L] in {-1, 0, +1} (0: weight 0), `weight` [N, L] or None for 1. The reduction
    "sum" divides by N only. Returns a scalar with gradient; 0 for no rows.

    Source: ReCoT, eq. (2), negated: the equation in the paper lacks the minus sign.
    """
    losses = binary_cross_entropy(logits, labels > 0) * (labels != 0)
    if weight is not None:
        losses = losses * weight.to(losses.dtype)
    divisor = losses.numel() if reduction == "mean" else len(losses)
    return losses.sum() / max(1, divisor)
