"""Forget-rate schedules of small-loss methods, from the true noise rate or from an estimate of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from .base import Task, TrainView
from .losses import full_precision
from .mixture import estimated_noise_rate

RateSource = Literal["true", "estimated"]


def forget_rates(noise_rate: float, ramp_epochs: int, exponent: float, epochs: int) -> NDArray[np.float64]:
    """Share of a batch left out in each epoch: linear from 0 to noise_rate**exponent, then noise_rate.

    The exponent applies to the rate, not to the epoch; values other than 1 cause a jump at the end of the ramp. A ramp
    longer than the training is truncated, not compressed.

    Args:
        noise_rate: final rate in [0, 1).
        ramp_epochs: epochs of the ramp, both ends included; 0 for no ramp.
        exponent: applied to the rate at the end of the ramp.
        epochs: number of training epochs.

    Returns:
        float64 [epochs], entry e for 0-based epoch e.

    Raises:
        ValueError: noise_rate outside [0, 1), or a negative length.

    Source: Co-teaching, authors' code, main.py:134-135 (bhanML/Co-teaching @7c7fbe2).
    """
    if not 0.0 <= noise_rate < 1.0:
        raise ValueError(f"noise_rate {noise_rate}: must lie in [0, 1)")
    if ramp_epochs < 0 or epochs < 0:
        raise ValueError(f"ramp_epochs {ramp_epochs}, epochs {epochs}: must not be negative")
    rates = np.full(epochs, noise_rate, dtype=np.float64)
    rates[:ramp_epochs] = np.linspace(0.0, noise_rate**exponent, ramp_epochs)[:epochs]
    return rates


@torch.no_grad()
def mean_losses(networks: Sequence[nn.Module], train: TrainView) -> Tensor:
    """Cross-entropy of every training row with its given label, in evaluation mode, averaged over networks.

    Args:
        networks: map images [B, 3, H, W] to logits [B, C]; set back to training mode.
        train: the training set, passed over once without augmentation.

    Returns:
        Float [N] in row order; no gradient.
    """
    for network in networks:
        network.eval()
    index, losses = [], []
    for batch in train.batches(augment=False):
        each = [
            F.cross_entropy(full_precision(network(batch.images[0])), batch.labels, reduction="none")
            for network in networks
        ]
        index.append(batch.index)
        losses.append(torch.stack(each).mean(dim=0))
    for network in networks:
        network.train()
    in_row_order = torch.cat(index).argsort()
    return torch.cat(losses)[in_row_order]


class ForgetSchedule(nn.Module):
    """The forget rate of every epoch. The estimated noise rate is a buffer, so that a resumed trial keeps it.

    Args:
        task: its noise rate is read only where `source` is "true", which marks the record as using oracle knowledge.
        source: "true", or "estimated" by the two-component mixture on the losses at the start of `estimate_epoch`.
        ramp_epochs: see `forget_rates`.
        exponent: see `forget_rates`.
        estimate_epoch: 0-based; with an estimated rate nothing is left out before this epoch, and from it on the
            schedule equals that of a known noise rate of the same value.

    Raises:
        ValueError: the task states no noise rate and `source` is "true".
    """

    noise_rate: Tensor
    rates: NDArray[np.float64]

    def __init__(
        self, task: Task, source: RateSource, *, ramp_epochs: int, exponent: float = 1.0, estimate_epoch: int = 1
    ) -> None:
        super().__init__()
        self._source = source
        self._ramp_epochs, self._exponent, self._epochs = ramp_epochs, exponent, task.epochs
        self._estimate_epoch = estimate_epoch
        noise_rate = task.noise_rate if source == "true" else 0.0
        if noise_rate is None:
            raise ValueError(
                "the method needs the noise rate of the training labels, and this task states none; "
                "its variant 'estimated-rate' needs none"
            )
        self.register_buffer("noise_rate", torch.tensor(noise_rate, dtype=torch.float64))
        self.rates = forget_rates(noise_rate, ramp_epochs, exponent, task.epochs)

    def begin_epoch(self, epoch: int, train: TrainView, networks: Sequence[nn.Module]) -> None:
        """Estimates the noise rate at `estimate_epoch` unless it is known; to be called before every epoch."""
        if self._source == "true" or epoch < self._estimate_epoch:
            return
        if epoch == self._estimate_epoch:
            self.noise_rate.fill_(estimated_noise_rate(mean_losses(networks, train)))
        rates = forget_rates(float(self.noise_rate), self._ramp_epochs, self._exponent, self._epochs)
        rates[: self._estimate_epoch] = 0.0
        self.rates = rates
