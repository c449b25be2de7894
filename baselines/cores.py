"""CORES² (Cheng et al., ICLR 2021): a loss that rewards confidence, by which rows of wrong labels are sieved out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, TrainView, Variant, sourced
from ..methods.losses import full_precision

__all__ = ["CORES", "CORESParams", "cores_beta", "cores_loss", "remaining_prior"]

FLOOR = 1e-8  # authors' code, loss.py:27-38: added to probabilities, so that confidence is not rewarded without bound


@dataclass(frozen=True)
class CORESParams:
    """Hyper-parameters of CORES²."""

    start: int = sourced(10, "authors' code, loss.py:56-62 (UCSC-REAL/cores @cf0945e): first epoch of the ramp of β")
    ramp: int = sourced(30, "authors' code, loss.py:56-62: epochs of the ramp")
    sieve: int = sourced(31, "authors' code, loss.py:44: first epoch of the sieve, 0-based")
    stated_for: int = sourced(100, "authors' code, phase1.py: epochs")
    maximum: float = sourced(2.0, "authors' code, loss.py:56-62: β")
    divide: bool = sourced(
        False, "authors' code, phase1.py:45-47, divides the learning rate by 1 + β: of no effect on Adam, so left out"
    )


def cores_beta(epoch: int, start: int = 10, ramp: int = 30, maximum: float = 2.0) -> float:
    """Weight β of the confidence regularisation: 0 before `start`, `ramp` equally spaced values from 0 to `maximum`.

    Args:
        epoch: 0-based.
        start: first epoch of the ramp.
        ramp: its epochs, both ends included; 1 or less: a jump to the maximum.
        maximum: β afterwards.

    Source: authors' code, loss.py:56-62 (UCSC-REAL/cores @cf0945e).
    """
    if epoch < start:
        return 0.0
    return maximum * min(1.0, (epoch - start) / (ramp - 1)) if ramp > 1 else maximum


def cores_loss(logits: Tensor, labels: Tensor, prior: Tensor, beta: float, sieve: bool) -> tuple[Tensor, Tensor]:
    """Mean over the kept rows of CE - β·Σ_c π_c ℓ_c, with ℓ_c = -log(p_c + 1e-8).

    A row is kept whose cross-entropy is at most the mean of ℓ over the classes, whatever π and β.

    Args:
        logits: float [B, C].
        labels: int64 [B].
        prior: π [C], shares of the labels.
        beta: β ≥ 0.
        sieve: False keeps all rows.

    Returns:
        (loss, keep): a scalar with gradient, negative by design for confident predictions, 0 where no row is kept; bool
        [B].

    Source: authors' code, loss.py:27-48 (UCSC-REAL/cores @cf0945e); paper eqs. (3)-(5) (from memory).
    """
    log_p = F.log_softmax(full_precision(logits), dim=1)
    cross_entropy = -log_p.gather(1, labels[:, None]).squeeze(1)
    each = -(log_p.exp() + FLOOR).log()
    losses = cross_entropy - beta * (each * prior.detach().to(each.dtype)).sum(dim=1)
    keep = cross_entropy.detach() <= each.detach().mean(dim=1)
    keep = keep if sieve else torch.ones_like(keep)
    return torch.where(keep, losses, 0.0).sum() / keep.sum().clamp(min=1), keep


def remaining_prior(counts: Tensor, sieved: Tensor) -> Tensor:
    """Shares of the labels that are left: counts minus those sieved out, divided by their sum.

    Args:
        counts: [C] labels of each class in the training set.
        sieved: [C] of those, sieved out in the last epoch.

    Returns:
        float64 [C]; 0 for a class that is sieved out, and for all where nothing is left.

    Source: authors' code, phase1.py:83-96,106-108,205-212 (UCSC-REAL/cores @cf0945e).
    """
    # a sampler that draws rows again can count more than there are
    left = (counts.double() - sieved.double()).clamp(min=0)
    total = left.sum()
    return left / torch.where(total > 0, total, 1.0)


class CORES(Method):
    """One network trained with confidence regularisation; late in training rows of large loss are sieved out.

    Reference: Cheng, Zhu, Li, Gong, Sun & Liu, "Learning with instance-dependent label noise: a sample sieve approach",
    ICLR 2021; code UCSC-REAL/cores. The first of its two phases; the second trains anew, with the sieved rows as
    unlabelled ones. Every row is judged anew in every step. The regularisation is weighted by the shares of the given
    labels that were not sieved out in the epoch before. The loss falls far below 0, so cross-entropy is logged too.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = CORESParams
    params: CORESParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"divided": Variant("loss divided by 1 + β, for the native recipe, whose rate is divided so", {"divide": True})}
    )
    prior: Tensor
    sieved: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: CORESParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.register_buffer("prior", task.frequency.double().clone())
        self.register_buffer("sieved", torch.zeros(task.num_classes, dtype=torch.float64))
        numbers = params.start, params.ramp, params.sieve
        self.start, self.ramp, self.sieve = (task.scaled_epochs(each, params.stated_for) for each in numbers)

    def begin_epoch(self, epoch: int, train: TrainView) -> None:
        """Takes the labels that were sieved out in the epoch before from the prior of this one."""
        if epoch > 0:
            counts = _counts(train.labels, torch.ones_like(train.labels, dtype=torch.bool), len(self.prior))
            self.prior.copy_(remaining_prior(counts, self.sieved))
            self.sieved.zero_()

    def loss(self, batch: Batch) -> Step:
        """Regularised loss of the rows that are kept; no update where none is."""
        params, labels = self.params, batch.labels
        logits = self.network(batch.images[0])
        beta = cores_beta(batch.epoch, self.start, self.ramp, params.maximum)
        loss, keep = cores_loss(logits, labels, self.prior, beta, batch.epoch >= self.sieve)
        self.sieved += _counts(labels, ~keep, len(self.sieved))
        scores = full_precision(logits.detach())
        logs: dict[str, float | Tensor] = {
            "beta": beta,
            "kept": keep.sum() / max(1, len(keep)),
            "cross_entropy": F.cross_entropy(scores, labels, reduction="sum") / max(1, len(labels)),
        }
        if params.divide:
            loss = loss / (1.0 + beta)
        return Step(loss if bool(keep.any()) else None, scores.softmax(dim=1), keep[None].float(), logs=logs)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)


def _counts(labels: Tensor, rows: Tensor, classes: int) -> Tensor:
    """Number of labels of each class among some rows: int64 [C]."""
    member = labels[:, None] == torch.arange(classes, device=labels.device)
    return (member & rows[:, None]).sum(dim=0)
