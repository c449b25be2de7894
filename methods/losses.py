"""Losses shared by several methods, computed from logits so that they stay finite for saturated predictions."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor

from ..protocols.base import Kind

LOG_2 = math.log(2.0)


def full_precision(values: Tensor) -> Tensor:
    """Half-precision values as float32, float32 and float64 unchanged: losses and rankings need the precision."""
    return values.float() if values.dtype.itemsize < 4 else values


def binary_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy of every entry: -[t log σ(z) + (1-t) log(1-σ(z))].

    Args:
        logits: float [N, L].
        targets: [N, L] in [0, 1], hard or soft.

    Returns:
        Float [N, L] with gradient, of the dtype of the logits (half precision becomes float32).

    Raises:
        ValueError: the shapes differ.
    """
    if logits.shape != targets.shape:
        raise ValueError(f"logits {tuple(logits.shape)} and targets {tuple(targets.shape)} differ in shape")
    logits = full_precision(logits)
    targets = targets.to(logits.dtype)
    # Two log-sigmoids are exact in both tails; the usual one-term form loses small losses to cancellation.
    return -(targets * F.logsigmoid(logits) + (1 - targets) * F.logsigmoid(-logits))


def soft_bce(logits: Tensor, targets: Tensor, known: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy with soft targets, mean over the known entries.

    Args:
        logits: float [N, L].
        targets: [N, L] in [0, 1]; ignored where not known.
        known: bool [N, L].
        weight: broadcastable to [N, L], or None for 1; the divisor stays the number of known entries.

    Returns:
        Scalar with gradient; 0 when nothing is known.
    """
    losses = binary_cross_entropy(logits, targets) * known
    if weight is not None:
        losses = losses * weight.to(losses.dtype)
    return losses.sum() / known.sum().clamp(min=1)


def masked_bce(logits: Tensor, labels: Tensor, weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy of AU labels, mean over the known entries.

    Args:
        logits: float [N, L].
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        weight: broadcastable to [N, L], or None for 1; not part of the divisor.

    Returns:
        Scalar with gradient; 0 when no label is known.
    """
    return soft_bce(logits, labels > 0, labels != 0, weight)


def label_loss(logits: Tensor, labels: Tensor, kind: Kind) -> Tensor:
    """The standard supervised loss: mean cross-entropy ("single") or masked binary cross-entropy ("multi").

    Args:
        logits: float [B, C] or [N, L].
        labels: int64 [B], or [N, L] in {-1, 0, +1}.
        kind: the task's.

    Returns:
        Scalar with gradient; 0 for an empty batch.
    """
    if kind == "multi":
        return masked_bce(logits, labels)
    return F.cross_entropy(full_precision(logits), labels, reduction="sum") / max(1, len(labels))


def softmax_kl(target_logits: Tensor, logits: Tensor) -> Tensor:
    """KL(softmax(target_logits) || softmax(logits)) of each row, summed over classes.

    Args:
        target_logits: float [B, C]; the caller detaches it where it must not receive gradient.
        logits: float [B, C].

    Returns:
        Float [B] ≥ 0 with gradient to both.
    """
    log_target = F.log_softmax(full_precision(target_logits), dim=1)
    log_own = F.log_softmax(full_precision(logits), dim=1)
    return (log_target.exp() * (log_target - log_own)).sum(dim=1)


def js_consistency(logits1: Tensor, logits2: Tensor) -> Tensor:
    """Jensen-Shannon divergence of two Bernoulli predictions, mean over rows and AUs.

    JSD = H((p1+p2)/2) - (H(p1)+H(p2))/2 = ½[KL(p1 || m) + KL(p2 || m)] with m = (p1+p2)/2 (ReCoT eq. 5). As
    p1/(p1+p2) = σ(log p1 - log p2), every logarithm is a log-sigmoid, finite with its gradient for any finite logits.

    Args:
        logits1: float [N, L].
        logits2: float [N, L].

    Returns:
        Scalar in [0, log 2] with gradient to both; 0 for no rows.

    Raises:
        ValueError: the shapes differ.
    """
    if logits1.shape != logits2.shape:
        raise ValueError(f"logits {tuple(logits1.shape)} and {tuple(logits2.shape)} differ in shape")
    z1, z2 = full_precision(logits1), full_precision(logits2)
    on = F.logsigmoid(z1) - F.logsigmoid(z2)
    off = F.logsigmoid(-z1) - F.logsigmoid(-z2)
    first = z1.sigmoid() * (LOG_2 + F.logsigmoid(on)) + (-z1).sigmoid() * (LOG_2 + F.logsigmoid(off))
    second = z2.sigmoid() * (LOG_2 + F.logsigmoid(-on)) + (-z2).sigmoid() * (LOG_2 + F.logsigmoid(-off))
    return (first + second).sum() / max(1, 2 * z1.numel())


def bernoulli_kl(target_logits: Tensor, logits: Tensor) -> Tensor:
    """KL(Bernoulli(σ(target_logits)) || Bernoulli(σ(logits))) of every entry.

    Args:
        target_logits: float [N, L]; the caller detaches it where it must not receive gradient.
        logits: float [N, L].

    Returns:
        Float [N, L] with gradient to both, finite for any finite logits.

    Raises:
        ValueError: the shapes differ.
    """
    if target_logits.shape != logits.shape:
        raise ValueError(f"logits {tuple(target_logits.shape)} and {tuple(logits.shape)} differ in shape")
    z, own = full_precision(target_logits), full_precision(logits)
    on, off = F.logsigmoid(z) - F.logsigmoid(own), F.logsigmoid(-z) - F.logsigmoid(-own)
    return z.sigmoid() * on + (-z).sigmoid() * off
