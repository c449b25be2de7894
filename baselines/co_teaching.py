"""Co-teaching (Han et al., NeurIPS 2018): each network is trained on the small-loss samples selected by the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Step, Task, TrainView, Variant, sourced
from ..methods.forgetting import ForgetSchedule, RateSource, forget_rates
from ..methods.losses import full_precision
from ..methods.networks import Network, mean_probabilities
from ..methods.selection import small_loss

__all__ = ["CoTeaching", "CoTeachingParams", "co_teaching_loss", "forget_rates", "small_loss"]


@dataclass(frozen=True)
class CoTeachingParams:
    """Hyper-parameters of Co-teaching; the final forget rate is the noise rate."""

    ramp_epochs: int = sourced(10, "authors' code, main.py:19-33 (bhanML/Co-teaching @7c7fbe2): num_gradual 10")
    ramp_stated_for: int = sourced(
        40, "unstated: ours; the ramp takes 10 epochs of a 40-epoch recipe and scales with the length of training"
    )
    exponent: float = sourced(1.0, "authors' code, main.py:19-33 (bhanML/Co-teaching @7c7fbe2)")
    noise_rate: RateSource = sourced("true", "authors' code, main.py:19-33: forget_rate is the noise rate unless given")
    estimate_epoch: int = sourced(
        4, "unstated: ours; epochs of a 40-epoch recipe before the noise rate is estimated (variant estimated-rate)"
    )


def co_teaching_loss(logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each network over the small-loss samples that the other one selects.

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels: int64 [B].
        forget_rate: share left out, see `small_loss`.

    Returns:
        (loss1, loss2): scalars, each with gradient to its own network only; 0 for B = 0.

    Source: authors' code, loss.py:9-29 (bhanML/Co-teaching @7c7fbe2), whose second division by k is left out.
    """
    loss1, loss2, _, _ = _exchange(logits1, logits2, labels, forget_rate)
    return loss1, loss2


def _exchange(logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float) -> tuple[Tensor, ...]:
    """(loss1, loss2, rows the first network trains on, rows the second trains on)."""
    losses1 = F.cross_entropy(full_precision(logits1), labels, reduction="none")
    losses2 = F.cross_entropy(full_precision(logits2), labels, reduction="none")
    rows1, rows2 = small_loss(losses2, forget_rate), small_loss(losses1, forget_rate)
    divisor = max(1, len(rows1))
    return losses1[rows1].sum() / divisor, losses2[rows2].sum() / divisor, rows1, rows2


class CoTeaching(Method):
    """Two networks; in every batch each is trained on the samples of smallest loss under the other.

    Reference: Han et al., "Co-teaching: robust training of deep neural networks with extremely noisy labels", NeurIPS
    2018; code bhanML/Co-teaching. The final forget rate is the true noise rate: oracle knowledge, which the variant
    "estimated-rate" does not use. The authors report each network separately; here the prediction is the mean of the
    two networks' probabilities. Epochs count from 0, so nothing is left out in the first one; the authors' loop starts
    at the second entry of the schedule.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "noise_rate"})
    Params = CoTeachingParams
    params: CoTeachingParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "estimated-rate": Variant(
                "noise rate estimated by a mixture on the losses, not told",
                {"noise_rate": "estimated"},
                without=frozenset({"noise_rate"}),
            ),
        }
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CoTeachingParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.schedule = ForgetSchedule(
            task,
            params.noise_rate,
            ramp_epochs=task.scaled_epochs(params.ramp_epochs, params.ramp_stated_for),
            exponent=params.exponent,
            estimate_epoch=max(1, task.scaled_epochs(params.estimate_epoch, params.ramp_stated_for)),
        )

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Estimates the noise rate at the estimation epoch, unless it is known."""
        self.schedule.begin_epoch(epoch, train, (self.network1, self.network2))

    def loss(self, batch: Batch) -> Step:
        """Sum of the two networks' losses; the step's weight marks the samples each network was trained on."""
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        forget_rate = float(self.schedule.rates[batch.epoch])
        loss1, loss2, rows1, rows2 = _exchange(logits1, logits2, batch.labels, forget_rate)
        weight = torch.zeros(2, len(batch.labels), device=batch.labels.device)
        weight[0, rows1] = 1.0
        weight[1, rows2] = 1.0
        logs: dict[str, Any] = {"forget_rate": forget_rate, "kept": weight.mean()}
        return Step(loss1 + loss2, mean_probabilities(logits1.detach(), logits2.detach(), "single"), weight, logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "single")
