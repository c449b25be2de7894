"""DISC (Li et al., CVPR 2023): thresholds that follow each row's confidence keep its label, correct it or leave it out.

The thresholds start near 0, where nearly every label is trusted, and need many epochs to rise: the shorter a training,
the more wrong labels are kept, although their momentum is scaled to its length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision
from ..methods.selection import write_rows
from .mixup import mixup_loss

__all__ = ["DISC", "DISCParams", "disc_loss", "disc_partition", "mixing_shares", "update_threshold"]

CODE = "authors' code (JackYFL/DISC @a21e910)"
SMALLEST = 1e-7  # probability in the generalized cross-entropy: authors' code, losses/loss_other.py:38-54


@dataclass(frozen=True)
class DISCParams:
    """Hyper-parameters of DISC."""

    start: int = sourced(20, f"{CODE}, main.py:56-113, configs/: epochs of warm-up; 15 for instance-dependent noise")
    momentum: float = sourced(
        0.99, f"{CODE}, main.py:25; 0.95 for asymmetric noise, noise of 60 % or more, Clothing1M and Food-101N"
    )
    stated_for: int = sourced(
        200, f"{CODE}, configs/: epochs; unstated, ours: the warm-up and the memory of the momentum scale with them"
    )
    sigma: float = sourced(0.5, f"{CODE}, main.py:56-113: what a correction needs above the thresholds")
    ceiling: float = sourced(0.99, f"{CODE}, algorithms/DISC.py:328-360: of the threshold of a correction")
    hard_weight: float = sourced(1.0, f"{CODE}, main.py:56-113; 0.2 for noise of 60 % or more: variant hard-0.2")
    q: float = sourced(0.7, f"{CODE}, losses/loss_other.py:38-54")
    alpha: float = sourced(5.0, f"{CODE}, main.py:56-113: of the Beta distribution of mixup")


@torch.no_grad()
def disc_partition(
    weak: Tensor,
    strong: Tensor,
    labels: Tensor,
    weak_threshold: Tensor,
    strong_threshold: Tensor,
    sigma: float = 0.5,
    ceiling: float = 0.99,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows whose label both views trust (clean), one (hard), or neither where both together are sure of a class.

    A view trusts a label whose probability is above the row's threshold; a label that neither trusts is corrected where
    the largest mean probability of the views is above min(mean threshold + sigma, ceiling).

    Args:
        weak: probabilities [N, C] of the weak view.
        strong: those of the strong view.
        labels: int64 [N].
        weak_threshold: [N].
        strong_threshold: [N].
        sigma: see above.
        ceiling: see above.

    Returns:
        (clean, hard, corrected, targets): three bool [N], no two of them true for a row, and int64 [N]: the label, the
        class of the correction, or -1 where the row has no target. No gradient.

    Source: authors' code, algorithms/DISC.py:328-360.
    """
    weak, strong = full_precision(weak), full_precision(strong)
    trusts_weak = weak.gather(1, labels[:, None]).squeeze(1) > weak_threshold
    trusts_strong = strong.gather(1, labels[:, None]).squeeze(1) > strong_threshold
    sure, guess = ((weak + strong) / 2).max(dim=1)
    clean, hard = trusts_weak & trusts_strong, trusts_weak ^ trusts_strong
    needed = ((weak_threshold + strong_threshold) / 2 + sigma).clamp(max=ceiling)
    corrected = (sure > needed) & ~(trusts_weak | trusts_strong)
    return clean, hard, corrected, torch.where(clean | hard, labels, torch.where(corrected, guess, -1))


@torch.no_grad()
def update_threshold(threshold: Tensor, probabilities: Tensor, momentum: float) -> Tensor:
    """The running mean of each row's largest probability: momentum · threshold + (1 - momentum) · max_c p.

    Args:
        threshold: [N].
        probabilities: [N, C].
        momentum: in [0, 1], the weight of the threshold before.

    Returns:
        [N], no gradient.

    Source: authors' code, algorithms/DISC.py:328-360.
    """
    return momentum * threshold + (1.0 - momentum) * full_precision(probabilities).amax(dim=1)


def disc_loss(
    weak_logits: Tensor,
    strong_logits: Tensor,
    labels: Tensor,
    clean: Tensor,
    hard: Tensor,
    hard_weight: float = 1.0,
    q: float = 0.7,
) -> Tensor:
    """Cross-entropy of clean rows and generalized cross-entropy of hard ones, both views added, over the batch size.

    Args:
        weak_logits: float [B, C] of the weak view.
        strong_logits: float [B, C] of the strong view.
        labels: int64 [B].
        clean: bool [B]; with all rows clean this is the loss of the warm-up.
        hard: bool [B].
        hard_weight: of the hard rows.
        q: in (0, 1], of the generalized cross-entropy (1 - p^q) / q, whose p is at least 1e-7.

    Returns:
        Scalar with gradient; 0 for B = 0. The divisor is B, and not the number of rows chosen.

    Source: authors' code, algorithms/DISC.py:283-322; losses/loss_other.py:38-54.
    """
    total = weak_logits.new_zeros((), dtype=full_precision(weak_logits).dtype)
    for logits in (weak_logits, strong_logits):
        log_p = F.log_softmax(full_precision(logits), dim=1).gather(1, labels[:, None]).squeeze(1)
        robust = -torch.expm1(q * log_p.clamp(min=float(np.log(SMALLEST)))) / q
        total = total + torch.where(clean, -log_p, 0.0).sum() + hard_weight * torch.where(hard, robust, 0.0).sum()
    return total / max(1, len(labels))


