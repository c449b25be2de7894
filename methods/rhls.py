"""Robin Hood label smoothing: label smoothing of only the majority class of each AU."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from .base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from .losses import soft_bce


@dataclass(frozen=True)
class RHLSParams:
    """Hyper-parameters of Robin Hood label smoothing."""

    rhls_beta: float = sourced(0.25, "paper §3.3: β chosen on the DISFA validation score (Fig. 3)")


def smoothing_rates(frequency: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """Smoothing rates of the positives and of the negatives of each AU.

    negative = β·max(0, (1-2f)/(1-f)), positive = β·max(0, (2f-1)/f): at most one of them is above zero.

    Args:
        frequency: f, [L] share of positives among known training labels; an AU of NaN (no known label) has rates 0.
        beta: strength in [0, 1]; at 1 the mean target of every AU is 1/2.

    Returns:
        (positive, negative), each [L] in [0, β], of the dtype of `frequency`; no gradient.

    Raises:
        ValueError: beta outside [0, 1].

    Source: paper eq. (3).
    """
    if not 0.0 <= beta <= 1.0:
        raise ValueError(f"beta {beta}: must lie in [0, 1]")
    share = frequency.detach().nan_to_num(nan=0.5)
    # Where a numerator is above zero its divisor is above one half, so the clamp only avoids 0/0.
    positive = beta * (2 * share - 1).clamp(min=0) / share.clamp(min=0.5)
    negative = beta * (1 - 2 * share).clamp(min=0) / (1 - share).clamp(min=0.5)
    return positive, negative


def robin_hood(labels: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Smoothed targets: y·(1 - positive/2) + (1-y)·negative/2 with y = 1 for positives.

    Args:
        labels: [N, L] in {-1, 0, +1}; unknown ones get the target of a negative and must be masked in the loss.
        positive: [L] smoothing rate of positives.
        negative: [L] smoothing rate of negatives.

    Returns:
        [N, L] in [0, 1], of the dtype of the rates; no gradient.

    Source: paper eq. (2).
    """
    y = (labels > 0).to(positive.dtype)
    return y * (1 - positive / 2) + (1 - y) * negative / 2


class RHLS(Method):
    """Binary cross-entropy on targets smoothed for the majority class of each AU.

    Reference: Tallec, Dapogny & Bailly, "Fighting noise and imbalance in action unit detection problems". The rates are
    computed once from the training labels. The network is that of the recipe: the paper's attention network in the
    paper profile of the `-plain` protocols and in the native recipe, a plain encoder elsewhere.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = RHLSParams
    params: RHLSParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "beta-0": Variant("β = 0: no smoothing (Fig. 3)", {"rhls_beta": 0.0}),
            "beta-0.25": Variant("β = 0.25, the method itself (Fig. 3)", {"rhls_beta": 0.25}),
            "beta-0.5": Variant("β = 0.5 (Fig. 3)", {"rhls_beta": 0.5}),
            "beta-0.75": Variant("β = 0.75 (Fig. 3)", {"rhls_beta": 0.75}),
            "beta-1": Variant("β = 1: smoothed to balance (Fig. 3)", {"rhls_beta": 1.0}),
        }
    )
    positive: Tensor
    negative: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: RHLSParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        positive, negative = smoothing_rates(task.frequency, params.rhls_beta)
        # Buffers so that they move to the module's device; not persistent, since they follow from the task.
        self.register_buffer("positive", positive, persistent=False)
        self.register_buffer("negative", negative, persistent=False)

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the known entries; no update for a batch without a known label."""
        known = batch.labels != 0
        weight = known[None].float()
        if not bool(known.any()):
            return Step(loss=None, weight=weight)
        logits = self.network(batch.images[0])
        loss = soft_bce(logits, robin_hood(batch.labels, self.positive, self.negative), known)
        # Smoothing changes no label's sign, so no other target is reported than the given labels.
        return Step(loss, logits.detach().sigmoid(), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L]."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
