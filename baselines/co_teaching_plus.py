"""Co-teaching+ (Yu et al., ICML 2019): networks exchange small-loss samples among those they disagree on."""

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
from ..methods.losses import full_precision
from ..methods.networks import Network, mean_probabilities
from ..methods.selection import small_loss

__all__ = ["CoTeachingPlus", "CoTeachingPlusParams", "co_teaching_plus_loss"]


@dataclass(frozen=True)
class CoTeachingPlusParams:
    """Hyper-parameters of Co-teaching+; the final forget rate is the noise rate."""

    warm_up: int = sourced(
        5, "unstated: ours; epochs of plain Co-teaching. Authors' code, main.py:52-132: 0 to 100 of 200, by data set"
    )
    ramp_epochs: int = sourced(10, "authors' code, main.py:28-35 (xingruiyu/coteaching_plus @a68ed61): num_gradual 10")
    stated_for: int = sourced(
        40, "unstated: ours; epoch constants are those of a 40-epoch recipe and scale with the length of training"
    )
    agreed_until: int = sourced(
        5000,
        "authors' code, loss.py:60 (xingruiyu/coteaching_plus @a68ed61): until then batches of full agreement count",
    )
    noise_rate: RateSource = sourced(
        "true", "authors' code, main.py:28-35 (xingruiyu/coteaching_plus): forget_rate is the noise rate unless given"
    )
    estimate_epoch: int = sourced(
        4, "unstated: ours; epochs of a 40-epoch recipe before the noise rate is estimated (variant estimated-rate)"
    )


def co_teaching_plus_loss(
    logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float, step: int, agreed_until: int = 5000
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of each network over the small-loss samples of the other, among those they disagree on.

    Of the n samples whose predicted classes differ, each network is trained on the int((1-R)·n) of smallest loss under
    the other, or on all n where that number is 0. If the networks agree on every sample, the loss is the mean over the
    whole batch while step < agreed_until, and 0 from then on.

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels: int64 [B].
        forget_rate: R in [0, 1], share left out.
        step: epoch times step within the epoch, as counted in the authors' code.
        agreed_until: the step from which a batch of full agreement has no loss.

    Returns:
        (loss1, loss2): scalars, each with gradient to its own network only.

    Source: authors' code, loss.py:22-78 (xingruiyu/coteaching_plus @a68ed61), without its second softmax, its second
    division by k, and its loss of the sample of index 0.
    """
    keep1, keep2 = _disagreed(logits1, logits2, labels, forget_rate, step < agreed_until)
    return _mean_loss(logits1, labels, keep1), _mean_loss(logits2, labels, keep2)


def _losses(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(full_precision(logits), labels, reduction="none")


def _mean_loss(logits: Tensor, labels: Tensor, keep: Tensor) -> Tensor:
    """Mean cross-entropy of the kept rows; 0 if there are none."""
    # `where`, not a product: 0 · inf would be NaN for a row that is left out and whose loss overflows.
    return torch.where(keep, _losses(logits, labels), 0.0).sum() / keep.sum().clamp(min=1)


def _disagreed(
    logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float, agreed_counts: bool
) -> tuple[Tensor, Tensor]:
    """The rows that the first and the second network are trained on: bool [B] each."""
    differ = logits1.detach().argmax(dim=1) != logits2.detach().argmax(dim=1)
    keep1, keep2 = _exchanged(logits1, logits2, labels, forget_rate, differ)
    everything = ~differ.any() & agreed_counts
    return keep1 | everything, keep2 | everything


def _exchanged(
    logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float, among: Tensor
) -> tuple[Tensor, Tensor]:
    """Of the rows `among`, those with a small loss under the other network: bool [B] each."""
    losses1, losses2 = _losses(logits1.detach(), labels), _losses(logits2.detach(), labels)
    return _small(losses2, among, forget_rate), _small(losses1, among, forget_rate)


def _plain(logits1: Tensor, logits2: Tensor, labels: Tensor, forget_rate: float) -> tuple[Tensor, Tensor]:
    """The rows selected by plain Co-teaching, at least one per batch: bool [B] each."""
    keep1, keep2 = torch.zeros(2, len(labels), dtype=torch.bool, device=labels.device)
    keep1[small_loss(_losses(logits2.detach(), labels), forget_rate)] = True
    keep2[small_loss(_losses(logits1.detach(), labels), forget_rate)] = True
    return keep1, keep2


def _small(losses: Tensor, among: Tensor, forget_rate: float) -> Tensor:
    """Of the n rows `among`, the int((1-R)·n) of smallest loss, ties in row order, or all n if that is 0: bool [B].

    Stays on the device, without a synchronisation to read n.
    """
    size = among.sum()
    count = ((1.0 - float(forget_rate)) * size.double()).long()
    count = torch.where(count > 0, count, size)
    # Two stable sorts: by loss, then the rows `among` to the front.
    order = losses.argsort(stable=True)
    order = order[(~among[order]).to(torch.uint8).argsort(stable=True)]
    return (order.argsort() < count) & among


class CoTeachingPlus(Method):
    """Co-teaching restricted, after a warm-up, to the samples on which the two networks' predictions differ.

    Reference: Yu et al., "How does disagreement help generalization against label corruption?", ICML 2019; code
    xingruiyu/coteaching_plus. The final forget rate is the true noise rate: oracle knowledge, which the variant
    "estimated-rate" does not use. The authors report each network separately; here the prediction is the mean of the
    two networks' probabilities. Epochs count from 0; the authors' loop starts at the second entry of the schedule.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "noise_rate"})
    Params = CoTeachingPlusParams
    params: CoTeachingPlusParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "estimated-rate": Variant(
                "noise rate estimated by a mixture on the losses, not told",
                {"noise_rate": "estimated"},
                without=frozenset({"noise_rate"}),
            ),
        }
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CoTeachingPlusParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.warm_up = task.scaled_epochs(params.warm_up, params.stated_for)
        self.schedule = ForgetSchedule(
            task,
            params.noise_rate,
            ramp_epochs=task.scaled_epochs(params.ramp_epochs, params.stated_for),
            estimate_epoch=max(1, task.scaled_epochs(params.estimate_epoch, params.stated_for)),
        )

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Estimates the noise rate at the estimation epoch, unless it is known."""
        self.schedule.begin_epoch(epoch, train, (self.network1, self.network2))

    def loss(self, batch: Batch) -> Step:
        """Sum of the two networks' losses; the step's weight marks the samples each was trained on, if any."""
        labels = batch.labels
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        forget_rate = float(self.schedule.rates[batch.epoch])
        agreed_counts = batch.epoch * batch.step < self.params.agreed_until
        if batch.epoch < self.warm_up:
            keep1, keep2 = _plain(logits1, logits2, labels, forget_rate)
        else:
            keep1, keep2 = _disagreed(logits1, logits2, labels, forget_rate, agreed_counts)
        # After `agreed_until` a batch may have no sample to train on; a zero loss would still let the optimiser move.
        nothing = not agreed_counts and not bool(keep1.any())
        loss = None if nothing else _mean_loss(logits1, labels, keep1) + _mean_loss(logits2, labels, keep2)
        weight = torch.stack([keep1, keep2]).float()
        logs: dict[str, Any] = {"forget_rate": forget_rate, "kept": weight.mean()}
        return Step(loss, mean_probabilities(logits1.detach(), logits2.detach(), "single"), weight, logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "single")
