"""JoCoR (Wei et al., CVPR 2020): two networks trained with a joint loss on the samples of smallest joint loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Step, Task, TrainView, Variant, sourced
from ..methods.forgetting import ForgetSchedule, RateSource
from ..methods.losses import full_precision, softmax_kl
from ..methods.networks import Network, mean_probabilities
from ..methods.selection import small_loss

__all__ = ["JoCoR", "JoCoRParams", "jocor_loss"]


@dataclass(frozen=True)
class JoCoRParams:
    """Hyper-parameters of JoCoR; the final forget rate is the noise rate."""

    co_lambda: float = sourced(
        0.9,
        "authors' code, README (hongxin001/JoCoR): best value for CIFAR-10 at 20% and 50%; the command line has 0.1 by "
        "default (main.py:32) and 0.95 in its example (example.sh)",
    )
    ramp_epochs: int = sourced(10, "authors' code, main.py:15-36 (hongxin001/JoCoR @86db359): num_gradual 10")
    exponent: float = sourced(1.0, "authors' code, main.py:15-36 (hongxin001/JoCoR @86db359)")
    stated_for: int = sourced(
        40, "unstated: ours; epoch constants are those of a 40-epoch recipe and scale with the length of training"
    )
    noise_rate: RateSource = sourced(
        "true",
        "authors' code, algorithm/jocor.py:62-66: forget_rate is the noise rate unless given (halved there for "
        "asymmetric noise; a task here does not state the type of noise)",
    )
    estimate_epoch: int = sourced(
        4, "unstated: ours; epochs of a 40-epoch recipe before the noise rate is estimated (variant estimated-rate)"
    )


def jocor_loss(logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float, co_lambda: float) -> Tensor:
    """Mean joint loss of the rows with the smallest joint loss.

    Joint loss of a row: (1-λ)·(CE(p_1, y) + CE(p_2, y)) + λ·(KL(p_2 || p_1) + KL(p_1 || p_2)).

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels: int64 [B].
        forget_rate: share left out, see `small_loss`.
        co_lambda: λ in [0, 1]; at 1 the labels are ignored.

    Returns:
        Scalar with gradient to both networks, nothing detached; 0 for B = 0.

    Source: paper eqs. (1)-(4); authors' code, algorithm/loss.py:22-38 (hongxin001/JoCoR @86db359).
    """
    loss, _ = _joint(logits1, logits2, labels, forget_rate, co_lambda)
    return loss


def _joint(
    logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float, co_lambda: float
) -> tuple[Tensor, Tensor]:
    """(loss, rows that both networks are trained on)."""
    supervision1 = F.cross_entropy(full_precision(logits1), labels, reduction="none")
    supervision2 = F.cross_entropy(full_precision(logits2), labels, reduction="none")
    agreement = softmax_kl(logits2, logits1) + softmax_kl(logits1, logits2)
    losses = (1.0 - co_lambda) * (supervision1 + supervision2) + co_lambda * agreement
    rows = small_loss(losses, forget_rate)
    return losses[rows].sum() / max(1, len(rows)), rows


class JoCoR(Method):
    """Two networks with a joint loss of supervision and agreement, both trained on the same small-loss samples.

    Reference: Wei et al., "Combating noisy labels by agreement: a joint training method with co-regularization", CVPR
    2020; code hongxin001/JoCoR. The final forget rate is the true noise rate: oracle knowledge, which the variant
    "estimated-rate" does not use. The authors report the mean accuracy of the two networks; here the prediction is the
    mean of their probabilities. Epochs count from 0; the authors' loop starts at the second entry of the schedule.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "noise_rate"})
    Params = JoCoRParams
    params: JoCoRParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "estimated-rate": Variant(
                "noise rate estimated by a mixture on the losses, not told",
                {"noise_rate": "estimated"},
                without=frozenset({"noise_rate"}),
            ),
            "lambda-0.1": Variant("λ = 0.1, the default of the authors' command line", {"co_lambda": 0.1}),
            "lambda-0.95": Variant("λ = 0.95, the authors' example", {"co_lambda": 0.95}),
        }
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: JoCoRParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.schedule = ForgetSchedule(
            task,
            params.noise_rate,
            ramp_epochs=task.scaled_epochs(params.ramp_epochs, params.stated_for),
            exponent=params.exponent,
            estimate_epoch=max(1, task.scaled_epochs(params.estimate_epoch, params.stated_for)),
        )

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Estimates the noise rate at the estimation epoch, unless it is known."""
        self.schedule.begin_epoch(epoch, train, (self.network1, self.network2))

    def loss(self, batch: Batch) -> Step:
        """The joint loss; the step's weight marks the selected samples, the same for both networks."""
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        forget_rate = float(self.schedule.rates[batch.epoch])
        loss, rows = _joint(logits1, logits2, batch.labels, forget_rate, self.params.co_lambda)
        weight = torch.zeros(2, len(batch.labels), device=batch.labels.device)
        weight[:, rows] = 1.0
        logs: dict[str, Any] = {"forget_rate": forget_rate, "kept": weight.mean()}
        return Step(loss, mean_probabilities(logits1.detach(), logits2.detach(), "single"), weight, logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "single")
