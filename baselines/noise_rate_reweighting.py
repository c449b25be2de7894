"""Importance reweighting by flip rates that are estimated from label correlations (Li et al., NeurIPS 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.flip_rate_estimation import (
    EstimationSchedule,
    below_one,
    best_pairs,
    dual_t,
    estimate_flip_rates,
    evaluated_logits,
    pairwise_flip_rates,
    rest_by_dual_t,
    select_reliable,
    transitions,
)
from ..methods.losses import binary_cross_entropy, full_precision, masked_bce

__all__ = [
    "NoiseRateReweighting",
    "NoiseRateReweightingParams",
    "dual_t",
    "estimate_flip_rates",
    "importance_weights",
    "pairwise_flip_rates",
    "reweighted_bce",
    "select_reliable",
]


@dataclass(frozen=True)
class NoiseRateReweightingParams:
    """Hyper-parameters of reweighting by estimated flip rates."""

    rates: Literal["correlation", "dual-t", "true"] = sourced("correlation", "paper §3: from label correlations")
    known_right: Literal["none", "positive", "negative"] = sourced(
        "none", "ours; authors' code, noise_rate_estimation_ours.py:150, reads which true flip rates are 0"
    )
    reweight: bool = sourced(True, "authors' code, main_reweight.py:116-160")
    warm_up: int = sourced(
        20, "authors' code, script/*.sh: 20 epochs on VOC, then 20 of reweighting; on COCO 30 and 30"
    )
    sample_epoch: int = sourced(10, "authors' code, script/*.sh: half of the warm-up")
    warm_up_stated_for: int = sourced(40, "authors' code, script/*.sh: warm-up and reweighting on VOC")
    window: int = sourced(5, "authors' code, noise_rate_estimation_ours.py:127: epochs whose losses are averaged")
    threshold: float = sourced(0.5, "authors' code, main_reweight.py:25: sample_th")
    minimum: int = sourced(50, "authors' code, noise_rate_estimation_ours.py:167: selected rows of each sign")
    slack: float = sourced(0.3, "authors' code, noise_rate_estimation_ours.py:198: divided by the number of AUs")


@torch.no_grad()
def importance_weights(logits: Tensor, labels: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Ratio of the clean and the noisy posterior of each given label, P(true = given | x) / P(given | x).

    For a given + this is p/q with q = (1-p)·negative + p·(1-positive); for a given - it is (1-p)/(1-q). It is at most
    1/(1 - flip rate of that sign), and 1 without noise.

    Args:
        logits: float [N, L].
        labels: given labels [N, L] in {-1, 0, +1}.
        positive: P(given - | truly +), [L] or [N, L] in [0, 1).
        negative: P(given + | truly -), likewise; both sum to less than 1.

    Returns:
        Float [N, L], 0 where unknown; no gradient.

    Source: authors' code, main_reweight.py:116-160; Liu & Tao, TPAMI 2016.
    """
    z, given_positive = full_precision(logits), labels > 0
    own = torch.where(given_positive, positive, negative)
    other = torch.where(given_positive, negative, positive)
    # 1/w = (1 - own) + other·(1-p)/p for a given +; in logarithms neither a small p nor a rate of 0 does harm.
    odds_against = torch.where(given_positive, -z, z)
    inverse = torch.logaddexp(torch.log1p(-own).to(z.dtype), other.log().to(z.dtype) + odds_against)
    return torch.where(labels != 0, (-inverse).exp(), 0.0)


