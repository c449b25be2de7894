"""DivideMix (Li et al., ICLR 2020), adapted to train both networks in the same step.

Both networks are trained on the same batch, which each divides into labelled and unlabelled rows by the other's mixture
model; the original trains the networks in alternating epochs, with separate data loaders for the two parts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision, label_loss
from ..methods.mixture import clean_probability

__all__ = [
    "DivideMix",
    "DivideMixParams",
    "co_guess",
    "mixing_share",
    "refine_labels",
    "semi_supervised_loss",
    "sharpen",
    "unlabelled_weight",
]

CODE = "authors' code, Train_cifar.py (LiJunnan1992/DivideMix @d9d3058)"


@dataclass(frozen=True)
class DivideMixParams:
    """Hyper-parameters of DivideMix."""

    threshold: float = sourced(0.5, f"{CODE}: p_threshold")
    temperature: float = sourced(0.5, f"{CODE}: T")
    alpha: float = sourced(4.0, f"{CODE}: of the Beta distribution")
    unlabelled_weight: float = sourced(
        25.0, f"{CODE}: lambda_u's default; the paper tunes it for each noise level, here one value for all"
    )
    warm_up: int = sourced(10, f"{CODE}: CIFAR-10")
    ramp_epochs: int = sourced(16, f"{CODE}: rampup_length")
    stated_for: int = sourced(
        40, "unstated: ours; both are epochs of a 40-epoch recipe and scale with its length (authors' code: 300)"
    )


def sharpen(probabilities: Tensor, temperature: float) -> Tensor:
    """Probabilities raised to the power 1/temperature and renormalised.

    Args:
        probabilities: float [B, C].
        temperature: T in (0, 1]; 1 leaves them unchanged.

    Returns:
        Float [B, C], rows sum to 1.

    Source: paper §3.2.
    """
    powers = probabilities ** (1.0 / temperature)
    return powers / powers.sum(dim=1, keepdim=True)


@torch.no_grad()
def co_guess(own: tuple[Tensor, Tensor], peer: tuple[Tensor, Tensor], temperature: float) -> Tensor:
    """Targets of unlabelled rows: the mean of both networks' probabilities over both views, sharpened.

    Args:
        own: logits [B, C] of the two views from the network being trained.
        peer: those from the other network.
        temperature: see `sharpen`.

    Returns:
        Float [B, C], no gradient.

    Source: paper §3.2, co-guessing.
    """
    mean = torch.stack([full_precision(logits).softmax(dim=1) for logits in (*own, *peer)]).mean(dim=0)
    return sharpen(mean, temperature)


@torch.no_grad()
def refine_labels(own: tuple[Tensor, Tensor], labels: Tensor, clean: Tensor, temperature: float) -> Tensor:
    """Targets of labelled rows: w · label + (1 - w) · the network's own mean probability, sharpened.

    Args:
        own: logits [B, C] of the two views from the network being trained.
        labels: int64 [B], given labels.
        clean: w, float [B]: probability that the label is right, by the other network's mixture model.
        temperature: see `sharpen`.

    Returns:
        Float [B, C], no gradient.

    Source: paper §3.2, co-refinement.
    """
    mean = (full_precision(own[0]).softmax(dim=1) + full_precision(own[1]).softmax(dim=1)) / 2
    share = clean.to(mean.dtype)[:, None]
    return sharpen(share * F.one_hot(labels, mean.shape[1]) + (1 - share) * mean, temperature)


def unlabelled_weight(epoch: float, warm_up: float, ramp_epochs: float, maximum: float) -> float:
    """Weight of the unlabelled loss: increases linearly from 0 at the end of the warm-up to its maximum.

    Args:
        epoch: 0-based, plus the completed fraction of the current epoch.
        warm_up: epochs of warm-up.
        ramp_epochs: length of the ramp; 0 for no ramp.
        maximum: λ_u.

    Returns:
        The weight in [0, maximum].
    """
    if ramp_epochs <= 0:
        return maximum if epoch >= warm_up else 0.0
    return maximum * min(1.0, max(0.0, (epoch - warm_up) / ramp_epochs))


def mixing_share(alpha: float, generator: torch.Generator, draw: int = 0) -> float:
    """Share of the first of two mixed rows: max(l, 1 - l) with l drawn from Beta(alpha, alpha).

    Args:
        alpha: positive.
        generator: only its initial seed is used, so the number is the same on every device; its state is unchanged.
        draw: number of the draw, for several draws from one generator.

    Returns:
        The share in [0.5, 1].

    Source: paper §3.2.
    """
    # PyTorch samples a Beta distribution from its global generator only.
    share = float(np.random.default_rng([generator.initial_seed(), draw]).beta(alpha, alpha))
    return max(share, 1.0 - share)


def semi_supervised_loss(logits: Tensor, targets: Tensor, labelled: Tensor, weight: float) -> Tensor:
    """Soft cross-entropy of labelled rows + weight · squared error of the others + KL(uniform || mean prediction).

    Args:
        logits: float [N, C].
        targets: float [N, C], rows sum to 1.
        labelled: bool [N].
        weight: of the squared error, which is a mean over rows and classes.

    Returns:
        Scalar with gradient to the logits; a part without rows is 0.

    Source: paper §3.2; authors' code, Train_cifar.py.
    """
    log_probabilities = F.log_softmax(full_precision(logits), dim=1)
    targets = targets.detach().to(log_probabilities.dtype)
    supervised = -(targets * log_probabilities).sum(dim=1)
    squared = (log_probabilities.exp() - targets).square().mean(dim=1)
    labelled_loss = (supervised * labelled).sum() / labelled.sum().clamp(min=1)
    unlabelled_loss = (squared * ~labelled).sum() / (~labelled).sum().clamp(min=1)
    rows, classes = log_probabilities.shape
    # log((1/C) / mean prediction), computed from logarithms: finite where the mean prediction of a class underflows.
    pull = (math.log(rows / classes) - log_probabilities.logsumexp(dim=0)).mean() if rows else 0.0
    return labelled_loss + weight * unlabelled_loss + pull


class DivideMix(Method):
    """DivideMix, our in-batch, simultaneous adaptation: networks split samples by loss, relabel and mix them.

    Reference: Li, Socher & Hoi, "DivideMix: learning with noisy labels as semi-supervised learning", ICLR 2020; code
    LiJunnan1992/DivideMix. As in the original: after the warm-up a two-component mixture on each network's losses at
    the start of every epoch, division by the other network's mixture, co-refinement and co-guessing over two views,
    sharpening, mixing, the three losses. Different: both networks are trained on one batch, in which the sizes of the
    two parts vary; both compute targets from the same training-mode forward passes, before either is updated.
    Prediction: softmax of the mean logits, which predicts the same class as the authors' code. The results of the
    original cannot be expected of this adaptation.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    views: int = 2
    Params = DivideMixParams
    params: DivideMixParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"supervised-part": Variant("without the loss of unlabelled rows (λ_u = 0)", {"unlabelled_weight": 0.0})}
    )
    clean: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: DivideMixParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        # Probability that each label is right, by each network's mixture model.
        self.register_buffer("clean", torch.ones(2, task.train_size, dtype=torch.float64))
        # The losses of untrained networks carry no information, so that even the shortest run has one warm-up epoch.
        self.warm_up = max(1, task.scaled_epochs(params.warm_up, params.stated_for))
        self.ramp_epochs = task.scaled_epochs(params.ramp_epochs, params.stated_for)

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Fits the mixture models to the losses of all rows, without augmentation and in evaluation mode."""
        if epoch < self.warm_up:
            return
        training = self.training
        self.eval()
        losses: list[Tensor] = []
        for batch in train.batches():
            both = [full_precision(network(batch.images[0])) for network in (self.network1, self.network2)]
            losses.append(torch.stack([F.cross_entropy(z, batch.labels, reduction="none") for z in both]))
        self.train(training)
        every = torch.cat(losses, dim=1)
        self.clean.copy_(torch.stack([clean_probability(every[0]), clean_probability(every[1])]))

    def loss(self, batch: Batch) -> Step:
        """Sum of both networks' losses; of their cross-entropies during the warm-up."""
        if batch.epoch < self.warm_up:
            return self._warm_up_loss(batch)
        params = self.params
        views = batch.images
        with torch.no_grad():  # in training mode, as the authors' code computes them for the network being trained
            logits1 = (self.network1(views[0]), self.network1(views[1]))
            logits2 = (self.network2(views[0]), self.network2(views[1]))
        clean1, clean2 = self.clean[:, batch.index]
        labelled = torch.stack([clean2 > params.threshold, clean1 > params.threshold])
        targets = torch.stack(
            [
                self._targets(logits1, logits2, batch.labels, clean2),
                self._targets(logits2, logits1, batch.labels, clean1),
            ]
        )
        epoch = batch.epoch + batch.step / self.task.steps_per_epoch
        weight = unlabelled_weight(epoch, self.warm_up, self.ramp_epochs, params.unlabelled_weight)
        share1, share2 = (mixing_share(params.alpha, batch.generator, draw) for draw in range(2))
        loss1 = self._mixed_loss(self.network1, batch, targets[0], labelled[0], share1, weight)
        loss2 = self._mixed_loss(self.network2, batch, targets[1], labelled[1], share2, weight)
        guesses = torch.stack([logits.softmax(dim=1) for logits in (*logits1, *logits2)]).mean(dim=0)
        trained = torch.where(labelled, 1.0, weight)
        logs: dict[str, float | Tensor] = {"labelled": labelled.float().mean(), "unlabelled_weight": weight}
        return Step(loss1 + loss2, guesses, trained, targets, logs)

    def _warm_up_loss(self, batch: Batch) -> Step:
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        loss = label_loss(logits1, batch.labels, "single") + label_loss(logits2, batch.labels, "single")
        guesses = (logits1.detach().softmax(dim=1) + logits2.detach().softmax(dim=1)) / 2
        weight = torch.ones(2, len(batch.labels), device=batch.labels.device)
        return Step(loss, guesses, weight, batch.labels.expand(2, -1), {"labelled": 1.0, "unlabelled_weight": 0.0})

    def _targets(
        self, own: tuple[Tensor, Tensor], peer: tuple[Tensor, Tensor], labels: Tensor, clean: Tensor
    ) -> Tensor:
        """Soft targets [B, C] of one network, from the other one's mixture model."""
        params = self.params
        refined = refine_labels(own, labels, clean, params.temperature)
        return torch.where((clean > params.threshold)[:, None], refined, co_guess(own, peer, params.temperature))

    def _mixed_loss(
        self, network: Network, batch: Batch, targets: Tensor, labelled: Tensor, share: float, weight: float
    ) -> Tensor:
        """Loss of one network on both views, mixed with a permutation of themselves."""
        images, generator = torch.cat(batch.images), batch.generator
        targets, labelled = targets.repeat(2, 1), labelled.repeat(2)
        partner = torch.randperm(len(images), generator=generator, device=generator.device).to(images.device)
        # A mixed row counts as labelled if its first row, which has the larger share, is labelled.
        mixed = share * images + (1 - share) * images[partner]
        mixed_targets = share * targets + (1 - share) * targets[partner]
        return semi_supervised_loss(network(mixed), mixed_targets, labelled, weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the softmax of the two networks' mean logits."""
        mean = (full_precision(self.network1(images)) + full_precision(self.network2(images))) / 2
        return mean.softmax(dim=1)
