"""Co-teaching (Han et al., NeurIPS 2018) adapted to action units: networks exchange small-loss AU labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, mean_probabilities, sourced
from ..methods.entry_selection import EntrySchedule, small_loss_entries
from ..methods.losses import binary_cross_entropy

__all__ = ["CoTeachingMulti", "CoTeachingMultiParams", "co_teaching_multi_loss", "small_loss_entries"]


@dataclass(frozen=True)
class CoTeachingMultiParams:
    """Hyper-parameters of multi-label Co-teaching."""

    ramp_epochs: int = sourced(10, "Co-teaching, authors' code, main.py:19-33 (bhanML/Co-teaching @7c7fbe2)")
    estimate_epoch: int = sourced(4, "unstated: ours; epochs before the shares of wrong labels are estimated")
    stated_for: int = sourced(
        40, "unstated: ours; epoch constants are those of a 40-epoch recipe and scale with the length of training"
    )


def co_teaching_multi_loss(
    logits1: Tensor, logits2: Tensor, labels: Tensor, rates: Tensor, verified: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean binary cross-entropy of each network over the entries (AU labels) that the other one selects.

    Args:
        logits1: float [N, L] of the first network.
        logits2: float [N, L] of the second.
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        rates: [2, L], shares of positives and of negatives left out, see `small_loss_entries`.
        verified: bool [N], rows whose known entries are always kept.

    Returns:
        (loss1, loss2): scalars, each with gradient to its own network only; 0 without a known label.

    Source: this project's multi-label form of Co-teaching's sample exchange.
    """
    loss1, loss2, _, _ = _exchange(logits1, logits2, labels, rates, verified)
    return loss1, loss2


def _exchange(
    logits1: Tensor, logits2: Tensor, labels: Tensor, rates: Tensor, verified: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(loss1, loss2, entries the first network trains on, entries the second trains on)."""
    losses1, losses2 = binary_cross_entropy(logits1, labels > 0), binary_cross_entropy(logits2, labels > 0)
    keep1 = small_loss_entries(losses2, labels, rates, verified)
    keep2 = small_loss_entries(losses1, labels, rates, verified)
    loss1 = (losses1 * keep1).sum() / keep1.sum().clamp(min=1)
    loss2 = (losses2 * keep2).sum() / keep2.sum().clamp(min=1)
    return loss1, loss2, keep1, keep2


class CoTeachingMulti(Method):
    """Two networks; each is trained on the AU labels of smallest loss under the other.

    The multi-label form is this project's own: Han et al. select single-label samples. Entries are selected within the
    batch, separately for positives and negatives of each AU; verified rows are always kept. No oracle knowledge: the
    shares left out are estimated from the losses by a mixture model after a short warm-up. Prediction: mean of the
    probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = CoTeachingMultiParams
    params: CoTeachingMultiParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CoTeachingMultiParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.schedule = EntrySchedule(
            task,
            ramp_epochs=task.scaled_epochs(params.ramp_epochs, params.stated_for),
            estimate_epoch=task.scaled_epochs(params.estimate_epoch, params.stated_for),
        )

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Estimates the shares of wrong labels at the estimation epoch."""
        self.schedule.begin_epoch(epoch, train, (self.network1, self.network2))

    def loss(self, batch: Batch) -> Step:
        """Sum of the two networks' losses; the step's weight marks the entries each network was trained on."""
        known = batch.labels != 0
        if not bool(known.any()):
            return Step(loss=None, weight=known.float().expand(2, -1, -1))
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        rates = self.schedule.at(batch.epoch)
        loss1, loss2, keep1, keep2 = _exchange(logits1, logits2, batch.labels, rates, batch.verified)
        weight = torch.stack([keep1, keep2]).float()
        logs = {"kept": weight.sum() / (2 * known.sum()), "forget_positive": rates[0].mean()}
        logs["forget_negative"] = rates[1].mean()
        return Step(loss1 + loss2, mean_probabilities(logits1.detach(), logits2.detach(), "multi"), weight, logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "multi")
