"""Asymmetric loss (Ridnik et al., ICCV 2021): easy negatives are down-weighted, and the easiest are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from ..methods.losses import full_precision

__all__ = ["AsymmetricLoss", "AsymmetricLossParams", "asymmetric_loss"]


@dataclass(frozen=True)
class AsymmetricLossParams:
    """Hyper-parameters of the asymmetric loss."""

    gamma_negative: float = sourced(4.0, "authors' code, train.py (Alibaba-MIIL/ASL): gamma_neg 4, MS-COCO")
    gamma_positive: float = sourced(0.0, "authors' code, train.py (Alibaba-MIIL/ASL): gamma_pos 0, MS-COCO")
    margin: float = sourced(0.05, "authors' code, train.py (Alibaba-MIIL/ASL): clip 0.05, MS-COCO")
    detach_focus: bool = sourced(
        False, "Ridnik et al. §2: gradient of the whole loss; the authors' train.py detaches the focusing factor"
    )


def asymmetric_loss(
    logits: Tensor,
    labels: Tensor,
    gamma_negative: float,
    gamma_positive: float,
    margin: float,
    *,
    detach_focus: bool = False,
) -> Tensor:
    """Focal loss with separate focusing for positives and negatives and shifted negatives, mean over known entries.

    Positives: -(1-p)^γ₊·log p. Negatives: -p_m^γ₋·log(1-p_m) with p_m = max(p - margin, 0).

    Args:
        logits: float [N, L].
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        gamma_negative: γ₋ ≥ 0.
        gamma_positive: γ₊ ≥ 0.
        margin: m in [0, 1).
        detach_focus: no gradient through the focusing factor, the power in front of the logarithm.

    Returns:
        Scalar with gradient; 0 when no label is known.

    Raises:
        ValueError: a parameter outside its range.

    Source: Ridnik et al. §2, authors' code src/loss_functions/losses.py (Alibaba-MIIL/ASL), which sums; here the mean,
    so that the loss has the scale of the other methods' under the shared recipe.
    """
    if gamma_negative < 0 or gamma_positive < 0 or not 0.0 <= margin < 1.0:
        raise ValueError(f"gammas {gamma_negative}, {gamma_positive} must not be negative, margin {margin} in [0, 1)")
    logits = full_precision(logits)
    log_p, log_not_p, p = F.logsigmoid(logits), F.logsigmoid(-logits), logits.sigmoid()
    # With a shift, 1 - p_m is at least the margin; without one, only the log-sigmoid is finite at saturation.
    shifted = (p - margin).clamp(min=0.0)
    log_not_shifted = log_not_p if margin == 0 else torch.log1p(-shifted)
    # For γ < 1 a power has no finite gradient at base 0, where the logarithm is 0 anyway.
    negative_focus = torch.where(shifted > 0, shifted, 1.0) ** gamma_negative
    positive_focus = torch.exp(gamma_positive * log_not_p)
    if detach_focus:
        positive_focus, negative_focus = positive_focus.detach(), negative_focus.detach()
    zero = torch.zeros_like(logits)
    losses = torch.where(labels > 0, positive_focus * log_p, zero)
    losses = torch.where(labels < 0, negative_focus * log_not_shifted, losses)
    return -losses.sum() / (labels != 0).sum().clamp(min=1)


class AsymmetricLoss(Method):
    """One network trained with the asymmetric loss on verified and unverified rows alike.

    Reference: Ridnik, Ben-Baruch et al., "Asymmetric loss for multi-label classification", ICCV 2021; code
    Alibaba-MIIL/ASL. A negative predicted with a probability below the margin has no loss.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = AsymmetricLossParams
    params: AsymmetricLossParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"detached-focus": Variant("no gradient through the focus", {"detach_focus": True})}
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: AsymmetricLossParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the known entries; no update for a batch without a known label."""
        known, params = batch.labels != 0, self.params
        weight = known[None].float()
        if not bool(known.any()):
            return Step(loss=None, weight=weight)
        logits = self.network(batch.images[0])
        settings = params.gamma_negative, params.gamma_positive, params.margin
        loss = asymmetric_loss(logits, batch.labels, *settings, detach_focus=params.detach_focus)
        return Step(loss, logits.detach().sigmoid(), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
