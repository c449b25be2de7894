"""Small-loss selection of AU labels, separately for positives and negatives of each AU: this project's extension.

Small-loss methods were defined for one label per sample. Here each known (image, AU) label, an "entry", is selected on
its own. Positives and negatives of an AU are ranked separately: rare positives have larger losses than negatives
whether their labels are right or wrong, so a common ranking would discard all of them; the same holds between rare and
frequent AUs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .base import Task, TrainView
from .losses import LOG_2, binary_cross_entropy, full_precision
from .mixture import estimated_noise_rate


@torch.no_grad()
def small_loss_entries(losses: Tensor, labels: Tensor, rates: Tensor, verified: Tensor) -> Tensor:
    """The entries to train on: all known entries of verified rows, and those of smallest loss of the other rows.

    Of the n unverified entries of an AU and sign with forget rate R, the min(n-1, int(R·n + ½)) of largest loss are
    left out. R·n is rounded to the nearest integer because n is small within a batch, where always rounding down or up
    would leave out nothing, or far more than R; at least one entry is kept.

    Args:
        losses: float [N, L].
        labels: [N, L] in {-1, 0, +1}; entries of 0 are neither kept nor counted.
        rates: float [2, L] in [0, 1], the share left out of positives (first row) and of negatives, of each AU.
        verified: bool [N].

    Returns:
        Bool [N, L], no gradient; of equal losses the earlier rows are kept.
    """
    scores = full_precision(losses)
    keep = (labels != 0) & verified[:, None]
    for sign, rate in ((1, rates[0]), (-1, rates[1])):
        doubtful = (labels == sign) & ~verified[:, None]
        count = doubtful.sum(dim=0).double()
        left_out = torch.minimum((rate.double() * count + 0.5).floor(), (count - 1).clamp(min=0))
        order = torch.where(doubtful, scores, math.inf).argsort(dim=0, stable=True)
        keep |= doubtful & (order.argsort(dim=0) < count - left_out)
    return keep


@torch.no_grad()
def entry_losses(networks: Sequence[nn.Module], train: TrainView) -> Tensor:
    """Binary cross-entropy of every training entry with its given label, in evaluation mode, averaged over networks.

    Args:
        networks: map images [B, 3, H, W] to logits [B, L]; set back to training mode.
        train: the training set, passed over once without augmentation.

    Returns:
        Float [N, L] in row order; no gradient. Values at unknown entries are meaningless.
    """
    for network in networks:
        network.eval()
    index, losses = [], []
    for batch in train.batches(augment=False):
        each = [binary_cross_entropy(network(batch.images[0]), batch.labels > 0) for network in networks]
        index.append(batch.index)
        losses.append(torch.stack(each).mean(dim=0))
    for network in networks:
        network.train()
    in_row_order = torch.cat(index).argsort()
    return torch.cat(losses)[in_row_order]


def entry_noise_rates(losses: Tensor, labels: Tensor, verified: Tensor) -> Tensor:
    """The estimated share of wrong labels among the unverified positives and negatives of each AU.

    The estimate is that of a two-component Gaussian mixture on the losses, bounded by the share of entries with a loss
    above log 2 and above -log(share of that sign among the AU's unverified labels), i.e. whose label the networks find
    less likely than the opposite label and than the sign's base rate. The bound is needed because a mixture also splits
    the losses of clean labels, of which it would call nearly half wrong; the second threshold, because nearly all
    labels of a rare sign, right or wrong, are predicted less likely than the opposite one.

    Args:
        losses: float [N, L], finite.
        labels: [N, L] in {-1, 0, +1}; unknown entries are ignored.
        verified: bool [N], rows that are ignored.

    Returns:
        float64 [2, L] in [0, 1] on the same device, positives first; 0 where there are fewer than two entries.
    """

    def rate(k: int, sign: int) -> float:
        known, mine = (labels[:, k] != 0) & ~verified, (labels[:, k] == sign) & ~verified
        group, share = losses[mine, k], float(mine.sum()) / max(1, float(known.sum()))
        doubted = group > max(LOG_2, -math.log(share) if share > 0 else 0.0)
        return min(estimated_noise_rate(group), float(doubted.sum()) / max(1, len(group)))

    rates = [[rate(k, sign) for k in range(labels.shape[1])] for sign in (1, -1)]
    return torch.tensor(rates, dtype=torch.float64, device=losses.device)


class EntrySchedule(nn.Module):
    """The share of each AU's positives and negatives to leave out in each epoch, without oracle knowledge.

    Nothing is left out before `estimate_epoch`. At its start the share of wrong labels is estimated once, from the
    losses of a pass without augmentation (`entry_noise_rates`). The share left out is that estimate times Co-teaching's
    linear ramp, 0 in epoch 0 and 1 from epoch ramp_epochs - 1 on. The estimate is a buffer, so that a resumed trial
    keeps it.

    Args:
        task: gives the number of AUs; its noise rate is not read.
        ramp_epochs: epochs of the ramp, both ends included; 0 or 1: no ramp.
        estimate_epoch: 0-based, at least 1, since the losses of an untrained network carry no information.
    """

    rates: Tensor

    def __init__(self, task: Task, *, ramp_epochs: int, estimate_epoch: int) -> None:
        super().__init__()
        self._ramp_epochs, self._estimate_epoch = ramp_epochs, max(1, estimate_epoch)
        self.register_buffer("rates", torch.zeros(2, task.num_classes, dtype=torch.float64))

    def begin_epoch(self, epoch: int, train: TrainView, networks: Sequence[nn.Module]) -> None:
        """Estimates the shares of wrong labels at `estimate_epoch`; to be called before every epoch."""
        if epoch == self._estimate_epoch:
            self.rates.copy_(entry_noise_rates(entry_losses(networks, train), train.labels, train.verified))

    def at(self, epoch: int) -> Tensor:
        """The shares to leave out in an epoch, of positives and of negatives: float64 [2, L]."""
        ramp = min(1.0, epoch / (self._ramp_epochs - 1)) if self._ramp_epochs > 1 else 1.0
        return self.rates * ramp
