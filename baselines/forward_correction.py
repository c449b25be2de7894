"""Loss correction (Patrini et al., CVPR 2017): the loss of what known or estimated noise makes of predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision

__all__ = [
    "ForwardCorrection",
    "ForwardCorrectionParams",
    "backward_corrected_cross_entropy",
    "estimate_transition",
    "forward_corrected_cross_entropy",
    "symmetric_transition",
    "transition_error",
]


@dataclass(frozen=True)
class ForwardCorrectionParams:
    """Hyper-parameters of loss correction."""

    warm_up: int = sourced(20, "T-Revision's code, main.py (xiaoboxia/T-Revision @b1f4e7d), which goes on from there")
    warm_up_stated_for: int = sourced(200, "T-Revision's code, main.py: n_epoch 200")
    quantile: float = sourced(0.97, "authors' code, models.py, NoiseEstimator (giorgiop/loss-correction @09f21ac)")
    least_share: float = sourced(
        0.1, "unstated: ours; the filter would take away all rows of a rare class; CIFAR-10's classes have 0.1"
    )
    correction: Literal["forward", "backward"] = sourced("forward", "paper §5 (from memory): the better of the two")
    transition: Literal["estimated", "true"] = sourced(
        "estimated", "paper §4 (from memory): estimated, or the true one"
    )


def forward_corrected_cross_entropy(logits: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """-log Σ_i p_i T[i, y], mean over rows: the cross-entropy of the predicted given labels.

    Args:
        logits: float [B, C] of the reference labels.
        labels: int64 [B], given.
        transition: T ≥ 0 [C, C], T[i, j] = P(given j | reference i); the identity gives plain cross-entropy.

    Returns:
        Scalar with gradient to the logits, and to those entries of T that are not 0, if it has any; 0 for B = 0. It is
        infinite where no class is ever labelled so.

    Source: authors' code, loss.py:13-29 (giorgiop/loss-correction @acfb9ab); paper, theorem 2 (from memory).
    """
    log_p = F.log_softmax(full_precision(logits), dim=1)
    transition = transition.to(log_p.dtype)
    reached = transition > 0
    # left out before the logarithm too, whose gradient at 0 is not finite
    log_t = torch.where(reached, torch.where(reached, transition, 1.0).log(), -math.inf)
    return -torch.logsumexp(log_p + log_t.T[labels], dim=1).sum() / max(1, len(labels))


def backward_corrected_cross_entropy(logits: Tensor, labels: Tensor, transition: Tensor) -> Tensor:
    """Σ_j T⁻¹[y, j]·CE(z, j), mean over rows: its mean over the noise is the cross-entropy with reference labels.

    Args:
        logits: float [B, C].
        labels: int64 [B], given.
        transition: T [C, C], T[i, j] = P(given j | reference i), inverted in float64. A singular one, as of two classes
            with the same anchor, has its pseudo-inverse instead (unstated: ours).

    Returns:
        Scalar with gradient, which may be negative and has no lower bound; 0 for B = 0.

    Source: authors' code, loss.py (giorgiop/loss-correction @acfb9ab); paper, theorem 1 (from memory).
    """
    return weighted_cross_entropy(logits, labels, inverse_of(transition))


def inverse_of(transition: Tensor) -> Tensor:
    """The pseudo-inverse, float64 [C, C], of a transition matrix: its inverse where it has one."""
    inverse: Tensor = torch.linalg.pinv(transition.double())
    return inverse


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Σ_j W[y, j]·CE(z, j), mean over rows, of weights [C, C]; see `backward_corrected_cross_entropy`."""
    losses = -F.log_softmax(full_precision(logits), dim=1)
    return (weights.to(losses.dtype)[labels] * losses).sum() / max(1, len(labels))


def symmetric_transition(rate: float, num_classes: int) -> Tensor:
    """The matrix of symmetric noise, float64 [C, C]: 1 - rate on the diagonal, rate/(C-1) everywhere else."""
    transition = torch.full((num_classes, num_classes), rate / max(1, num_classes - 1), dtype=torch.float64)
    return transition.fill_diagonal_(1.0 - rate)


