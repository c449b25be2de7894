"""Forward correction (Patrini et al., CVPR 2017) with one 2x2 transition matrix for each action unit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.flip_rate_estimation import (
    EstimationSchedule,
    below_one,
    estimate_flip_rates,
    evaluated_logits,
    rest_by_dual_t,
    select_reliable,
    transitions,
)
from ..methods.losses import binary_cross_entropy, full_precision, masked_bce

__all__ = [
    "ForwardCorrectionMulti",
    "ForwardCorrectionMultiParams",
    "anchor_flip_rates",
    "forward_bce",
    "noisy_probabilities",
]

HIGHEST_RATE = 0.99
QUANTILE = 97 / 100  # authors' code of Li et al. (NeurIPS 2022), tools.py:13-28


@dataclass(frozen=True)
class ForwardCorrectionMultiParams:
    """Hyper-parameters of forward correction; those from `warm_up` on are of rates from label correlations."""

    rates: Literal["anchor", "true", "correlation"] = sourced("anchor", "Patrini et al. §4.2: estimated by anchors")
    filter_outliers: bool = sourced(
        True, "unstated: ours; with thousands of rows the single extreme prediction is that of an over-fitted row"
    )
    anchor_epoch: int = sourced(10, "unstated: ours; the authors train a network, estimate, and train anew")
    anchor_stated_for: int = sourced(30, "unstated: ours; the anchors' warm-up is a third of the training")
    warm_up: int = sourced(20, "Li et al. (NeurIPS 2022), code, script/*.sh: then 20 epochs of reweighting")
    sample_epoch: int = sourced(10, "Li et al., code, script/*.sh: half of the warm-up")
    warm_up_stated_for: int = sourced(40, "Li et al., code, script/*.sh: warm-up and reweighting on VOC")
    window: int = sourced(5, "Li et al., code, noise_rate_estimation_ours.py:127")
    threshold: float = sourced(0.5, "Li et al., code, main_reweight.py:25: sample_th")
    minimum: int = sourced(50, "Li et al., code, noise_rate_estimation_ours.py:167: selected rows of each sign")
    slack: float = sourced(0.3, "Li et al., code, noise_rate_estimation_ours.py:198: divided by the number of AUs")


def noisy_probabilities(logits: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Probability of a given positive: q = P(given + | x) = (1-p)·negative + p·(1-positive).

    Args:
        logits: float [N, L] of the clean posterior p.
        positive: P(given - | truly +), [L] or [N, L].
        negative: P(given + | truly -), likewise.

    Returns:
        Float [N, L] with gradient to the logits.

    Source: Patrini et al. §3, for two classes.
    """
    z = full_precision(logits)
    positive, negative = positive.detach().to(z.dtype), negative.detach().to(z.dtype)
    return (-z).sigmoid() * negative + z.sigmoid() * (1 - positive)


