"""Navigating label ambiguity (Lee et al., AAAI 2025): ambiguous samples count more, and mirror images must agree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from ..methods.losses import full_precision

__all__ = ["NLA", "NLAParams", "ambiguity_weights", "covariance_ramp", "mirror_consistency", "nla_loss"]


@dataclass(frozen=True)
class NLAParams:
    """Hyper-parameters of NLA."""

    slope: float = sourced(15.0, "authors' code, loss.py:70-74, train.py:17 (jungyu0413/NLA @b86f31f)")
    agreeing_mean: tuple[float, float] = sourced((0.5, 0.5), "authors' code, main_rafdb.py:46-53")
    agreeing_spread: tuple[float, float] = sourced((0.8, 2.0), "authors' code, main_rafdb.py:46-53: s, r")
    disagreeing_mean: tuple[float, float] = sourced((0.30, 0.15), "authors' code, main_rafdb.py:46-53")
    disagreeing_spread: tuple[float, float] = sourced((0.91, 6.0), "authors' code, main_rafdb.py:46-53: s, r")
    cross_entropy_weight: float = sourced(
        0.5, "authors' code, train.py:38-40; paper (from memory): λ (1 + w) CE with λ = 0.5"
    )
    adaptive_weight: float = sourced(0.5, "authors' code, train.py:38-40")
    consistency_weight: float = sourced(
        16.0, "authors' code, train.py:38-40: 0.5 of the sum over 32 rows; here of their mean, whatever the batch"
    )
    detach_weights: bool = sourced(False, "authors' code, loss.py:37-38: the gradient also goes through the weights")


def covariance_ramp(epoch: float, epochs: float, slope: float = 15.0) -> float:
    """Share ε of the final anti-correlation of agreeing rows: 1 - exp(-slope·epoch/epochs).

    Args:
        epoch: 0-based.
        epochs: length of the training, positive, else ValueError.
        slope: steepness; 15 gives 0.99 after 31 % of the training.

    Source: authors' code, loss.py:70-74 (jungyu0413/NLA @b86f31f).
    """
    if epochs <= 0:
        raise ValueError(f"epochs {epochs}: must be positive")
    return 1.0 - math.exp(-slope * epoch / epochs)


def ambiguity_weights(
    logits: Tensor,
    labels: Tensor,
    ramp: float,
    agreeing_mean: tuple[float, float] = (0.5, 0.5),
    agreeing_spread: tuple[float, float] = (0.8, 2.0),
    disagreeing_mean: tuple[float, float] = (0.30, 0.15),
    disagreeing_spread: tuple[float, float] = (0.91, 6.0),
) -> Tensor:
    """Density of a bivariate normal at x = (probability of the label, largest probability of another class).

    A row whose label is at least as probable as every other class is agreeing, else disagreeing; each kind has its own
    normal distribution. Its spread (s, r) gives half the variances along the diagonals of the plane: (s/r)² and s².
    The short axis of disagreeing rows is the difference of the two probabilities; that of agreeing rows is their sum,
    and as long as the other axis at ramp 0.

    Args:
        logits: float [B, C], C ≥ 2.
        labels: int64 [B].
        ramp: ε in [0, 1], how far the covariance of agreeing rows has come.
        agreeing_mean, disagreeing_mean: of x.
        agreeing_spread, disagreeing_spread: (s, r), positive.

    Returns:
        Float [B] > 0 with gradient to the logits; the density itself, not divided by its peak.

    Source: authors' code, loss.py:21-54 (jungyu0413/NLA @b86f31f).
    """
    p = full_precision(logits).softmax(dim=1)
    given = p.gather(1, labels[:, None]).squeeze(1)
    rival = p.scatter(1, labels[:, None], -1.0).max(dim=1).values
    agreeing = _density(given, rival, agreeing_mean, agreeing_spread, -ramp)
    disagreeing = _density(given, rival, disagreeing_mean, disagreeing_spread, 1.0)
    return torch.where(given >= rival, agreeing, disagreeing)


def _density(
    given: Tensor, rival: Tensor, mean: tuple[float, float], spread: tuple[float, float], correlated: float
) -> Tensor:
    """Normal density with covariance [[d, o], [o, d]], d = s² + (s/r)², o = correlated·(s² - (s/r)²)."""
    s, r = spread
    d, o = s**2 + (s / r) ** 2, correlated * (s**2 - (s / r) ** 2)
    x, y = given - mean[0], rival - mean[1]
    distance = (x + y).square() / (2 * (d + o)) + (x - y).square() / (2 * (d - o))
    return torch.exp(-distance / 2) / (2 * math.pi * math.sqrt((d + o) * (d - o)))


def mirror_consistency(logits: Tensor, mirrored: Tensor) -> Tensor:
    """½ [KL(m || p) + KL(m || p')] with m the normalised geometric mean of p and p', mean over rows.

    The authors call it Jensen-Shannon divergence. It equals -log Σ_c √(p_c p'_c), which is what is computed.

    Args:
        logits: float [B, C] of the images.
        mirrored: float [B, C] of their mirror images.

    Returns:
        Scalar ≥ 0 (up to rounding) with gradient to both; 0 for B = 0.

    Source: authors' code, loss.py:61-66 (jungyu0413/NLA @b86f31f), which sums over the batch.
    """
    log_p, log_q = (F.log_softmax(full_precision(z), dim=1) for z in (logits, mirrored))
    return -torch.logsumexp((log_p + log_q) / 2, dim=1).sum() / max(1, len(logits))


def nla_loss(
    logits: Tensor,
    mirrored: Tensor,
    labels: Tensor,
    ramp: float,
    cross_entropy_weight: float = 0.5,
    adaptive_weight: float = 0.5,
    consistency_weight: float = 16.0,
    weights: Tensor | None = None,
) -> Tensor:
    """Cross-entropy, cross-entropy weighted by ambiguity, and consistency with the mirror images: means over rows.

    Args:
        logits: float [B, C] of the images.
        mirrored: float [B, C] of their mirror images.
        labels: int64 [B].
        ramp: ε, see `covariance_ramp`.
        cross_entropy_weight, adaptive_weight, consistency_weight: of the three parts.
        weights: [B] in place of `ambiguity_weights` of the logits with its defaults.

    Returns:
        Scalar with gradient to logits, also through the weights, and to mirrored; 0 for B = 0.

    Source: authors' code, train.py:38-40 (jungyu0413/NLA @b86f31f).
    """
    if weights is None:
        weights = ambiguity_weights(logits, labels, ramp)
    losses = F.cross_entropy(full_precision(logits), labels, reduction="none")
    supervision = ((cross_entropy_weight + adaptive_weight * weights) * losses).sum() / max(1, len(labels))
    return supervision + consistency_weight * mirror_consistency(logits, mirrored)


class NLA(Method):
    """One network; samples near the boundary between label and rival count more, and mirror images must agree.

    Reference: Lee, Choi, Kim, Kim & Nam, "Navigating label ambiguity for facial expression recognition in the wild",
    AAAI 2025; code jungyu0413/NLA. As in that code the weights are not constants: their gradient lowers the weight of
    a row of large loss. An image and its mirror image pass the network one after the other, so that batch normalisation
    sees them apart. The authors report the best epoch on the test set.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = NLAParams
    params: NLAParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "no-consistency": Variant("without the mirror images", {"consistency_weight": 0.0}),
            "unweighted": Variant("plain cross-entropy", {"cross_entropy_weight": 1.0, "adaptive_weight": 0.0}),
            "detached-weights": Variant("weights as constants", {"detach_weights": True}),
        }
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NLAParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Weighted cross-entropy of all rows, and consistency with their mirror images."""
        params, images = self.params, batch.images[0]
        logits = self.network(images)
        mirrored = self.network(images.flip(3)) if params.consistency_weight else logits
        ramp = covariance_ramp(batch.epoch, self.task.epochs, params.slope)
        normals = params.agreeing_mean, params.agreeing_spread, params.disagreeing_mean, params.disagreeing_spread
        weights = ambiguity_weights(logits, batch.labels, ramp, *normals)
        constant = weights.detach()
        parts = params.cross_entropy_weight, params.adaptive_weight, params.consistency_weight
        loss = nla_loss(logits, mirrored, batch.labels, ramp, *parts, constant if params.detach_weights else weights)
        logs = {
            "ambiguity_weight": constant.sum() / max(1, len(constant)),
            "consistency": mirror_consistency(logits.detach(), mirrored.detach()),
        }
        used = params.cross_entropy_weight + params.adaptive_weight * constant
        return Step(loss, full_precision(logits.detach()).softmax(dim=1), used[None], logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
