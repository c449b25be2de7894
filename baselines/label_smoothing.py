"""Label smoothing (Szegedy et al., CVPR 2016): targets are mixed with the uniform distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced, to_probabilities
from ..methods.losses import full_precision, soft_bce

__all__ = ["LabelSmoothing", "LabelSmoothingParams", "smoothed_bce", "smoothed_cross_entropy"]


@dataclass(frozen=True)
class LabelSmoothingParams:
    """Hyper-parameters of label smoothing."""

    epsilon: float = sourced(0.1, "Szegedy et al. §7: ε = 0.1; for AUs RHLS Table 1: α = 0.1")


def _check(epsilon: float) -> None:
    if not 0.0 <= epsilon <= 1.0:
        raise ValueError(f"epsilon {epsilon}: must lie in [0, 1]")


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Cross-entropy with targets (1-ε)·onehot + ε/C, mean over rows; the labelled class keeps 1-ε+ε/C.

    Args:
        logits: float [B, C].
        labels: int64 [B].
        epsilon: ε in [0, 1].

    Returns:
        Scalar with gradient; 0 for B = 0.

    Raises:
        ValueError: epsilon outside [0, 1].

    Source: Szegedy et al. §7.
    """
    _check(epsilon)
    log_p = F.log_softmax(full_precision(logits), dim=1)
    labelled = log_p.gather(1, labels[:, None]).squeeze(1)
    return -((1 - epsilon) * labelled + epsilon * log_p.mean(dim=1)).sum() / max(1, len(labels))


def smoothed_bce(logits: Tensor, labels: Tensor, epsilon: float) -> Tensor:
    """Binary cross-entropy with targets (1-ε)·y + ε/2, y in {0, 1}, mean over the known entries.

    Args:
        logits: float [N, L].
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        epsilon: ε in [0, 1].

    Returns:
        Scalar with gradient; 0 when no label is known.

    Raises:
        ValueError: epsilon outside [0, 1].

    Source: RHLS, paper eq. (1).
    """
    _check(epsilon)
    y = (labels > 0).to(full_precision(logits).dtype)
    return soft_bce(logits, (1 - epsilon) * y + epsilon / 2, labels != 0)


class LabelSmoothing(Method):
    """One network trained on smoothed labels, for single- and multi-label tasks.

    Reference: Szegedy et al., "Rethinking the Inception architecture for computer vision", CVPR 2016; for AUs as in the
    comparison of RHLS (Tallec et al.). Verified and unverified rows alike. Smoothing does not change the most likely
    label, so a step reports no targets.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})
    Params = LabelSmoothingParams
    params: LabelSmoothingParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: LabelSmoothingParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Smoothed loss of all rows; no update for a batch without a known label."""
        single, labels = self.task.kind == "single", batch.labels
        known = torch.ones_like(labels, dtype=torch.bool) if single else labels != 0
        weight = known[None].float()
        if not single and not bool(known.any()):
            return Step(loss=None, weight=weight)
        logits = self.network(batch.images[0])
        smoothed = smoothed_cross_entropy if single else smoothed_bce
        return Step(
            smoothed(logits, labels, self.params.epsilon), to_probabilities(logits.detach(), self.task.kind), weight
        )

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        return to_probabilities(self.network(images), self.task.kind)
