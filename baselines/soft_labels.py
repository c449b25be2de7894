"""Training on the votes of all annotators (Barsoum et al., ICMI 2016): four ways to make targets of them."""

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
from ..methods.losses import full_precision

__all__ = [
    "SoftLabels",
    "SoftLabelsParams",
    "draw_labels",
    "multi_target_loss",
    "smooth_targets",
    "soft_cross_entropy",
    "vote_targets",
]

Mode = Literal["majority", "distribution", "drawn", "multi-target"]
MODES = ("majority", "distribution", "drawn", "multi-target")
# Authors' code, src/ferplus.py:203-258 (microsoft/FERPlus @ae2128a); the paper (from memory) lacks most of it:
OUTLIER = 1  # a class with so few votes counts as none
MAJORITY = 0.5  # what is kept must have more than this share of the votes
ENOUGH, MOST_CLASSES = 0.75, 3  # a distribution takes no more classes once it has this share, or so many
TARGET = 0.3  # share of the votes that makes a class one of several targets


@dataclass(frozen=True)
class SoftLabelsParams:
    """Hyper-parameters of training on votes."""

    mode: Mode = sourced(
        "distribution",
        "paper (from memory): cross-entropy loss; its other three schemes are variants, and none is tuned here",
    )
    epsilon: float = sourced(
        0.001, "authors' code, src/ferplus.py:182-201 (microsoft/FERPlus @ae2128a): smoothing of several targets"
    )


@torch.no_grad()
def vote_targets(votes: Tensor, mode: str) -> tuple[Tensor, Tensor]:
    """The target of each face by its votes, and whether the authors keep the face.

    In all modes single votes are taken for outliers first. "majority": the class with more than half of the votes.
    "distribution" and "drawn": the classes with most votes, until three quarters of the votes or three classes are
    taken, or the next has not recognised an expression; equal counts are taken together. "multi-target": the classes
    with at least 0.3 of the votes. A face is left out where what is taken has no more than half of the votes, or more
    than three classes of a distribution, or where "unknown" or "not a face" comes first.

    Args:
        votes: int64 [N, C + 2], counts of the classes, of "unknown" and of "not a face".
        mode: "majority", "distribution", "drawn" or "multi-target".

    Returns:
        (target, keep): float64 [N, C], whose rows sum to 1, or are 0 where the face is left out; bool [N].

    Raises:
        ValueError: another mode; votes that are no such matrix.

    Source: authors' code, src/ferplus.py:203-258 (microsoft/FERPlus @ae2128a).
    """
    if mode not in MODES:
        raise ValueError(f"mode {mode!r}: {', '.join(MODES)}")
    if votes.ndim != 2 or votes.shape[1] < 3:
        raise ValueError(f"votes {list(votes.shape)}: expected [faces, classes + 2]")
    votes = torch.where(votes <= OUTLIER, 0, votes)
    total, classes = votes.sum(dim=1).double(), votes.shape[1] - 2  # in float32 a share of 0.3 is a little more
    top, first = votes.max(dim=1)
    if mode == "majority":
        taken = F.one_hot(first, classes + 2).bool() & (top > MAJORITY * total)[:, None]
    elif mode == "multi-target":
        taken = votes >= TARGET * total[:, None]
    else:
        taken = _most_votes(votes, total, classes)
    kept = torch.where(taken, votes, 0)
    keep = (kept.sum(dim=1) > MAJORITY * total) & (first < classes)
    if mode in ("distribution", "drawn"):
        keep &= taken.sum(dim=1) <= MOST_CLASSES
    kept = torch.where(keep[:, None], kept[:, :classes], 0).double()
    return kept / kept.sum(dim=1, keepdim=True).clamp(min=1), keep


def _most_votes(votes: Tensor, total: Tensor, classes: int) -> Tensor:
    """Mask bool [N, C + 2] of the classes that a distribution takes."""
    taken, goes_on = torch.zeros_like(votes, dtype=torch.bool), torch.ones_like(total, dtype=torch.bool)
    for _ in range(MOST_CLASSES):
        goes_on &= torch.where(taken, votes, 0).sum(dim=1) < ENOUGH * total
        goes_on &= taken.sum(dim=1) < MOST_CLASSES
        left = torch.where(taken, 0, votes)
        group = (left == left.amax(dim=1, keepdim=True)) & goes_on[:, None]
        goes_on &= ~group[:, classes:].any(dim=1)
        group[:, classes:] = False
        taken |= group
    return taken


def smooth_targets(target: Tensor, epsilon: float = 0.001) -> Tensor:
    """Several equal targets, and a little of every other class: (1 - ε)·[t > 0] + ε.

    Args:
        target: float [N, C], shares of "multi-target".
        epsilon: ε in [0, 1].

    Returns:
        Float [N, C].

    Source: authors' code, src/ferplus.py:182-201 (microsoft/FERPlus @ae2128a).
    """
    target = full_precision(target)
    return (1 - epsilon) * (target > 0).to(target.dtype) + epsilon