def forward_bce(logits: Tensor, labels: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
    """Binary cross-entropy of the given labels with the noisy posterior q, mean over known entries.

    Its gradient vanishes for confident predictions, right or wrong, unless the rates are 0, where it is plain binary
    cross-entropy.

    Args:
        logits: float [N, L] of the clean posterior.
        labels: given labels [N, L] in {-1, 0, +1}.
        positive: P(given - | truly +), [L] or [N, L] in [0, 1).
        negative: P(given + | truly -), likewise; both sum to less than 1.

    Returns:
        Scalar with gradient to the logits; 0 when no label is known.

    Source: Patrini et al. §3, Theorem 2, for two classes.
    """
    z, given_positive = full_precision(logits), labels > 0
    positive, negative = positive.detach().double(), negative.detach().double()
    # Of a given sign: the chance that a true - has it, and that a true + has it.
    of_negative = torch.where(given_positive, negative, 1 - negative).log().to(z.dtype)
    of_positive = torch.where(given_positive, 1 - positive, positive).log().to(z.dtype)
    log_likelihood = torch.logaddexp(F.logsigmoid(-z) + of_negative, F.logsigmoid(z) + of_positive)
    known = labels != 0
    return -torch.where(known, log_likelihood, 0.0).sum() / known.sum().clamp(min=1)


@torch.no_grad()
def anchor_flip_rates(probabilities: Tensor, filter_outliers: bool = False) -> tuple[Tensor, Tensor]:
    """Flip rates from the predictions for the rows that are surest to be positive and to be negative.

    positive = 1-p at the row of largest p, negative = p at the row of smallest p.

    Args:
        probabilities: p = P(given +), float [N, L], N ≥ 1.
        filter_outliers: takes the largest p, and the largest 1-p, strictly below its 97th percentile; where none lies
            below, as in a constant column, the largest.

    Returns:
        (positive, negative): float [L] in [0, 1], which may sum to 1 or more.

    Source: Patrini et al. eqs. (12)-(13); the filter: authors' code of Li et al. (NeurIPS 2022), tools.py:13-28.
    """
    p = full_precision(probabilities)
    surest, least = (_extreme_row(values, filter_outliers) for values in (p, 1 - p))
    return 1 - p.gather(0, surest)[0], p.gather(0, least)[0]


def _extreme_row(values: Tensor, filter_outliers: bool) -> Tensor:
    """The row of each column's largest value, or of the largest below the percentile: int64 [1, L]."""
    if filter_outliers:
        percentile = values.sort(dim=0).values[math.ceil((len(values) - 1) * QUANTILE)]
        below = values < percentile
        values = torch.where(below | ~below.any(dim=0), values, -math.inf)
    return values.argmax(dim=0, keepdim=True)


class ForwardCorrectionMulti(Method):
    """One network whose predictions pass through each AU's flip rates before they are compared with given labels.

    Reference: Patrini, Rozza, Menon, Nock & Qu, "Making deep neural networks robust to label noise: a loss correction
    approach", CVPR 2017; the form for action units is this project's. It assumes that flips do not depend on the face.

    Rates of "anchor" and of "correlation" are estimated once, after a warm-up of plain training; anchors later, when
    noisy labels are memorised, give rates near 0, and with them plain training. Patrini et al. train a network for the
    estimate and then another; here the same goes on. Labels of verified rows have rates of 0, and count in the
    estimates like any other. Prediction: the clean posterior.

    Buffers: `transition` [L, 2, 2], T[true][given], NaN before the estimate; with "correlation" also `losses` of the
    epochs that its selection reads.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi"})
    Params = ForwardCorrectionMultiParams
    params: ForwardCorrectionMultiParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "true": Variant("the true flip rates, from the start", {"rates": "true"}, needs=frozenset({"transition"})),
            "correlation": Variant("flip rates from label correlations, else by Dual-T", {"rates": "correlation"}),
        }
    )
    transition: Tensor
    losses: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: ForwardCorrectionMultiParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        epochs = params.warm_up, params.sample_epoch, params.warm_up_stated_for
        self.schedule = EstimationSchedule.of(task, *epochs, params.window)
        anchors = max(1, task.scaled_epochs(params.anchor_epoch, params.anchor_stated_for))
        self.start = {"true": 0, "anchor": anchors, "correlation": self.schedule.warm_up}[params.rates]
        unknown = torch.full((task.num_classes, 2, 2), torch.nan, dtype=torch.float64)
        self.register_buffer("transition", unknown)
        if params.rates == "correlation":
            self.register_buffer("losses", torch.zeros(self.schedule.window, task.train_size, task.num_classes))

    def prepare(self, train: TrainView) -> None:
        """Reads the true flip rates, in the variant that knows them."""
        if self.params.rates == "true":
            if self.task.transition is None:
                raise ValueError("this variant needs the true transition, and none was handed over")
            self._keep(self.task.transition[:, 1, 0], self.task.transition[:, 0, 1])

    @torch.no_grad()
    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Estimates the flip rates at the end of the warm-up."""
        params = self.params
        if params.rates == "anchor" and epoch == self.start:
            probabilities = full_precision(evaluated_logits(self.network, train, augment=False)).sigmoid()
            self._keep(*anchor_flip_rates(probabilities, params.filter_outliers))
        if params.rates == "correlation":
            slot = self.schedule.slot(epoch)
            if slot is not None:
                logits = evaluated_logits(self.network, train, augment=True)
                self.losses[slot] = binary_cross_entropy(logits, train.labels > 0)
            if epoch == self.start:
                selected = select_reliable(self.losses, train.labels, params.threshold)
                rates = estimate_flip_rates(train.labels, selected, params.minimum, params.slack)
                self._keep(*rest_by_dual_t(*rates, self.network, train))

    def _keep(self, positive: Tensor, negative: Tensor) -> None:
        """Writes flip rates [L] to `transition`, limited to what the loss takes."""
        limited = (rate.double().clamp(0, HIGHEST_RATE) for rate in (positive, negative))
        self.transition.copy_(transitions(*below_one(*limited)))

    def loss(self, batch: Batch) -> Step:
        """Plain binary cross-entropy during the warm-up, then the corrected one; no update is skipped."""
        logits = self.network(batch.images[0])
        weight = (batch.labels != 0)[None].float()
        if batch.epoch < self.start:
            return Step(masked_bce(logits, batch.labels), logits.detach().sigmoid(), weight)
        positive, negative = self.transition[:, 1, 0], self.transition[:, 0, 1]
        given = (~batch.verified)[:, None]
        loss = forward_bce(logits, batch.labels, positive * given, negative * given)
        logs = {"flip_positive": positive.mean(), "flip_negative": negative.mean()}
        return Step(loss, logits.detach().sigmoid(), weight, logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], of the true labels."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