@torch.no_grad()
def estimate_transition(probabilities: Tensor, quantile: float | Sequence[float | None] | None = 0.97) -> Tensor:
    """Row i of T is the prediction for the row that is most surely of class i, its anchor.

    Args:
        probabilities: [N, C], N ≥ 1, predicted given labels of the training rows.
        quantile: only rows whose p_i is below this quantile of column i (an actual value, not interpolated; strictly)
            may be the anchor of class i, and all where none is below; None: no filter; or one of either for each class.

    Returns:
        float64 [C, C], rows summing to 1; of equally probable rows the first is the anchor. No gradient.

    Raises:
        ValueError: no rows, or not as many quantiles as classes.

    Source: authors' code, models.py, NoiseEstimator (giorgiop/loss-correction @09f21ac); paper §4.1 (from memory).
    """
    p = probabilities.double()
    rows, classes = p.shape
    quantiles = [quantile] * classes if quantile is None or isinstance(quantile, int | float) else [*quantile]
    if rows == 0 or len(quantiles) != classes:
        raise ValueError(f"{rows} rows and {len(quantiles)} quantiles: at least one row, and one for each class")
    anchors = []
    for column, share in zip(p.unbind(dim=1), quantiles, strict=True):
        if share is not None:
            below = column < column.sort().values[math.ceil((rows - 1) * share)]
            column = torch.where(below | ~below.any(), column, -1.0)
        anchors.append(column.argmax())
    transition = p[torch.stack(anchors)]
    return transition / transition.sum(dim=1, keepdim=True)


def transition_error(estimated: Tensor, true: Tensor) -> float:
    """Σ|estimated - true| / Σ|true| of two matrices [C, C]; the divisor is C where the rows of `true` sum to 1.

    Source: VolMinNet's code, tools.py:9-11.
    """
    true = true.double()
    return float((estimated.double() - true).abs().sum() / true.abs().sum())


class ForwardCorrection(Method):
    """One network whose predictions, times the transition matrix of the noise, are fitted to the given labels.

    Reference: Patrini, Rozza, Menon, Nock & Qu, "Making deep neural networks robust to label noise: a loss correction
    approach", CVPR 2017; code giorgiop/loss-correction. The matrix is estimated at the start of epoch `warm_up`
    (0-based), after plain cross-entropy, and training goes on from the same weights, as in T-Revision (Xia et al.,
    NeurIPS 2019); Patrini et al. train a first network to its end and start anew. The authors' filter of outliers is
    used for classes with at least `least_share` of the given labels. Rows of rare classes stay poorly estimated either
    way, and an accuracy says little of the estimate: a flat matrix also smooths labels. Prediction, and what the audit
    sees, is the network's own probability of the reference label.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = ForwardCorrectionParams
    params: ForwardCorrectionParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "true": Variant("the true transition matrix", {"transition": "true"}, needs=frozenset({"transition"})),
            "backward": Variant("the inverse of the matrix corrects the loss (theorem 1)", {"correction": "backward"}),
            "late": Variant("estimated after a third of the training", {"warm_up": 10, "warm_up_stated_for": 30}),
        }
    )
    transition: Tensor
    inverse: Tensor  # kept, since to compute it in a step would make the host wait for the device

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: ForwardCorrectionParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.warm_up = max(1, task.scaled_epochs(params.warm_up, params.warm_up_stated_for))
        known = params.transition == "true"
        start = _true_transition(task) if known else torch.eye(task.num_classes, dtype=torch.float64)
        self.register_buffer("transition", start)
        self.register_buffer("inverse", inverse_of(start))

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Estimates the matrix after the warm-up, unless the true one is known."""
        if self.params.transition == "true" or epoch != self.warm_up:
            return
        common = (self.task.frequency >= self.params.least_share).tolist()
        quantiles = [self.params.quantile if each else None for each in common]
        self.transition.copy_(estimate_transition(self._predicted(train), quantiles))
        self.inverse.copy_(inverse_of(self.transition))

    @torch.no_grad()
    def _predicted(self, train: TrainView) -> Tensor:
        """Probabilities of all training rows without augmentation, float64 [N, C]."""
        self.network.eval()
        found = [self.network(batch.images[0]).double().softmax(dim=1) for batch in train.batches(augment=False)]
        self.network.train()
        return torch.cat(found)

    def loss(self, batch: Batch) -> Step:
        """Corrected cross-entropy of all rows; during the warm-up the matrix is the identity, and this plain."""
        logits = self.network(batch.images[0])
        if self.params.correction == "forward":
            loss = forward_corrected_cross_entropy(logits, batch.labels, self.transition)
        else:
            loss = weighted_cross_entropy(logits, batch.labels, self.inverse)
        weight = torch.ones_like(batch.labels, dtype=torch.float32)[None]
        logs = {"mean_diagonal": self.transition.diagonal().mean()}
        return Step(loss, logits.detach().softmax(dim=1), weight, logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of the reference labels, not of the given ones."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)


def _true_transition(task: Task) -> Tensor:
    """The task's transition matrix, or that of symmetric noise of its rate; oracle knowledge."""
    if task.transition is not None:
        return task.transition.double()
    if task.noise_rate is None:
        raise ValueError("the true transition matrix is asked for, and this task states neither it nor a noise rate")
    return symmetric_transition(task.noise_rate, task.num_classes)