def mixing_shares(alpha: float, generator: torch.Generator) -> tuple[float, float]:
    """Shares of the first of two mixed rows for the weak and the strong view: max(l, 1 - l), l from Beta(alpha, alpha).

    Args:
        alpha: positive.
        generator: only its initial seed is used, so the numbers are the same on every device; its state is unchanged.

    Returns:
        Two shares in [0.5, 1].

    Source: authors' code, losses/loss_mixup.py:23-35.
    """
    # PyTorch samples a Beta distribution from its global generator only.
    weak, strong = np.random.default_rng(generator.initial_seed()).beta(alpha, alpha, size=2)
    return float(max(weak, 1.0 - weak)), float(max(strong, 1.0 - strong))


class DISC(Method):
    """Two views of a row and a threshold of its own decide whether it keeps its label, is corrected or left out.

    Reference: Li, Han, Shan & Chen, "DISC: learning from noisy labels via dynamic instance-specific selection and
    correction", CVPR 2023; code JackYFL/DISC. Both views are forwarded together. Their probabilities are kept, and
    at the start of the next epoch rows are divided by them and thresholds updated, in this order. After the warm-up the
    loss adds mixup of all rows that have a target, for each view apart; a batch without any makes no update. The strong
    view is that of the protocol, the same for all methods; the authors' has other operations, at random levels, and a
    grey square. They train without momentum. Prediction: softmax.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    views = ("weak", "strong")
    Params = DISCParams
    params: DISCParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"hard-0.2": Variant("a fifth of the weight for hard rows, as for noise of 60 % or more", {"hard_weight": 0.2})}
    )
    weak_memory: Tensor
    strong_memory: Tensor
    weak_threshold: Tensor
    strong_threshold: Tensor
    clean: Tensor
    hard: Tensor
    targets: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: DISCParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        rows = task.train_size
        for view in ("weak", "strong"):
            self.register_buffer(f"{view}_memory", torch.zeros(rows, task.num_classes))
            self.register_buffer(f"{view}_threshold", torch.full((rows,), 1.0 / rows))
        self.register_buffer("clean", torch.ones(rows, dtype=torch.bool))
        self.register_buffer("hard", torch.zeros(rows, dtype=torch.bool))
        self.register_buffer("targets", torch.full((rows,), -1, dtype=torch.int64))
        # Rows are divided for the first time after an epoch, so that even the shortest run has one warm-up epoch.
        self.start = max(1, task.scaled_epochs(params.start, params.stated_for))
        self.momentum = params.momentum ** (params.stated_for / task.epochs)

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Divides the rows by the probabilities of the epoch before; then updates the thresholds."""
        if epoch == 0:
            return
        params, weak, strong = self.params, self.weak_memory, self.strong_memory
        thresholds = self.weak_threshold, self.strong_threshold
        clean, hard, _, targets = disc_partition(weak, strong, train.labels, *thresholds, params.sigma, params.ceiling)
        self.clean.copy_(clean)
        self.hard.copy_(hard)
        self.targets.copy_(targets)
        for threshold, memory in zip(thresholds, (weak, strong), strict=True):
            threshold.copy_(update_threshold(threshold, memory, self.momentum))

    def loss(self, batch: Batch) -> Step:
        """The loss of clean and hard rows and the two mixups; of all rows with their labels during the warm-up."""
        params, index, labels = self.params, batch.index, batch.labels
        weak, strong = full_precision(self.network(torch.cat(batch.images))).tensor_split(2)
        probabilities = weak.detach().softmax(dim=1)
        write_rows(self.weak_memory, index, probabilities)
        write_rows(self.strong_memory, index, strong.detach().softmax(dim=1))
        if batch.epoch < self.start:
            every = torch.ones_like(labels, dtype=torch.bool)
            loss = disc_loss(weak, strong, labels, every, ~every)
            logs: dict[str, float | Tensor] = {"clean": 1.0, "hard": 0.0, "corrected": 0.0}
            return Step(loss, probabilities, every[None].float(), labels[None], logs)
        clean, hard, targets = self.clean[index], self.hard[index], self.targets[index]
        chosen = targets >= 0
        corrected = chosen & ~clean & ~hard
        logs = {"clean": clean.float().mean(), "hard": hard.float().mean(), "corrected": corrected.float().mean()}
        rows = chosen.nonzero().squeeze(1)  # waits for the device: their number is that of a forward pass
        trained_on = probabilities, chosen[None].float(), torch.where(chosen, targets, labels)[None], logs
        if len(rows) == 0:
            return Step(None, *trained_on)
        loss = disc_loss(weak, strong, labels, clean, hard, params.hard_weight, params.q)
        return Step(loss + self._mixed_loss(batch, rows, targets[rows]), *trained_on)

    def _mixed_loss(self, batch: Batch, rows: Tensor, targets: Tensor) -> Tensor:
        """Sum of both views' mixup losses on some rows and their targets."""
        if len(rows) == 1:  # a lone row is mixed with itself, and batch normalisation needs two
            rows, targets = rows.repeat(2), targets.repeat(2)
        generator, losses = batch.generator, []
        for images, share in zip(batch.images, mixing_shares(self.params.alpha, generator), strict=True):
            partner = torch.randperm(len(rows), generator=generator, device=generator.device).to(rows.device)
            mixed = share * images[rows] + (1.0 - share) * images[rows[partner]]
            losses.append(mixup_loss(self.network(mixed), targets, targets[partner], share))
        return losses[0] + losses[1]

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        probabilities: Tensor = full_precision(self.network(images)).softmax(dim=1)
        return probabilities
