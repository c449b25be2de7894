"""Co-curing: two networks shift from supervision to mutual mimicry and relabel samples whose label both reject."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, mean_probabilities, sourced
from .losses import full_precision, softmax_kl
from .selection import write_rows


@dataclass(frozen=True)
class CoCuringParams:
    """Hyper-parameters of Co-curing."""

    maximum: float = sourced(0.9, "paper §4.2: λ_max")
    beta: float = sourced(0.65, "paper §3.2.1, §4.2")
    ramp_share: float = sourced(
        0.9, "authors' code, loss.py:19 (1980x/Cocuring @6fba212): t_r = 0.9·max_epochs; not in the paper"
    )
    margin: float = sourced(0.7, "authors' code, main_rafdb.py:87 (1980x/Cocuring @6fba212): δ; not in the paper")
    warm_up: int = sourced(
        10, "unstated: ours, SCN's value; the default of the authors' code (40 of 40 epochs) never relabels"
    )
    warm_up_stated_for: int = sourced(40, "authors' code, main_rafdb.py:51: n_epoch 40; not in the paper")
    relabel: bool = sourced(True, "paper §3.2.2; off in Tables 2 and 3, 'No relabeling'")
    relabel_reference: Literal["current", "original"] = sourced(
        "current", "authors' code, noiserobustfer.py:193,204-207: changed labels persist; eq. (4) has the given label"
    )
    reverse_kl: bool = sourced(False, "paper eqs. (1)-(2): KL(peer || own); authors' code, loss.py:26, has the reverse")
    scale: float = sourced(1.0, "paper eqs. (1)-(2); authors' code, loss.py:24,26, halves both terms")


def balance(epoch: float, ramp_epochs: float, maximum: float = 0.9, beta: float = 0.65) -> float:
    """Weight of mimicry against supervision: maximum · exp(-β (1 - epoch/ramp_epochs)²).

    Args:
        epoch: 0-based.
        ramp_epochs: t_r > 0, the epoch of the largest weight; it decreases afterwards, as in the authors' code.
        maximum: λ_max in [0, 1].
        beta: steepness; 0 gives a constant weight.

    Returns:
        λ in [0, maximum].

    Raises:
        ValueError: ramp_epochs not positive.

    Source: paper eq. (3).
    """
    if ramp_epochs <= 0:
        raise ValueError(f"ramp_epochs {ramp_epochs}: must be positive")
    return maximum * math.exp(-beta * (1.0 - epoch / ramp_epochs) ** 2)


def cocuring_loss(
    logits1: Tensor, logits2: Tensor, labels: Tensor, weight: float, *, reverse_kl: bool = False, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Supervision and mimicry of two peers: (1-λ)·CE(p_k, y) + λ·KL(p_peer || p_k), batch means.

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels: int64 [B], current labels.
        weight: λ in [0, 1].
        reverse_kl: KL(p_k || p_peer), the direction of the authors' code.
        scale: factor of both terms; 0.5 in the authors' code.

    Returns:
        (loss1, loss2): scalars, each with gradient to its own logits only (the peer's are detached, so that their sum
        gives the same update as separate backward passes); 0 for B = 0.

    Source: paper eqs. (1)-(2).
    """
    rows = max(1, len(labels))

    def one(own: Tensor, peer: Tensor) -> Tensor:
        peer = peer.detach()
        supervision = F.cross_entropy(full_precision(own), labels, reduction="sum")
        mimicry = (softmax_kl(own, peer) if reverse_kl else softmax_kl(peer, own)).sum()
        return scale * ((1.0 - weight) * supervision + weight * mimicry) / rows

    return one(logits1, logits2), one(logits2, logits1)


@torch.no_grad()
def joint_relabel(logits1: Tensor, logits2: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The class both networks predict, where both prefer it to the label by more than a margin; else the label.

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels: int64 [B], the labels to keep or replace.
        margin: δ; a label is replaced where p_max > p_label + δ holds in both networks.

    Returns:
        int64 [B], no gradient.

    Source: paper eq. (4); the authors' code does not require the two predictions to agree.
    """
    p1, p2 = full_precision(logits1).softmax(dim=1), full_precision(logits2).softmax(dim=1)
    top1, class1 = p1.max(dim=1)
    top2, class2 = p2.max(dim=1)
    given1 = p1.gather(1, labels[:, None]).squeeze(1)
    given2 = p2.gather(1, labels[:, None]).squeeze(1)
    doubted = (top1 > given1 + margin) & (top2 > given2 + margin) & (class1 == class2)
    return torch.where(doubted, class1, labels)


class CoCuring(Method):
    """Two networks with an epoch-dependent balance of cross-entropy and mimicry, and permanent joint relabelling.

    Reference: Gera & Balasubramanian, "Co-curing noisy annotations for facial expression recognition", 2021; code
    1980x/Cocuring. Relabelling starts at epoch `warm_up` (0-based), uses the training-mode logits computed before the
    step's update, and takes effect the next time the sample is in a batch. Prediction: mean of the two networks'
    probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = CoCuringParams
    params: CoCuringParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "no-relabel": Variant("without relabelling (Tables 2 and 3)", {"relabel": False}),
            "original": Variant(
                "doubts the given label again at every draw (eq. 4)", {"relabel_reference": "original"}
            ),
            "reverse-kl": Variant("KL(own || peer), as in the authors' code", {"reverse_kl": True}),
            "half-scale": Variant("both terms halved, as in the authors' code", {"scale": 0.5}),
            "beta-0": Variant("β = 0: mimicry throughout (Fig. 6)", {"beta": 0.0}),
            "beta-0.25": Variant("β = 0.25 (Fig. 6)", {"beta": 0.25}),
            "beta-1": Variant("β = 1 (Fig. 6)", {"beta": 1.0}),
            "beta-6": Variant("β = 6: supervision for long (Fig. 6)", {"beta": 6.0}),
        }
    )
    memory: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CoCuringParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.register_buffer("memory", torch.zeros(task.train_size, dtype=torch.int64))
        self.warm_up = task.scaled_epochs(params.warm_up, params.warm_up_stated_for)

    def prepare(self, train: TrainView) -> None:
        """Initialise the label memory with the given labels."""
        self.memory.copy_(train.labels)

    def loss(self, batch: Batch) -> Step:
        """Loss on the current labels in memory; then updates the memory for the sample's next batch."""
        params = self.params
        labels = self.memory[batch.index]
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        weight = balance(batch.epoch, params.ramp_share * self.task.epochs, params.maximum, params.beta)
        loss1, loss2 = cocuring_loss(logits1, logits2, labels, weight, reverse_kl=params.reverse_kl, scale=params.scale)
        logs: dict[str, float | Tensor] = {"balance": weight, "relabelled": 0.0}
        if params.relabel and batch.epoch >= self.warm_up:
            doubted = labels if params.relabel_reference == "current" else batch.labels
            renewed = joint_relabel(logits1, logits2, doubted, params.margin)
            write_rows(self.memory, batch.index, renewed)
            logs["relabelled"] = (renewed != labels).sum().float()
        return Step(
            loss1 + loss2,
            mean_probabilities(logits1.detach(), logits2.detach(), "single"),
            target=labels.expand(2, -1),
            logs=logs,
        )

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "single")
