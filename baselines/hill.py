"""Hill loss (Zhang et al., 2021): negatives that the network is sure are positive hardly teach it."""

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

__all__ = ["Hill", "HillParams", "focal_loss", "focal_slope", "hill_loss", "hill_posterior"]

CODE = "authors' code, src/loss_functions/losses.py"  # xinyu1205/robust-loss-mlml @dcfa4d5
LARGEST = 300.0  # a logit from which on the posterior keeps its value; its slopes would underflow further out


@dataclass(frozen=True)
class HillParams:
    """Hyper-parameters of the Hill loss."""

    lam: float = sourced(1.5, f"{CODE}:44-65: lamb 1.5")
    margin: float = sourced(1.0, f"{CODE}:44-65: margin 1.0")
    gamma: float = sourced(2.0, f"{CODE}:44-65: gamma 2.0")
    posterior: bool = sourced(
        False, "the authors predict the sigmoid; the variant predicts the probability of a positive label"
    )


def focal_loss(logits: Tensor, gamma: float) -> Tensor:
    """Focal loss of every entry as a negative, p^γ·(-log(1-p)) with p = σ(z); that of a positive is at -z.

    Args:
        logits: float [N, L].
        gamma: γ ≥ 0; the focus p^γ is not detached.

    Returns:
        Float [N, L] ≥ 0 with gradient, finite for any finite logits.

    Source: Zhang et al. §3; authors' code, src/loss_functions/losses.py:124-142 (xinyu1205/robust-loss-mlml @dcfa4d5).
    """
    logits = full_precision(logits)
    # p^γ = exp(γ·log p): for γ < 1 the power has no finite gradient where p rounds to 0.
    return -torch.exp(gamma * F.logsigmoid(logits)) * F.logsigmoid(-logits)


def focal_slope(logits: Tensor, gamma: float) -> Tensor:
    """Derivative of `focal_loss` in the logit: p^γ·(p - γ·(1-p)·log(1-p)), float [N, L] ≥ 0."""
    logits = full_precision(logits)
    focus = torch.exp(gamma * F.logsigmoid(logits))
    return focus * (logits.sigmoid() - gamma * (-logits).sigmoid() * F.logsigmoid(-logits))


def hill_loss(logits: Tensor, labels: Tensor, lam: float = 1.5, margin: float = 1.0, gamma: float = 2.0) -> Tensor:
    """Hill loss of negatives and focal margin loss of positives, mean over known entries.

    Negatives: (λ - p)·p², whose gradient 3p²(1-p)² at λ = 1.5 is largest at p = ½ and vanishes for p → 1. Positives:
    -(1-s)^γ·log s with s = σ(z - m).

    Args:
        logits: float [N, L].
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        lam: λ ≥ 1.
        margin: m, subtracted from the logits of positives.
        gamma: γ ≥ 0.

    Returns:
        Scalar with gradient; 0 when no label is known.

    Raises:
        ValueError: a parameter outside its range.

    Source: Zhang et al. §3; authors' code, src/loss_functions/losses.py:44-65 (xinyu1205/robust-loss-mlml @dcfa4d5),
    which sums; here the mean, so that the loss has the scale of the other methods' under the shared recipe.
    """
    _check(lam, gamma)
    logits = full_precision(logits)
    # λ - p as λ - 1 + (1 - p), which keeps its precision for p near 1.
    negative = (lam - 1 + (-logits).sigmoid()) * logits.sigmoid().square()
    losses = torch.where(labels > 0, focal_loss(margin - logits, gamma), negative)
    known = labels != 0
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def hill_posterior(logits: Tensor, lam: float = 1.5, margin: float = 1.0, gamma: float = 2.0) -> Tensor:
    """P(given label +) that a logit stands for: the share π of positives at which it has the least expected loss.

    The expected loss π·pos(z) + (1-π)·neg(z) is least where π = neg'(z) / (neg'(z) - pos'(z)). Under this loss σ(z) is
    no probability: σ(z) = 0.5 stands for π = 0.20 with the default parameters.

    Args:
        logits: float [N, L].
        lam: λ ≥ 1; the map is increasing for λ ≥ 1.5 with the default γ.
        margin: m.
        gamma: γ ≥ 0.

    Returns:
        Float [N, L] in [0, 1] of the dtype of the logits (half precision becomes float32), computed in float64.

    Raises:
        ValueError: a parameter outside its range.

    Source: derived here from the loss.
    """
    _check(lam, gamma)
    z = logits.double().clamp(max=LARGEST)
    p, not_p = z.sigmoid(), (-z).sigmoid()
    negative = p.square() * (2 * lam - 3 + 3 * not_p) * not_p
    posterior = 1.0 / (1.0 + focal_slope(margin - z, gamma) / negative)
    return posterior.clamp(0.0, 1.0).to(full_precision(logits).dtype)


def _check(lam: float, gamma: float) -> None:
    if not (lam >= 1 and gamma >= 0):
        raise ValueError(f"lam {lam} must be at least 1, and gamma {gamma} not negative")


class Hill(Method):
    """One network trained with the Hill loss on verified and unverified rows alike.

    Reference: Zhang, Cheng, Huang, Wen, Feng, Li & Guo, "Simple and robust loss design for multi-label learning with
    missing labels", arXiv 2112.07368, 2021; code xinyu1205/robust-loss-mlml. The loss doubts negatives only: a wrong
    positive is learnt like a right one, with most weight where it contradicts the network. Prediction: σ(z) as
    published, which is far above the probability of a positive; `posterior` predicts that probability.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = HillParams
    params: HillParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"posterior": Variant("predicts the probability of a positive label, not the sigmoid", {"posterior": True})}
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: HillParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the known entries."""
        params, logits = self.params, self.network(batch.images[0])
        loss = hill_loss(logits, batch.labels, params.lam, params.margin, params.gamma)
        return Step(loss, self._probabilities(logits.detach()), (batch.labels != 0)[None].float())

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        return self._probabilities(self.network(images))

    def _probabilities(self, logits: Tensor) -> Tensor:
        params = self.params
        if params.posterior:
            return hill_posterior(logits, params.lam, params.margin, params.gamma)
        return logits.sigmoid()