def soft_cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Cross-entropy with a distribution, -Σ_c t_c·log p_c, weighted; mean over all rows.

    Args:
        logits: float [B, C].
        target: float [B, C].
        weight: [B], or None for 1; the divisor stays B.

    Returns:
        Scalar with gradient to the logits; 0 for B = 0.

    Source: authors' code, train.py:34-46 (microsoft/FERPlus @ae2128a); paper, cross-entropy loss (from memory).
    """
    log_p = F.log_softmax(full_precision(logits), dim=1)
    losses = -(target.detach().to(log_p.dtype) * log_p).sum(dim=1)
    if weight is not None:
        losses = losses * weight.detach().to(losses.dtype)
    return losses.sum() / max(1, len(losses))


def multi_target_loss(logits: Tensor, target: Tensor) -> Tensor:
    """The loss of the target that the network finds most probable: -log max_c(t_c·p_c), mean over rows.

    Args:
        logits: float [B, C].
        target: float [B, C] ≥ 0; a class with 0 is never the most probable target.

    Returns:
        Scalar with gradient to the logits of the first such class; 0 for B = 0, infinite for a row without a target.

    Source: authors' code, train.py:34-46 (microsoft/FERPlus @ae2128a); paper, multi-label loss (from memory).
    """
    return _multi_target_losses(logits, target).sum() / max(1, len(logits))


def _multi_target_losses(logits: Tensor, target: Tensor) -> Tensor:
    log_p = F.log_softmax(full_precision(logits), dim=1)
    return -(target.detach().to(log_p.dtype).log() + log_p).max(dim=1).values


@torch.no_grad()
def draw_labels(target: Tensor, generator: torch.Generator) -> Tensor:
    """A class of each row, drawn with the probabilities of its target.

    Args:
        target: float [B, C] ≥ 0; a class with 0 is never drawn.
        generator: the only source of randomness; B·C numbers are drawn whatever the target.

    Returns:
        int64 [B]; 0 for a row of zeros.

    Source: authors' code, src/ferplus.py:182-201 (microsoft/FERPlus @ae2128a); paper, probabilistic label drawing (from
    memory).
    """
    place = generator.device
    uniform = torch.rand(target.shape, generator=generator, device=place, dtype=torch.float64).to(target.device)
    # Of exponential waiting times with rates t_c the shortest is that of class c with probability t_c / Σ t.
    waiting = torch.where(target > 0, -torch.log1p(-uniform) / target.double(), math.inf)
    return waiting.argmin(dim=1)


class SoftLabels(Method):
    """One network trained on the votes of all annotators of a face, where other methods have one label.

    Reference: Barsoum, Zhang, Canton Ferrer & Zhang, "Training deep networks for facial expression recognition with
    crowd-sourced label distribution", ICMI 2016; code microsoft/FERPlus. It sees more than other methods do, some ten
    labels of a face, and so stands apart from them. It trains on the protocol's faces whatever the mode; those that the
    authors leave out get no weight. The variant "drawn" draws a class anew at every visit. Targets are not the shares
    of votes that test probabilities are judged by, of which single votes are a part.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "votes"})
    Params = SoftLabelsParams
    params: SoftLabelsParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "majority": Variant("the class with more than half of the votes", {"mode": "majority"}),
            "drawn": Variant("a class drawn from the votes at every visit", {"mode": "drawn"}),
            "multi-target": Variant("the most probable of several targets", {"mode": "multi-target"}),
        }
    )
    targets: Tensor
    keep: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: SoftLabelsParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        shape = task.train_size, task.num_classes
        self.register_buffer("targets", torch.zeros(shape, dtype=torch.float64), persistent=False)
        self.register_buffer("keep", torch.zeros(shape[0], dtype=torch.bool), persistent=False)

    def prepare(self, train: TrainView) -> None:
        """Makes the targets of all rows from their votes."""
        if train.votes is None:
            raise ValueError("soft labels need the votes of the annotators, and there are none")
        targets, keep = vote_targets(train.votes, self.params.mode)
        self.targets.copy_(targets)
        self.keep.copy_(keep)

    def loss(self, batch: Batch) -> Step:
        """Loss of the rows that are kept, over the number of all."""
        logits = self.network(batch.images[0])
        target, keep = self.targets[batch.index], self.keep[batch.index]
        if self.params.mode == "multi-target":
            losses = _multi_target_losses(logits, smooth_targets(target, self.params.epsilon))
            loss = torch.where(keep, losses, 0.0).sum() / max(1, len(losses))
        else:
            if self.params.mode == "drawn":
                drawn = draw_labels(target, batch.generator)
                target = F.one_hot(drawn, target.shape[1]).to(target.dtype)
            loss = soft_cross_entropy(logits, target, keep)
        return Step(loss, logits.detach().softmax(dim=1), keep[None].float(), target[None])

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
