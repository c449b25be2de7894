"""ReSup (Zhang et al., T-AFFC 2025): two networks weight each other's samples by how far predictions fit the labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import beta as beta_distribution
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision
from ..methods.networks import mean_probabilities

__all__ = [
    "ReSup",
    "ReSupParams",
    "clean_lookup",
    "fit_beta_mixture",
    "label_similarity",
    "resup_loss",
    "resup_weights",
]

CODE = "authors' code, utils.py (purpleleaves007/FERDenoise @0eb4353)"
LOWEST = 1e-4  # similarities and weights are clipped to [1e-4, 1 - 1e-4], except that
NONE, FULL = 0.001, 0.999  # stand for a similarity of 0 and of 1
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class ReSupParams:
    """Hyper-parameters of ReSup."""

    iterations: int = sourced(10, f"{CODE}: rounds of the mixture's fit")
    resolution: int = sourced(100, f"{CODE}: bins of the weight's table")
    consistency_weight: float = sourced(5.0, f"{CODE}: of the squared difference of the two networks' probabilities")
    warm_up: int = sourced(1, f"{CODE}: epochs with plain cross-entropy; the first one alone, whatever the length")
    predicts: Literal["both", "first"] = sourced(
        "both", "unstated: ours, as for co-teaching; the authors report each network, their best is the first's"
    )


@torch.no_grad()
def label_similarity(logits: Tensor, labels: Tensor) -> Tensor:
    """Cosine between the predicted distribution and the one-hot label: p_y / ||p||.

    Args:
        logits: float [B, C].
        labels: int64 [B].

    Returns:
        Float [B] in [0, 1], no gradient.

    Source: authors' code, utils.py:139,216 (purpleleaves007/FERDenoise @0eb4353).
    """
    p = full_precision(logits).softmax(dim=1)
    return p.gather(1, labels[:, None]).squeeze(1) / p.norm(dim=1)  # type: ignore[no-any-return]


@torch.no_grad()
def fit_beta_mixture(similarity: Tensor, iterations: int = 10) -> tuple[Tensor, Tensor, Tensor]:
    """A mixture of two Beta distributions fitted to similarities by expectation maximisation, M-steps by moments.

    It starts from Beta(1, 2) and Beta(2, 1) with equal shares; the second component is that of clean labels.

    Args:
        similarity: float [N].
        iterations: rounds.

    Returns:
        (alpha, beta, share): float64 [2] each, on the device of the similarities; NaN where no mixture can be fitted
        (fewer than two rows, all equal, a parameter that is not finite or not positive).

    Source: authors' code, utils.py:40-95,164-172 (purpleleaves007/FERDenoise @0eb4353).
    """
    x = _inside(similarity.double()).clamp(LOWEST, 1 - LOWEST).cpu().numpy()
    alpha, beta, share = np.array([1.0, 2.0]), np.array([2.0, 1.0]), np.array([0.5, 0.5])
    fits = len(x) >= 2 and x.max() > x.min()
    with np.errstate(all="ignore"):
        for _ in range(iterations if fits else 0):
            weights = np.stack([share[k] * beta_distribution.pdf(x, alpha[k], beta[k]) for k in range(2)])
            weights = np.maximum(weights, NEGLIGIBLE)
            weights /= weights.sum(axis=0)
            total = weights.sum(axis=1)
            mean = (weights * x).sum(axis=1) / total
            variance = (weights * (x - mean[:, None]) ** 2).sum(axis=1) / total
            alpha = mean * (mean * (1 - mean) / variance - 1)
            beta = alpha * (1 - mean) / mean
            share = total / total.sum()
    found = np.stack([alpha, beta, share])
    if not (fits and np.isfinite(found).all() and (found > 0).all()):
        found = np.full((3, 2), np.nan)
    fitted = torch.from_numpy(found).to(similarity.device)
    return fitted[0], fitted[1], fitted[2]


def _inside(similarity: Tensor) -> Tensor:
    """Similarities of 0 and 1 moved inside the interval, where a Beta density is finite."""
    return torch.where(similarity >= 1, FULL, torch.where(similarity <= 0, NONE, similarity))


@torch.no_grad()
def clean_lookup(alpha: Tensor, beta: Tensor, share: Tensor, resolution: int = 100) -> Tensor:
    """Table of the probability that a label is right, by its similarity: the posterior of the second component.

    It is held at its maximum for all similarities above that of the maximum.

    Args:
        alpha: float64 [2].
        beta: float64 [2].
        share: float64 [2].
        resolution: entries, at equal distances from 0 to 1.

    Returns:
        float64 [resolution] in [0, 1]; all 1 where the parameters are those of no mixture.

    Source: authors' code, utils.py:97-105 (purpleleaves007/FERDenoise @0eb4353); no mixture unstated: ours.
    """
    x = np.linspace(NEGLIGIBLE, 1 - NEGLIGIBLE, resolution)
    found = torch.stack([alpha, beta, share]).double().cpu().numpy()
    with np.errstate(all="ignore"):
        wrong, right = (found[2, k] * beta_distribution.pdf(x, found[0, k], found[1, k]) for k in range(2))
        table = right / (wrong + right + NEGLIGIBLE)
    if not (np.isfinite(found).all() and (found > 0).all() and np.isfinite(table).all()):
        return torch.ones(resolution, dtype=torch.float64, device=alpha.device)
    top = int(table.argmax())
    table[top:] = table[top]
    return torch.from_numpy(table).to(alpha.device)


@torch.no_grad()
def resup_weights(similarity: Tensor, lookup: Tensor) -> Tensor:
    """Weight of each row: the table's entry for its similarity, in [1e-4, 1 - 1e-4].

    Args:
        similarity: float [B] in [0, 1].
        lookup: float64 [R], as from `clean_lookup`.

    Returns:
        float64 [B], no gradient.

    Source: authors' code, utils.py:184-193,216-227 (purpleleaves007/FERDenoise @0eb4353).
    """
    place = (_inside(full_precision(similarity)) * len(lookup)).long().clamp(0, len(lookup) - 1)
    return lookup.double()[place].clamp(LOWEST, 1 - LOWEST)


def resup_loss(
    logits1: Tensor,
    logits2: Tensor,
    labels: Tensor,
    weights1: Tensor | None = None,
    weights2: Tensor | None = None,
    consistency_weight: float = 5.0,
) -> Tensor:
    """Cross-entropy of two networks, each weighted by the other one's weights, and their consistency; mean over rows.

    w2·CE1 + w1·CE2 + consistency_weight · mean_c (p1 - p2)²; without weights CE1 + CE2.

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels: int64 [B].
        weights1: float [B] by the first network, or None.
        weights2: float [B] by the second; None where weights1 is.
        consistency_weight: of the squared difference of probabilities, whose gradient reaches both networks.

    Returns:
        Scalar with gradient to both logits, none to the weights; 0 for B = 0.

    Raises:
        ValueError: the weights of one network only.

    Source: authors' code, utils.py:228-256 (purpleleaves007/FERDenoise @0eb4353).
    """
    if (weights1 is None) != (weights2 is None):
        raise ValueError("weights of one network only: give both or none")
    z1, z2 = full_precision(logits1), full_precision(logits2)
    losses1 = F.cross_entropy(z1, labels, reduction="none")
    losses2 = F.cross_entropy(z2, labels, reduction="none")
    if weights1 is None or weights2 is None:
        losses = losses1 + losses2
    else:
        supervised = weights2.detach().to(z1.dtype) * losses1 + weights1.detach().to(z2.dtype) * losses2
        losses = supervised + consistency_weight * (z1.softmax(dim=1) - z2.softmax(dim=1)).square().mean(dim=1)
    return losses.sum() / max(1, len(labels))


class ReSup(Method):
    """Two networks kept consistent, each trained on samples weighted by the other one's estimate of clean labels.

    Reference: Zhang et al., "ReSup: reliable label noise suppression for facial expression recognition", T-AFFC 2025
    (arXiv 2305.17895); code purpleleaves007/FERDenoise. Before every epoch but the first, a two-component Beta mixture
    is fitted to the similarities of all rows under each network, in evaluation mode and without augmentation, where the
    authors' are of augmented images. Both networks start from the recipe's weights; the authors' second one starts from
    ImageNet, their first from MS-Celeb-1M. Prediction: mean of the two networks' probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = ReSupParams
    params: ReSupParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"first-network": Variant("the first network alone predicts, as the authors report it", {"predicts": "first"})}
    )
    lookup1: Tensor
    lookup2: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: ReSupParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        for name in ("lookup1", "lookup2"):
            self.register_buffer(name, torch.ones(params.resolution, dtype=torch.float64))

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Fits the mixture of each network after the warm-up."""
        if epoch < self.params.warm_up:
            return
        networks, training = (self.network1, self.network2), self.training
        self.eval()
        parts = [
            torch.stack([label_similarity(network(batch.images[0]), batch.labels) for network in networks])
            for batch in train.batches()
        ]
        self.train(training)
        for lookup, similarity in zip((self.lookup1, self.lookup2), torch.cat(parts, dim=1), strict=True):
            mixture = fit_beta_mixture(similarity, self.params.iterations)
            lookup.copy_(clean_lookup(*mixture, self.params.resolution))

    def loss(self, batch: Batch) -> Step:
        """Sum of the two networks' weighted losses and their consistency; plain cross-entropy in the warm-up."""
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        labels, logs = batch.labels, dict[str, float | Tensor]()
        if batch.epoch < self.params.warm_up:
            loss, weight = resup_loss(logits1, logits2, labels), torch.ones(2, len(labels), device=labels.device)
        else:
            weights1 = resup_weights(label_similarity(logits1, labels), self.lookup1)
            weights2 = resup_weights(label_similarity(logits2, labels), self.lookup2)
            loss = resup_loss(logits1, logits2, labels, weights1, weights2, self.params.consistency_weight)
            weight = torch.stack([weights2, weights1])
            failed = (torch.stack([self.lookup1, self.lookup2]) == 1).all(dim=1)
            logs = {"weight": weight.mean(), "no_mixture": failed.double().mean()}
        return Step(loss, self._combined(logits1.detach(), logits2.detach()), weight, logs=logs)

    def _combined(self, logits1: Tensor, logits2: Tensor) -> Tensor:
        if self.params.predicts == "first":
            return logits1.softmax(dim=1)
        return mean_probabilities(logits1, logits2, "single")

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]: the mean of the two networks', or the first one's."""
        return self._combined(self.network1(images), self.network2(images))
