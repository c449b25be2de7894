"""JoCoR (Wei et al., CVPR 2020) adapted to action units: a joint loss on the AU labels of smallest joint loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Step, Task, TrainView, Variant, sourced
from ..methods.entry_selection import EntrySchedule, small_loss_entries
from ..methods.losses import bernoulli_kl, binary_cross_entropy
from ..methods.networks import Network, mean_probabilities

__all__ = ["JoCoRMulti", "JoCoRMultiParams", "jocor_multi_loss"]


@dataclass(frozen=True)
class JoCoRMultiParams:
    """Hyper-parameters of multi-label JoCoR."""

    co_lambda: float = sourced(
        0.9, "JoCoR, authors' code, README (hongxin001/JoCoR): best value for CIFAR-10; main.py:32 has 0.1"
    )
    ramp_epochs: int = sourced(10, "JoCoR, authors' code, main.py:15-36 (hongxin001/JoCoR @86db359): num_gradual 10")
    estimate_epoch: int = sourced(4, "unstated: ours; epochs before the shares of wrong labels are estimated")
    stated_for: int = sourced(
        40, "unstated: ours; epoch constants are those of a 40-epoch recipe and scale with the length of training"
    )


def jocor_multi_loss(
    logits1: Tensor, logits2: Tensor, labels: Tensor, rates: Tensor, verified: Tensor, co_lambda: float
) -> Tensor:
    """Mean joint loss of the entries (AU labels) with the smallest joint loss.

    Joint loss of an entry: (1-λ)·(bce(p_1, y) + bce(p_2, y)) + λ·(KL(p_2 || p_1) + KL(p_1 || p_2)), Bernoulli.

    Args:
        logits1: float [N, L] of the first network.
        logits2: float [N, L] of the second.
        labels: [N, L] in {-1, 0, +1}, 0 unknown: neither supervised nor compared.
        rates: [2, L], shares of positives and of negatives left out, see `small_loss_entries`.
        verified: bool [N], rows whose known entries are always kept.
        co_lambda: λ in [0, 1].

    Returns:
        Scalar with gradient to both networks, nothing detached; 0 without a known label.

    Source: this project's multi-label form of JoCoR's joint loss.
    """
    loss, _ = _joint(logits1, logits2, labels, rates, verified, co_lambda)
    return loss


def _joint(
    logits1: Tensor, logits2: Tensor, labels: Tensor, rates: Tensor, verified: Tensor, co_lambda: float
) -> tuple[Tensor, Tensor]:
    """(loss, entries that both networks are trained on)."""
    supervision = binary_cross_entropy(logits1, labels > 0) + binary_cross_entropy(logits2, labels > 0)
    agreement = bernoulli_kl(logits2, logits1) + bernoulli_kl(logits1, logits2)
    losses = (1.0 - co_lambda) * supervision + co_lambda * agreement
    keep = small_loss_entries(losses, labels, rates, verified)
    return (losses * keep).sum() / keep.sum().clamp(min=1), keep


class JoCoRMulti(Method):
    """Two networks with a joint loss of supervision and agreement, both trained on the same small-loss AU labels.

    The multi-label form is this project's own: Wei et al. select single-label samples. Entries are selected within the
    batch, separately for positives and negatives of each AU; verified rows are always kept. No oracle knowledge: the
    shares left out are estimated from the losses by a mixture model after a short warm-up. Prediction: mean of the
    probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = JoCoRMultiParams
    params: JoCoRMultiParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"lambda-0.1": Variant("λ = 0.1, the default of the authors' command line", {"co_lambda": 0.1})}
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: JoCoRMultiParams) -> None:
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
        """The joint loss; the step's weight marks the selected entries, the same for both networks."""
        known = batch.labels != 0
        if not bool(known.any()):
            return Step(loss=None, weight=known.float().expand(2, -1, -1))
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        rates = self.schedule.at(batch.epoch)
        loss, keep = _joint(logits1, logits2, batch.labels, rates, batch.verified, self.params.co_lambda)
        logs = {"kept": keep.sum() / known.sum(), "forget_positive": rates[0].mean()}
        logs["forget_negative"] = rates[1].mean()
        probabilities = mean_probabilities(logits1.detach(), logits2.detach(), "multi")
        return Step(loss, probabilities, keep.float().expand(2, -1, -1), logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "multi")
