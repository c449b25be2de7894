"""Bootstrapping (Reed et al., 2014): targets are a mix of the given labels and the network's own predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from ..methods.losses import full_precision, soft_bce

__all__ = ["Bootstrapping", "BootstrappingParams", "bootstrap_targets"]


@dataclass(frozen=True)
class BootstrappingParams:
    """Hyper-parameters of bootstrapping."""

    weight: float = sourced(0.8, "ReCoT, appendix A.2: weight of the given label, soft and hard")
    hard: bool = sourced(False, "ReCoT Tables 1-3: BS-S; BS-H is the variant hard")


@torch.no_grad()
def bootstrap_targets(logits: Tensor, labels: Tensor, weight: float, hard: bool) -> Tensor:
    """Targets w·t + (1-w)·p, or w·t + (1-w)·[p > 1/2] when hard, with t = 1 for positives.

    Args:
        logits: float [N, L].
        labels: [N, L] in {-1, 0, +1}; unknown ones get the target of a negative and must be masked in the loss.
        weight: w in [0, 1], share of the given label.
        hard: predictions thresholded at 1/2 instead of probabilities.

    Returns:
        [N, L] in [0, 1] of the dtype of the logits (half precision becomes float32); no gradient.

    Raises:
        ValueError: weight outside [0, 1].

    Source: Reed et al. with sigmoids, ReCoT appendix A.2; detaching the prediction is unstated: ours.
    """
    if not 0.0 <= weight <= 1.0:
        raise ValueError(f"weight {weight}: must lie in [0, 1]")
    p = full_precision(logits).sigmoid()
    own = (p > 0.5).to(p.dtype) if hard else p
    return weight * (labels > 0).to(p.dtype) + (1 - weight) * own


class Bootstrapping(Method):
    """One network trained with binary cross-entropy on a mix of the given labels and its current predictions.

    Reference: Reed, Lee, Anguelov, Szegedy, Erhan & Rabinovich, "Training deep neural networks on noisy labels with
    bootstrapping", 2014, as ReCoT re-implements it for AUs (appendix A.2). Verified and unverified rows alike.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = BootstrappingParams
    params: BootstrappingParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"hard": Variant("thresholded predictions (BS-H)", {"hard": True})}
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: BootstrappingParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the known entries; no update for a batch without a known label."""
        known = batch.labels != 0
        weight = known[None].float()
        if not bool(known.any()):
            return Step(loss=None, weight=weight)
        logits = self.network(batch.images[0])
        target = bootstrap_targets(logits, batch.labels, self.params.weight, self.params.hard)
        return Step(soft_bce(logits, target, known), logits.detach().sigmoid(), weight, target[None])

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
