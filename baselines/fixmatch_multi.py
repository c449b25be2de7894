"""FixMatch (Sohn et al., NeurIPS 2020) for action units: pseudo-labels of a weak view, learnt on a strong view."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import binary_cross_entropy, full_precision, masked_bce
from ..methods.selection import positive_frequency

__all__ = [
    "FixMatchMulti",
    "FixMatchMultiParams",
    "class_thresholds",
    "fixmatch_multi_loss",
    "fixmatch_targets",
    "free_momentum",
    "free_thresholds",
    "free_update",
    "pseudo_labels",
]

USB = "FixMatch in USB (microsoft/Semi-supervised-learning @1ef4cbe)"
CAP = "CAP, authors' code (milkxie/SSMLL-CAP @b7dd807)"


@dataclass(frozen=True)
class FixMatchMultiParams:
    """Hyper-parameters of multi-label FixMatch."""

    mode: Literal["fixed", "free", "class"] = sourced(
        "fixed", "FixMatch: one constant threshold; free: FreeMatch's, class: CAP's, here for each AU"
    )
    cutoff: float = sourced(0.95, f"{USB}, config/classic_cv/fixmatch: p_cutoff 0.95")
    weight: float = sourced(1.0, f"{USB}, config/classic_cv/fixmatch: ulb_loss_ratio 1")
    decay: float = sourced(0.999, f"{USB}, config/classic_cv/fixmatch: ema_m 0.999")
    ema: bool = sourced(True, f"{USB}: evaluates the moving average of the weights")
    class_from: int = sourced(12, f"{CAP}: the first 12 epochs are supervised only")
    class_stated_for: int = sourced(40, f"{CAP}: of 40 epochs")
    keep_positive: float = sourced(1.0, f"{CAP}: κ⁺ 1")
    keep_negative: float = sourced(0.998, f"{CAP}, run_CAP.py:396-441: κ⁻ 1, clipped to 0.998")


@torch.no_grad()
def pseudo_labels(probabilities: Tensor, thresholds: Tensor, argmax: bool = True) -> Tensor:
    """The sign of each AU where its confidence reaches the threshold of that sign, 0 elsewhere.

    Args:
        probabilities: p, float [N, L]; the confidences are p of a positive and 1 - p of a negative.
        thresholds: [2, L], least confidence of a positive (row 0) and of a negative (row 1); reached when equal.
        argmax: only the likelier sign, a negative at p = 0.5. Otherwise a positive wins where both reach.

    Returns:
        int64 [N, L] in {-1, 0, +1}, no gradient.

    Source: USB @1ef4cbe, algorithms/hooks/masking.py:46-58 and core/criterions/consistency.py:33-43, for two classes.
    """
    p = full_precision(probabilities)
    thresholds = thresholds.to(p.dtype)  # so that 0.95 reaches 0.95 whatever their dtypes
    positive, negative = p >= thresholds[0], 1 - p >= thresholds[1]
    if argmax:
        positive, negative = positive & (p > 0.5), negative & (p <= 0.5)
    return torch.where(positive, 1, torch.where(negative, -1, 0))


@torch.no_grad()
def free_update(time: Tensor, model: Tensor, probabilities: Tensor, momentum: float) -> tuple[Tensor, Tensor]:
    """Running means of each AU's larger confidence and of its two confidences, after one more batch.

    Args:
        time: [L], mean of max(p, 1 - p) so far.
        model: [2, L], means of p and of 1 - p so far.
        probabilities: p, float [n, L] of unverified rows.
        momentum: weight of the means so far, in [0, 1].

    Returns:
        (time, model), no gradient; the same for n = 0.

    Source: FreeMatch (Wang et al., ICLR 2023); USB @1ef4cbe, algorithms/freematch/utils.py, for each AU.
    """
    p = full_precision(probabilities)
    if len(p) == 0:
        return time, model
    confidence = torch.stack([p, 1 - p])
    time = momentum * time + (1 - momentum) * confidence.amax(dim=0).mean(dim=0)
    return time, momentum * model + (1 - momentum) * confidence.mean(dim=1)


def free_thresholds(time: Tensor, model: Tensor) -> Tensor:
    """FreeMatch's thresholds [2, L] from the running means: time·model_c / max_c model_c, for each AU.

    Takes [L] and [2, L] of `free_update`. The likelier sign has the threshold `time`, the other one a lower threshold.
    """
    return time * model / model.amax(dim=0)


def free_momentum(steps: int) -> float:
    """Momentum of `free_update` for a training of so many steps: 1 - 1/clip(steps/100, 10, 1000).

    Source: FreeMatch has 0.999, a window of 1000 of 2²⁰ steps; unstated: ours for shorter trainings, in which its
    thresholds would remain near their start.
    """
    return 1.0 - 1.0 / min(max(steps / 100, 10.0), 1000.0)


@torch.no_grad()
def class_thresholds(
    probabilities: Tensor, share: Tensor, keep_positive: float = 1.0, keep_negative: float = 0.998
) -> Tensor:
    """Thresholds that give each AU as many pseudo-positives and pseudo-negatives as verified labels make likely.

    With γ the AU's share of positives: the floor(κ⁺·γ·n)-th largest p, and the floor(κ⁻·(1-γ)·n)-th largest 1 - p.

    Args:
        probabilities: p, float [n, L] of all unverified rows.
        share: γ [L] in [0, 1], NaN for an AU without a known verified label.
        keep_positive: κ⁺ in [0, 1].
        keep_negative: κ⁻ in [0, 1].

    Returns:
        [2, L] of the dtype of p, no gradient; +inf, which no row reaches, for a number of 0 and for a share of NaN.

    Source: CAP (Xie et al., NeurIPS 2023), authors' code, run_CAP.py:396-441 (milkxie/SSMLL-CAP @b7dd807), in which a
    number of 0 makes every row positive.
    """
    p = full_precision(probabilities)
    rows, share = len(p), share.double()
    never = p.new_full((1, p.shape[1]), math.inf)
    limits = []
    for confidence, kept in ((p, keep_positive * share), (1 - p, keep_negative * (1 - share))):
        count = (kept * rows).nan_to_num(0.0).floor().long().clamp(0, rows)
        # The count-th largest value follows count - 1 others; +inf stands before them all.
        ordered = torch.cat([never, confidence.sort(dim=0, descending=True).values])
        limits.append(ordered.gather(0, count[None])[0])
    return torch.stack(limits)


@torch.no_grad()
def fixmatch_targets(
    weak_logits: Tensor, labels: Tensor, verified: Tensor, thresholds: Tensor, argmax: bool = True
) -> Tensor:
    """What each entry is trained on: the given labels of verified rows, the pseudo-labels of the others.

    Arguments as for `fixmatch_multi_loss`. Returns int64 [N, L] in {-1, 0, +1}; 0: not trained on.
    """
    pseudo = pseudo_labels(full_precision(weak_logits).sigmoid(), thresholds, argmax)
    return torch.where(verified[:, None], labels, pseudo)


def fixmatch_multi_loss(
    weak_logits: Tensor,
    strong_logits: Tensor,
    labels: Tensor,
    verified: Tensor,
    thresholds: Tensor,
    weight: float = 1.0,
    argmax: bool = True,
) -> Tensor:
    """Cross-entropy of verified rows' weak views plus, on strong views, of the other rows' pseudo-labels.

    Args:
        weak_logits: float [N, L]; gradient in verified rows only.
        strong_logits: float [N, L]; rows of verified ones are not read.
        labels: [N, L] in {-1, 0, +1}; rows of unverified ones are not read.
        verified: bool [N].
        thresholds: [2, L], see `pseudo_labels`.
        weight: λ_u of the second part.
        argmax: see `pseudo_labels`.

    Returns:
        Scalar with gradient. The first part is the mean over known entries, the second one the sum divided by all
        entries of unverified rows, with or without a pseudo-label; a part without rows is 0.

    Source: FixMatch; USB @1ef4cbe, core/criterions/consistency.py:33-43, with an AU as a problem of two classes.
    """
    targets = fixmatch_targets(weak_logits, labels, verified, thresholds, argmax)
    rows = verified[:, None]
    supervised = masked_bce(torch.where(rows, weak_logits, 0.0), torch.where(rows, targets, 0))
    learnt = ~rows & (targets != 0)
    losses = binary_cross_entropy(torch.where(learnt, strong_logits, 0.0), targets > 0)
    entries = (~verified).sum() * labels.shape[1]
    return supervised + weight * torch.where(learnt, losses, 0.0).sum() / entries.clamp(min=1)


class FixMatchMulti(Method):
    """One network trained on verified labels and on its own confident predictions for the other rows.

    Reference: Sohn et al., "FixMatch: simplifying semi-supervised learning with consistency and confidence", NeurIPS
    2020; code microsoft/Semi-supervised-learning (USB). The multi-label form is this project's. It asks whether noisy
    labels are better than none: the given labels of unverified rows are never read. To be compared with
    `supervised:clean` and `supervised:both` under the same recipe.

    Batches are the protocol's, usually half verified, where the authors have 1 in 8. A fixed threshold gives rare AUs
    nearly no pseudo-positive; the logs compare their share with that of the verified labels. Both views pass through
    the network in one batch. Prediction: the moving average of the parameters, with the network's batch statistics.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi", "verified"})
    views = ("weak", "strong")
    Params = FixMatchMultiParams
    params: FixMatchMultiParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "free": Variant("thresholds follow the mean confidences of each AU, as in FreeMatch", {"mode": "free"}),
            "class": Variant("as many pseudo-labels of an AU as its verified share, as in CAP", {"mode": "class"}),
            "no-ema": Variant("predicts with the network itself, without a moving average", {"ema": False}),
        }
    )
    time: Tensor
    model: Tensor
    thresholds: Tensor
    share: Tensor
    updates: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: FixMatchMultiParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.average: Network | None = None
        if params.ema:
            self.average = Network(make_encoder, task.num_classes)
            self.average.load_state_dict(self.network.state_dict())
            self.average.requires_grad_(False)
        self.momentum = free_momentum(task.epochs * task.steps_per_epoch)
        self.class_from = max(1, task.scaled_epochs(params.class_from, params.class_stated_for))
        start = {"fixed": params.cutoff, "free": 0.5, "class": math.inf}[params.mode]
        self.register_buffer("thresholds", torch.full((2, task.num_classes), start))
        self.register_buffer("time", torch.full((task.num_classes,), 0.5))
        self.register_buffer("model", torch.full((2, task.num_classes), 0.5))
        # Not persistent, since it follows from the labels.
        self.register_buffer("share", torch.full((task.num_classes,), math.nan), persistent=False)
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    @property
    def predictor(self) -> Network:
        """The network that predicts: the moving average where there is one."""
        return self.network if self.average is None else self.average

    def prepare(self, train: TrainView) -> None:
        """Counts the share of positives of each AU among the verified labels."""
        self.share.copy_(positive_frequency(train.labels[train.verified]))

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """In the mode "class", the thresholds from the predictions for all unverified rows, once these are used."""
        if self.params.mode == "class" and epoch >= self.class_from:
            keep = self.params.keep_positive, self.params.keep_negative
            self.thresholds.copy_(class_thresholds(self._unverified_probabilities(train), self.share, *keep))

    @torch.no_grad()
    def _unverified_probabilities(self, train: TrainView) -> Tensor:
        """Probabilities [n, L] of the weak views of all unverified rows."""
        self.predictor.eval()
        found = [torch.zeros(0, self.task.num_classes, device=self.share.device)]
        for batch in train.batches(augment=True):
            images = batch.images[0][~batch.verified]
            if len(images):
                found.append(full_precision(self.predictor(images)).sigmoid())
        self.predictor.train()
        return torch.cat(found)

    def loss(self, batch: Batch) -> Step:
        """Loss of the verified rows' weak views and of the other rows' strong views."""
        params, (weak, strong) = self.params, batch.images
        rows = (~batch.verified).nonzero().squeeze(1)
        logits = full_precision(self.network(torch.cat([weak, strong[rows]])))
        weak_logits = logits[: len(weak)]
        strong_logits = torch.zeros_like(weak_logits).index_copy(0, rows, logits[len(weak) :])
        probabilities = weak_logits.detach().sigmoid()
        if params.mode == "free":
            time, model = free_update(self.time, self.model, probabilities[rows], self.momentum)
            self.time.copy_(time)
            self.model.copy_(model)
            self.thresholds.copy_(free_thresholds(time, model))
        given, argmax = (batch.labels, batch.verified, self.thresholds), params.mode != "class"
        target = fixmatch_targets(weak_logits, *given, argmax)
        loss = fixmatch_multi_loss(weak_logits, strong_logits, *given, params.weight, argmax)
        return Step(loss, probabilities, (target != 0)[None].float(), target[None], self._logs(target[rows]))

    def _logs(self, pseudo: Tensor) -> dict[str, float | Tensor]:
        """The share of entries with a pseudo-label, and of each AU's positives among pseudo- and verified labels."""
        positive = (pseudo > 0).sum(dim=0) / max(1, len(pseudo))
        logs: dict[str, float | Tensor] = {"pseudo_labelled": (pseudo != 0).sum() / max(1, pseudo.numel())}
        for k, name in enumerate(self.task.names):
            logs |= {f"pseudo_positive_{name}": positive[k], f"verified_positive_{name}": self.share[k]}
        return logs

    @torch.no_grad()
    def after_step(self) -> None:
        """Updates the moving average of the parameters, and copies the batch statistics."""
        if self.average is None:
            return
        self.updates += 1
        # min(1 - 1/(updates+1), decay), computed on the device: reading the counter would wait for it at every step.
        kept = (1.0 - 1.0 / (self.updates.double() + 1)).clamp(max=self.params.decay)
        for average, current in zip(self.average.parameters(), self.network.parameters(), strict=True):
            average.mul_(kept).add_(current * (1.0 - kept))
        for statistic, current_statistic in zip(self.average.buffers(), self.network.buffers(), strict=True):
            statistic.copy_(current_statistic)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L] of the moving average, or of the network without one."""
        logits: Tensor = self.predictor(images)
        return logits.sigmoid()
