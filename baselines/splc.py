"""SPLC (Zhang et al., 2021): negatives that the network is sure are positive become positives, within a focal loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from ..methods.losses import full_precision
from .hill import focal_loss, focal_slope

__all__ = ["SPLC", "SPLCParams", "focal_margin_posterior", "splc_loss", "splc_targets"]

CODE = "authors' code, src/loss_functions/losses.py"  # xinyu1205/robust-loss-mlml @dcfa4d5


@dataclass(frozen=True)
class SPLCParams:
    """Hyper-parameters of SPLC."""

    tau: float = sourced(0.6, f"{CODE}:98: tau 0.6; their README has 0.65 for COCO with 75 % of the labels")
    change_epoch: int = sourced(1, f"{CODE}:99: change_epoch 1, compared with the 0-based epoch of train.py")
    stated_for: int = sourced(
        80, "authors' code, train.py:92: a schedule of 80 epochs, stopped after 31; never scaled below one epoch"
    )
    margin: float = sourced(1.0, f"{CODE}:100: margin 1.0")
    gamma: float = sourced(2.0, f"{CODE}:101: gamma 2.0")
    keep_verified: bool = sourced(False, "unstated: ours; the loss knows no verified rows")
    posterior: bool = sourced(
        False, "the authors predict the sigmoid; the variant predicts the probability of a positive label"
    )


@torch.no_grad()
def splc_targets(logits: Tensor, labels: Tensor, tau: float = 0.6, *, verified: Tensor | None = None) -> Tensor:
    """The labels, with negatives of a probability above the threshold turned into positives.

    Args:
        logits: float [N, L]; detached here.
        labels: [N, L] in {-1, 0, +1}; unknown entries stay unknown.
        tau: τ in (0, 1); turned where σ(z) > τ, not where they are equal.
        verified: bool [N], rows whose labels are kept, or None for no such row.

    Returns:
        [N, L] in {-1, 0, +1} of the dtype of the labels, no gradient.

    Raises:
        ValueError: τ outside (0, 1).

    Source: Zhang et al. §4; authors' code, src/loss_functions/losses.py:124-142 (xinyu1205/robust-loss-mlml @dcfa4d5).
    """
    if not 0.0 < tau < 1.0:
        raise ValueError(f"tau {tau}: must lie in (0, 1)")
    turned = (labels < 0) & (full_precision(logits).sigmoid() > tau)
    if verified is not None:
        turned = turned & ~verified[:, None]
    return torch.where(turned, 1, labels)


def splc_loss(
    logits: Tensor,
    labels: Tensor,
    correct: bool,
    tau: float = 0.6,
    margin: float = 1.0,
    gamma: float = 2.0,
    *,
    verified: Tensor | None = None,
) -> Tensor:
    """Focal margin loss with negatives corrected, mean over known entries.

    Given positives: -(1-s)^γ·log s with s = σ(z - m). Negatives: -p^γ·log(1-p). Corrected negatives: -(1-p)^γ·log p,
    without the margin.

    Args:
        logits: float [N, L].
        labels: given, [N, L] in {-1, 0, +1}, 0 unknown.
        correct: whether negatives are corrected, see `splc_targets`.
        tau: τ in (0, 1).
        margin: m, subtracted from the logits of given positives.
        gamma: γ ≥ 0; the focus is not detached.
        verified: bool [N], rows that are not corrected, or None for no such row.

    Returns:
        Scalar with gradient; 0 when no label is known.

    Raises:
        ValueError: a parameter outside its range.

    Source: Zhang et al. §4; authors' code, src/loss_functions/losses.py:124-142 (xinyu1205/robust-loss-mlml @dcfa4d5),
    which sums; here the mean, so that the loss has the scale of the other methods' under the shared recipe.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma {gamma}: must not be negative")
    logits = full_precision(logits)
    corrected = splc_targets(logits, labels, tau, verified=verified)
    targets = corrected if correct else labels
    shifted = torch.where(labels > 0, logits - margin, logits)
    losses = focal_loss(torch.where(targets > 0, -shifted, shifted), gamma)
    known = labels != 0
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def focal_margin_posterior(logits: Tensor, margin: float = 1.0, gamma: float = 2.0) -> Tensor:
    """P(given label +) that a logit stands for: the share π of positives at which it has the least expected loss.

    The expected loss before correction, π·pos(z) + (1-π)·neg(z), is least where π = neg'(z) / (neg'(z) - pos'(z)).
    Under this loss σ(z) is no probability: σ(z) = 0.5 stands for π = 0.28 with the default parameters.

    Args:
        logits: float [N, L].
        margin: m.
        gamma: γ ≥ 0.

    Returns:
        Float [N, L] in [0, 1], increasing in the logit, of the dtype of the logits (half precision becomes float32),
        computed in float64.

    Raises:
        ValueError: γ negative.

    Source: derived here from the loss.
    """
    if not gamma >= 0:
        raise ValueError(f"gamma {gamma}: must not be negative")
    z = logits.double()
    posterior = 1.0 / (1.0 + focal_slope(margin - z, gamma) / focal_slope(z, gamma))
    return posterior.to(full_precision(logits).dtype)


class SPLC(Method):
    """One network trained with the self-paced loss correction on verified and unverified rows alike.

    Reference: Zhang, Cheng, Huang, Wen, Feng, Li & Guo, "Simple and robust loss design for multi-label learning with
    missing labels", arXiv 2112.07368, 2021; code xinyu1205/robust-loss-mlml. In each step the negatives that the
    network finds likelier than τ to be positive are positives; what was corrected is not kept. The method doubts
    negatives only: a wrong positive is learnt like a right one, and of a frequent AU many right negatives are turned.
    Prediction: σ(z) as published, which is above the probability of a positive; `posterior` predicts that probability.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = SPLCParams
    params: SPLCParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "posterior": Variant("predicts the probability of a positive label, not the sigmoid", {"posterior": True}),
            "keep-verified": Variant(
                "labels of verified rows are not corrected", {"keep_verified": True}, frozenset({"verified"})
            ),
        }
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: SPLCParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.correct_from = max(1, task.scaled_epochs(params.change_epoch, params.stated_for))

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the known entries, with the labels it was computed from once these are corrected."""
        params, labels, known = self.params, batch.labels, batch.labels != 0
        kept = batch.verified if params.keep_verified else None
        correct = batch.epoch >= self.correct_from
        logits = self.network(batch.images[0])
        loss = splc_loss(logits, labels, correct, params.tau, params.margin, params.gamma, verified=kept)
        target = splc_targets(logits, labels, params.tau, verified=kept) if correct else labels
        logs = {"corrected": (target != labels).sum() / known.sum().clamp(min=1)}
        probabilities, weight = self._probabilities(logits.detach()), known[None].float()
        return Step(loss, probabilities, weight, target[None] if correct else None, logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        return self._probabilities(self.network(images))

    def _probabilities(self, logits: Tensor) -> Tensor:
        if self.params.posterior:
            return focal_margin_posterior(logits, self.params.margin, self.params.gamma)
        return logits.sigmoid()