def reweighted_bce(logits: Tensor, labels: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Binary cross-entropy times `importance_weights`, mean over known entries.

    Takes what `importance_weights` takes; returns a scalar with gradient, but none through the weights; 0 when no label
    is known. Source: authors' code, main_reweight.py:116-160.
    """
    return masked_bce(logits, labels, importance_weights(logits, labels, positive, negative))


class NoiseRateReweighting(Method):
    """A warm-up of plain training, an estimate of each AU's flip rates, then training with importance weights.

    Reference: Li, Xia, Zhang, Zhan, Ge & Liu, "Estimating noise transition matrix with label correlations for noisy
    multi-label learning", NeurIPS 2022; code ShikunLi/Estimating_T_For_Noisy_Mutli-Labels. It assumes that flips do not
    depend on the face. Rates of rare AUs come out too high where many of their given positives are wrong, since no
    selection by small losses is pure then. Verified rows count like any other.

    An AU's rates come from its pairs with other AUs, or, where no pair gives any, from Dual-T. The authors go on from
    the weights of the best validation loss, with a new optimiser; here training goes on from the end of the warm-up.
    Every known label has a positive weight, so that all are trained on.

    Buffers: `transition` [L, 2, 2], T[true][given], NaN before the estimate; `losses` of the epochs that the selection
    reads; `pairs`, the usable pairs of each AU; `fallback`, AUs whose rates are Dual-T's; `truth`, the true transition
    where a variant knows it.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = NoiseRateReweightingParams
    params: NoiseRateReweightingParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "estimate-only": Variant("estimates the flip rates, and trains without them", {"reweight": False}),
            "dual-t": Variant("flip rates of every AU by Dual-T", {"rates": "dual-t"}),
            "true-rates": Variant("the true flip rates", {"rates": "true"}, needs=frozenset({"transition"})),
            "missing-only": Variant(
                "knows of which AUs no negative is flipped",
                {"known_right": "positive"},
                needs=frozenset({"transition"}),
            ),
            "extra-only": Variant(
                "knows of which AUs no positive is flipped",
                {"known_right": "negative"},
                needs=frozenset({"transition"}),
            ),
        }
    )
    transition: Tensor
    truth: Tensor
    losses: Tensor
    pairs: Tensor
    fallback: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NoiseRateReweightingParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        epochs = params.warm_up, params.sample_epoch, params.warm_up_stated_for
        self.schedule = EstimationSchedule.of(task, *epochs, params.window)
        shape = self.schedule.window, task.train_size, task.num_classes
        unknown = torch.full((task.num_classes, 2, 2), torch.nan, dtype=torch.float64)
        self.register_buffer("losses", torch.zeros(shape))
        self.register_buffer("transition", unknown)
        self.register_buffer("truth", unknown.clone())
        self.register_buffer("pairs", torch.zeros(task.num_classes, dtype=torch.int64))
        self.register_buffer("fallback", torch.zeros(task.num_classes, dtype=torch.bool))

    def prepare(self, train: TrainView) -> None:
        """Reads the true transition, in the variants that know it."""
        if self.params.rates == "true" or self.params.known_right != "none":
            if self.task.transition is None:
                raise ValueError("this variant needs the true transition, and none was handed over")
            self.truth.copy_(self.task.transition)

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Keeps the losses that the selection reads, and estimates the flip rates at the end of the warm-up."""
        slot = self.schedule.slot(epoch)
        if slot is not None and self.params.rates == "correlation":
            logits = evaluated_logits(self.network, train, augment=True)
            self.losses[slot] = binary_cross_entropy(logits, train.labels > 0)
        if epoch == self.schedule.warm_up:
            self.transition.copy_(transitions(*below_one(*self._rates(train))))

    def _rates(self, train: TrainView) -> tuple[Tensor, Tensor]:
        """(positive, negative), float64 [L]; fills in `pairs` and `fallback`."""
        params, labels = self.params, train.labels
        positive, negative = self.truth[:, 1, 0], self.truth[:, 0, 1]
        if params.rates == "true":
            return positive, negative
        positives_right = (negative == 0) & (params.known_right == "positive")
        negatives_right = (positive == 0) & (params.known_right == "negative")
        positive = negative = torch.full_like(positive, torch.nan)
        if params.rates == "correlation":
            selected = select_reliable(self.losses, labels, params.threshold)
            selected |= ((labels > 0) & positives_right) | ((labels < 0) & negatives_right)
            positive, negative, pairs = best_pairs(labels, selected, params.minimum, params.slack)
            self.pairs.copy_(pairs)
        self.fallback.copy_(positive.isnan())
        positive, negative = rest_by_dual_t(positive, negative, self.network, train)
        return torch.where(negatives_right, 0.0, positive), torch.where(positives_right, 0.0, negative)

    def loss(self, batch: Batch) -> Step:
        """Plain binary cross-entropy during the warm-up, then the reweighted one."""
        labels = batch.labels
        logits = self.network(batch.images[0])
        loss, weight, logs = masked_bce(logits, labels), (labels != 0).float(), {}
        if batch.epoch >= self.schedule.warm_up:
            rates = self.transition[:, 1, 0], self.transition[:, 0, 1]
            solved = (~self.fallback).sum().double()
            logs = {"flip_positive": rates[0].mean(), "flip_negative": rates[1].mean(), "aus_solved": solved}
            if self.params.reweight:
                loss = reweighted_bce(logits, labels, *rates)
                weight = importance_weights(logits, labels, *rates)
        return Step(loss, logits.detach().sigmoid(), weight[None], logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], of the true labels."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
