"""MAN (Zhang et al., Pattern Recognition Letters 2022): clean, ambiguous and noisy labels are learned differently.

The partition confirms itself: the label of a row that both networks reject is not taught again, so that a right label
rejected once, as most are by networks that have learned little, hardly ever comes back. The logged shares show it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, sourced
from ..methods.cocuring import balance as cocuring_balance
from ..methods.losses import full_precision, softmax_kl

__all__ = ["MAN", "MANParams", "man_balance", "man_loss", "man_partition"]

CODE = "authors' code, main.py (zzzzzzyang/MAN @df07e3f)"
CLEAN, AMBIGUOUS, NOISY = range(3)
RAMP_SHARE = 0.9  # of the epochs, after which the balance is largest: authors' code, main.py:261-267
LEAST_ROWS = 2  # of a forward pass in training mode: batch normalisation has no variance of one row


@dataclass(frozen=True)
class MANParams:
    """Hyper-parameters of MAN."""

    warm_up: int = sourced(10, f"{CODE}, lines 34 and 343-347: epochs 1 to 10 of 100")
    warm_up_stated_for: int = sourced(100, f"{CODE}, line 337: 100 epochs")
    maximum: float = sourced(0.9, f"{CODE}, lines 261-267: of the balance, as in Co-curing")
    beta: float = sourced(0.65, f"{CODE}, lines 261-267")
    mutual_weight: float = sourced(0.6, f"{CODE}, lines 181-245: of the ambiguous rows")
    consistency_weight: float = sourced(1.0, f"{CODE}, lines 181-245: of the noisy rows")


@torch.no_grad()
def man_partition(logits1: Tensor, logits2: Tensor, labels: Tensor) -> Tensor:
    """Whether the label is predicted by both networks (0, clean), by one (1, ambiguous) or by neither (2, noisy).

    Args:
        logits1: float [N, C] of the first network.
        logits2: float [N, C] of the second.
        labels: int64 [N].

    Returns:
        int64 [N], no gradient.

    Source: authors' code, main.py:163-179.
    """
    return (logits1.argmax(dim=1) != labels).long() + (logits2.argmax(dim=1) != labels).long()


def man_balance(epoch: int, epochs: int, maximum: float = 0.9, beta: float = 0.65) -> float:
    """Weight λ of the networks' agreement against the labels of ambiguous rows: Co-curing's, an epoch ahead.

    Args:
        epoch: 0-based; the authors count from 1.
        epochs: E, of the training; the weight is largest at 0.9·E and decreases afterwards.
        maximum: the largest weight.
        beta: steepness.

    Returns:
        λ = maximum · exp(-beta · (1 - (epoch + 1) / (0.9·E))²), in [0, maximum].

    Raises:
        ValueError: epochs not positive.

    Source: authors' code, main.py:261-267.
    """
    return cocuring_balance(epoch + 1, RAMP_SHARE * epochs, maximum, beta)


def man_loss(
    weak1: Tensor,
    weak2: Tensor,
    strong1: Tensor,
    strong2: Tensor,
    labels: Tensor,
    partition: Tensor,
    balance: float,
    mutual_weight: float = 0.6,
    consistency_weight: float = 1.0,
) -> Tensor:
    """The sum of three losses, each a mean over its own rows: one row of a part weighs as much as a hundred would.

    clean: ½(CE1 + CE2); ambiguous: (1-λ)·½(CE1 + CE2) + λ·½[KL(p2 || p1) + KL(p1 || p2)]; noisy: the squared difference
    of the probabilities of weak and strong view, mean over classes and over the two networks.

    Args:
        weak1: float [B, C], logits of the weak view from the first network.
        weak2: those from the second.
        strong1: float [B, C], logits of the strong view from the first network; read at noisy rows only.
        strong2: those from the second.
        labels: int64 [B].
        partition: int64 [B], 0 clean, 1 ambiguous, 2 noisy.
        balance: λ in [0, 1].
        mutual_weight: of the ambiguous rows' loss.
        consistency_weight: of the noisy rows' loss.

    Returns:
        Scalar with gradient to all four, as nothing is detached; a part without rows is 0.

    Source: authors' code, main.py:181-245 and 254-273.
    """
    weak1, weak2 = full_precision(weak1), full_precision(weak2)
    noisy = partition == NOISY

    def difference(weak: Tensor, strong: Tensor) -> Tensor:
        read = torch.where(noisy[:, None], full_precision(strong), 0.0)
        return (weak.softmax(dim=1) - read.softmax(dim=1)).square().mean(dim=1)

    each = [F.cross_entropy(weak, labels, reduction="none") for weak in (weak1, weak2)]
    supervision = (each[0] + each[1]) / 2
    mutual = (softmax_kl(weak2, weak1) + softmax_kl(weak1, weak2)) / 2
    consistency = (difference(weak1, strong1) + difference(weak2, strong2)) / 2
    return (
        _mean_over(supervision, partition == CLEAN)
        + mutual_weight * _mean_over((1.0 - balance) * supervision + balance * mutual, partition == AMBIGUOUS)
        + consistency_weight * _mean_over(consistency, noisy)
    )


def _mean_over(values: Tensor, rows: Tensor) -> Tensor:
    """Mean of the values [B] of some rows, a mask [B]; 0 without any."""
    return torch.where(rows, values, 0.0).sum() / rows.sum().clamp(min=1)


class MAN(Method):
    """Two networks; whether they predict a row's label decides if it is taught, taught in part or not used at all.

    Reference: Zhang et al., "MAN: mining ambiguity and noise for facial expression recognition in the wild", Pattern
    Recognition Letters 164, 2022; code zzzzzzyang/MAN. After a warm-up on all labels the training set is divided at the
    start of every epoch, in evaluation mode and without augmentation (the authors' images have the weak augmentation).
    In a step the weak views of all rows are forwarded together and the strong views of the noisy rows together, where
    the authors forward clean, ambiguous and noisy rows apart, which matters to batch normalisation only. A single noisy
    row of a batch has no such forward pass and adds nothing. Prediction: softmax of the mean logits.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    views = ("weak", "strong")
    Params = MANParams
    params: MANParams
    partition: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: MANParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        # All rows are clean during the warm-up, whose loss is that of clean rows.
        self.register_buffer("partition", torch.full((task.train_size,), CLEAN, dtype=torch.int64))
        # Untrained networks reject nearly all labels, so that even the shortest run has one warm-up epoch.
        self.warm_up = max(1, task.scaled_epochs(params.warm_up, params.warm_up_stated_for))

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Divides the training set by what both networks predict."""
        if epoch < self.warm_up:
            return
        training = self.training
        self.eval()
        for batch in train.batches(augment=False):
            logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
            self.partition[batch.index] = man_partition(logits1, logits2, batch.labels)
        self.train(training)

    def loss(self, batch: Batch) -> Step:
        """The loss of all three parts."""
        params, partition = self.params, self.partition[batch.index]
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        noisy = (
            (partition == NOISY).nonzero().squeeze(1)
        )  # waits for the device: their number is that of a forward pass
        strong = batch.images[1][noisy]
        balance = man_balance(batch.epoch, self.task.epochs, params.maximum, params.beta)
        loss = man_loss(
            logits1,
            logits2,
            _strong_logits(self.network1, strong, noisy, logits1),
            _strong_logits(self.network2, strong, noisy, logits2),
            batch.labels,
            partition,
            balance,
            params.mutual_weight,
            params.consistency_weight,
        )
        taught = torch.where(partition == CLEAN, 1.0, torch.where(partition == AMBIGUOUS, params.mutual_weight, 0.0))
        shares = {name: (partition == part).float().mean() for part, name in enumerate(("clean", "ambiguous", "noisy"))}
        mean = _mean_logits(logits1.detach(), logits2.detach())
        return Step(loss, mean.softmax(dim=1), taught.expand(2, -1), logs={**shares, "balance": balance})

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the softmax of the two networks' mean logits."""
        return _mean_logits(self.network1(images), self.network2(images)).softmax(dim=1)


def _strong_logits(network: Network, images: Tensor, rows: Tensor, weak: Tensor) -> Tensor:
    """Logits [B, C] of the strong view at some rows, given their images; the weak view's, detached, at the others.

    With fewer than two rows nothing is forwarded: the difference of a lone row is then 0 and has no gradient.
    """
    filled = weak.detach()
    return filled if len(rows) < LEAST_ROWS else filled.index_copy(0, rows, network(images).to(filled.dtype))


def _mean_logits(logits1: Tensor, logits2: Tensor) -> Tensor:
    return (full_precision(logits1) + full_precision(logits2)) / 2
