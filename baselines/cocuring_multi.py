"""Co-curing adapted to action units: two networks mimic each other and flip the AU labels that both reject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Step, Task, TrainView, Variant, sourced
from ..methods.cocuring import balance
from ..methods.entry_selection import EntrySchedule, small_loss_entries
from ..methods.losses import bernoulli_kl, binary_cross_entropy, full_precision
from ..methods.networks import Network, mean_probabilities
from ..methods.selection import write_rows

__all__ = ["CoCuringMulti", "CoCuringMultiParams", "cocuring_multi_loss", "joint_relabel_entries"]


@dataclass(frozen=True)
class CoCuringMultiParams:
    """Hyper-parameters of multi-label Co-curing."""

    maximum: float = sourced(0.9, "Co-curing §4.2: λ_max")
    beta: float = sourced(0.65, "Co-curing §3.2.1, §4.2")
    ramp_share: float = sourced(0.9, "Co-curing, authors' code, loss.py:19 (1980x/Cocuring @6fba212): 0.9·max_epochs")
    margin: float = sourced(0.7, "Co-curing, authors' code, main_rafdb.py:87 (1980x/Cocuring @6fba212): δ")
    relabel: bool = sourced(True, "Co-curing §3.2.2; off in the variant no-relabel")
    within_rate: bool = sourced(
        True,
        "unstated: ours; limits flips to the estimated share of wrong labels, as weak networks reject rare positives",
    )
    warm_up: int = sourced(
        10, "unstated: ours, as for Co-curing; epochs before shares of wrong labels are estimated and labels flipped"
    )
    warm_up_stated_for: int = sourced(40, "Co-curing, authors' code, main_rafdb.py:51: n_epoch 40")


def cocuring_multi_loss(logits1: Tensor, logits2: Tensor, labels: Tensor, weight: float) -> tuple[Tensor, Tensor]:
    """Supervision and mimicry of two peers: (1-λ)·bce(p_k, y) + λ·KL(p_peer || p_k), means over known entries.

    Args:
        logits1: float [N, L] of the first network.
        logits2: float [N, L] of the second.
        labels: [N, L] in {-1, 0, +1}, current labels; 0 unknown: neither supervised nor mimicked.
        weight: λ in [0, 1].

    Returns:
        (loss1, loss2): scalars, each with gradient to its own logits only; 0 without a known label.

    Source: this project's multi-label form of Co-curing, eqs. (1)-(2).
    """
    known = labels != 0

    def one(own: Tensor, peer: Tensor) -> Tensor:
        losses = (1.0 - weight) * binary_cross_entropy(own, labels > 0) + weight * bernoulli_kl(peer.detach(), own)
        return (losses * known).sum() / known.sum().clamp(min=1)

    return one(logits1, logits2), one(logits2, logits1)


@torch.no_grad()
def joint_relabel_entries(logits1: Tensor, logits2: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The opposite label where both networks prefer it to the label by more than a margin; else the label.

    Args:
        logits1: float [N, L] of the first network.
        logits2: float [N, L] of the second.
        labels: [N, L] in {-1, 0, +1}; 0 stays unknown.
        margin: δ; a label is flipped where p(opposite) > p(label) + δ holds in both networks.

    Returns:
        [N, L] of the dtype of the labels, no gradient.

    Source: this project's multi-label form of Co-curing, eq. (4).
    """
    doubted = labels != 0
    for logits in (logits1, logits2):
        toward = full_precision(logits) * labels
        doubted = doubted & ((-toward).sigmoid() > toward.sigmoid() + margin)
    return torch.where(doubted, -labels, labels)


class CoCuringMulti(Method):
    """Two networks with an epoch-dependent balance of supervision and mimicry; AU labels both reject are flipped.

    The multi-label form is this project's own: Gera & Balasubramanian relabel single-label samples. After the warm-up
    every step re-decides, before its update, which given labels of its rows are flipped; this takes effect the next
    time the rows are in a batch. (Were flips permanent, the limit below would be exceeded a little more at every step.)
    A label is flipped if both networks reject it by more than the margin and it is among those of largest loss: per
    batch, of an AU's positives and of its negatives, at most the share that the mixture model estimates to be wrong (no
    oracle knowledge). Labels of verified rows are never flipped. Prediction: mean of the two networks' probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = CoCuringMultiParams
    params: CoCuringMultiParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "no-relabel": Variant("without relabelling", {"relabel": False}),
            "by-margin": Variant("turns every entry both peers doubt by more than the margin", {"within_rate": False}),
        }
    )
    memory: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CoCuringMultiParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.warm_up = max(1, task.scaled_epochs(params.warm_up, params.warm_up_stated_for))
        self.schedule = EntrySchedule(task, ramp_epochs=0, estimate_epoch=self.warm_up)
        self.register_buffer("memory", torch.zeros(task.train_size, task.num_classes, dtype=torch.int8))

    def prepare(self, train: TrainView) -> None:
        """Initialises the label memory with the given labels."""
        self.memory.copy_(train.labels)

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Estimates the shares of wrong labels at the end of the warm-up, where flips are limited by them."""
        if self.params.relabel and self.params.within_rate:
            self.schedule.begin_epoch(epoch, train, (self.network1, self.network2))

    def loss(self, batch: Batch) -> Step:
        """Loss on the current labels in memory; then updates the memory from the given labels."""
        params = self.params
        labels = torch.where(batch.labels == 0, 0, self.memory[batch.index].to(batch.labels.dtype))
        known = labels != 0
        if not bool(known.any()):
            return Step(loss=None, weight=known.float().expand(2, -1, -1))
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        weight = balance(batch.epoch, params.ramp_share * self.task.epochs, params.maximum, params.beta)
        loss1, loss2 = cocuring_multi_loss(logits1, logits2, labels, weight)
        logs: dict[str, float | Tensor] = {"balance": weight, "relabelled": (labels != batch.labels).sum().float()}
        if params.relabel and batch.epoch >= self.warm_up:
            write_rows(self.memory, batch.index, self._judged(logits1, logits2, batch))
        return Step(
            loss1 + loss2,
            mean_probabilities(logits1.detach(), logits2.detach(), "multi"),
            known.float().expand(2, -1, -1),
            labels.expand(2, -1, -1),
            logs,
        )

    @torch.no_grad()
    def _judged(self, logits1: Tensor, logits2: Tensor, batch: Batch) -> Tensor:
        """The given labels with the rejected ones flipped, int64 [B, L]."""
        labels = batch.labels
        trusted = batch.verified[:, None].expand_as(labels)
        if self.params.within_rate:
            losses = binary_cross_entropy(logits1, labels > 0) + binary_cross_entropy(logits2, labels > 0)
            trusted = small_loss_entries(losses, labels, self.schedule.at(batch.epoch), batch.verified)
        return torch.where(trusted, labels, joint_relabel_entries(logits1, logits2, labels, self.params.margin))

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "multi")
