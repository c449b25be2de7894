"""Decoupling (Malach & Shalev-Shwartz, NeurIPS 2017): two networks, updated only where they disagree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, mean_probabilities, sourced
from ..methods.losses import full_precision

__all__ = ["Decoupling", "DecouplingParams", "decoupling_loss"]


@dataclass(frozen=True)
class DecouplingParams:
    """Hyper-parameters of Decoupling."""

    warm_up_steps: int = sourced(
        0, "authors' code, train.py:38-82 (emalach/UpdateByDisagreement @86d01a8): init_iter 0"
    )
    warm_up: int = sourced(
        0, "unstated: ours, epochs of a 40-epoch recipe on all rows; the variant 'warm-up' has Co-teaching+'s 5"
    )
    stated_for: int = sourced(40, "unstated: ours; the epochs scale with the length of training")
    floor: float = sourced(
        0.1, "authors' code, train.py:172-174 (emalach/UpdateByDisagreement @86d01a8): min_batch_size 0.1"
    )


def decoupling_loss(
    logits1: Tensor, logits2: Tensor, labels: Tensor, warm_up: bool, floor: float = 0.1
) -> tuple[Tensor, Tensor]:
    """Cross-entropy of each network over the rows where their predictions differ: Σ w·CE_k / max(floor·B, Σ w).

    The choice of rows does not depend on labels or losses, and the noise rate is not used.

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels: int64 [B].
        warm_up: use all rows, whatever the predictions.
        floor: lower bound of the divisor, as a share of the batch.

    Returns:
        (loss1, loss2): scalars, each with gradient to its own network only; 0 where the networks agree on every row.

    Source: authors' code, train.py:172-174,240 (emalach/UpdateByDisagreement @86d01a8), without the class weights and
    the weight decay of its binary task.
    """
    losses = _losses(logits1, logits2, labels, _disagreement(logits1, logits2, warm_up), floor)
    return losses[0], losses[1]


def _disagreement(logits1: Tensor, logits2: Tensor, warm_up: bool) -> Tensor:
    """The rows that both networks are trained on: bool [B]."""
    differ = logits1.detach().argmax(dim=1) != logits2.detach().argmax(dim=1)
    return torch.ones_like(differ) if warm_up else differ


def _losses(logits1: Tensor, logits2: Tensor, labels: Tensor, used: Tensor, floor: float) -> list[Tensor]:
    divisor = used.sum(dtype=torch.float64).clamp(min=floor * len(used))
    divisor = torch.where(divisor > 0, divisor, 1.0)  # no row used and no floor: 0 instead of 0 / 0
    each = [F.cross_entropy(full_precision(logits), labels, reduction="none") for logits in (logits1, logits2)]
    # `where`, not a product: 0 · inf would be NaN for a row that is left out and whose loss overflows.
    return [torch.where(used, losses, 0.0).sum() / divisor.to(losses.dtype) for losses in each]


class Decoupling(Method):
    """Two networks, each trained on its own cross-entropy over the samples on which their predictions differ.

    Reference: Malach & Shalev-Shwartz, 'Decoupling "when to update" from "how to update"', NeurIPS 2017; code
    emalach/UpdateByDisagreement. A batch without disagreement skips the update, since a zero loss would still change
    the optimiser's moments. Networks without pre-training may agree on every sample before they have learnt anything,
    and are then no longer updated. Prediction: mean of the two networks' probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = DecouplingParams
    params: DecouplingParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"warm-up": Variant("all rows for an eighth of the epochs, as Co-teaching+ begins", {"warm_up": 5})}
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: DecouplingParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        epochs = task.scaled_epochs(params.warm_up, params.stated_for)
        self.warm_up_steps = params.warm_up_steps + epochs * task.steps_per_epoch

    def loss(self, batch: Batch) -> Step:
        """Sum of the two networks' losses; no update where they agree on every row."""
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        warm_up = batch.epoch * self.task.steps_per_epoch + batch.step < self.warm_up_steps
        used = _disagreement(logits1, logits2, warm_up)
        loss1, loss2 = _losses(logits1, logits2, batch.labels, used, self.params.floor)
        weight = used.float().expand(2, -1)
        return Step(
            loss1 + loss2 if bool(used.any()) else None,
            mean_probabilities(logits1.detach(), logits2.detach(), "single"),
            weight,
            logs={"disagreement": used.float().mean()},
        )

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "single")
