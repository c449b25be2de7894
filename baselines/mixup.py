"""Mixup (Zhang et al., ICLR 2018): training on weighted sums of two images and of their two losses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced, to_probabilities
from ..methods.losses import label_loss
from ..protocols.base import Kind

__all__ = ["Mixup", "MixupParams", "mixing_coefficient", "mixup_loss"]


@dataclass(frozen=True)
class MixupParams:
    """Hyper-parameters of mixup."""

    alpha: float = sourced(
        1.0, "authors' code, train.py:26-40 (facebookresearch/mixup-cifar10 @eaff31a); ReCoT does not state its value"
    )


def mixing_coefficient(alpha: float, generator: torch.Generator) -> float:
    """Weight λ of the first image, drawn from Beta(α, α), or 1 for α ≤ 0.

    Args:
        alpha: both parameters of the distribution.
        generator: only its initial seed is used, so the number is the same on every device; its state is unchanged.

    Returns:
        λ in [0, 1], not restricted to [1/2, 1].

    Source: authors' code, train.py:119-138 (facebookresearch/mixup-cifar10 @eaff31a).
    """
    if alpha <= 0:
        return 1.0
    # PyTorch samples a Beta distribution from its global generator only.
    return float(np.random.default_rng(generator.initial_seed()).beta(alpha, alpha))


def mixup_loss(logits: Tensor, labels_a: Tensor, labels_b: Tensor, lam: float | Tensor) -> Tensor:
    """Loss of mixed images: λ·loss(logits, a) + (1-λ)·loss(logits, b), each a separate mean.

    For AUs each mean is over the known labels of one of the two images, since a mixed target would need both to be
    known; with all labels known the two formulations are equal.

    Args:
        logits: float [B, C] or [B, L] of λ·x_a + (1-λ)·x_b.
        labels_a: int64 [B], or [B, L] in {-1, 0, +1}.
        labels_b: likewise.
        lam: λ in [0, 1].

    Returns:
        Scalar with gradient; 0 for an empty batch or without a known label.

    Source: authors' code, train.py:119-138 (facebookresearch/mixup-cifar10 @eaff31a); unknown AU labels: ours.
    """
    kind: Kind = "single" if labels_a.dim() == 1 else "multi"
    return lam * label_loss(logits, labels_a, kind) + (1 - lam) * label_loss(logits, labels_b, kind)


class Mixup(Method):
    """One network trained on each image mixed with another of its batch; one λ and one permutation per batch.

    Reference: Zhang, Cissé, Dauphin & Lopez-Paz, "mixup: beyond empirical risk minimization", ICLR 2018; code
    facebookresearch/mixup-cifar10. For AUs as in ReCoT (appendix A.2): sigmoid and binary cross-entropy, verified and
    unverified rows alike with their given labels. A step reports no predictions, since a mixed image is not a row of
    the training set.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})
    Params = MixupParams
    params: MixupParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: MixupParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Loss of the mixed batch; no update for a batch without a known label."""
        labels, images, generator = batch.labels, batch.images[0], batch.generator
        single = self.task.kind == "single"
        known = torch.ones_like(labels, dtype=torch.bool) if single else labels != 0
        weight = known[None].float()
        if not single and not bool(known.any()):
            return Step(loss=None, weight=weight)
        lam = mixing_coefficient(self.params.alpha, generator)
        partner = torch.randperm(len(labels), generator=generator, device=generator.device).to(labels.device)
        logits = self.network(lam * images + (1 - lam) * images[partner])
        return Step(mixup_loss(logits, labels, labels[partner], lam), weight=weight, logs={"mixing_coefficient": lam})

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        return to_probabilities(self.network(images), self.task.kind)
