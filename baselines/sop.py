"""SOP (Liu et al., ICML 2022): every training label has an error of its own, which is learnt beside the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from ..methods.losses import full_precision, softmax_kl
from ..methods.selection import write_rows

__all__ = ["SOP", "SOPParams", "descend", "sop_loss", "sop_plus_loss"]

LOWEST = 1e-4  # authors' code, model/loss.py (shengliu66/SOP @4d991ce): lowest probability of the cross-entropy
CODE = "authors' code, config_cifar100.json (shengliu66/SOP @4d991ce)"


@dataclass(frozen=True)
class SOPParams:
    """Hyper-parameters of SOP."""

    rate_u: float = sourced(
        10.0, "unstated: ours, as two reproductions on CIFAR-10N, which has 10 classes; authors' CIFAR-100 config has 1"
    )
    rate_v: float = sourced(10.0, f"{CODE}: lr_v 10")
    rate_batch: int = sourced(
        128, f"{CODE}: batch size of the rates; they grow with the batch, since a row's gradient is divided by its size"
    )
    deviation: float = sourced(1e-8, f"{CODE}: standard deviation of the initial u and v")
    balance: float = sourced(0.0, f"{CODE}: ratio_balance, 0.1 in SOP+ (variant plus)")
    consistency: float = sourced(0.0, f"{CODE}: ratio_consistency, 0.9 in SOP+ (variant plus)")


def _label_errors(labels: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One-hot labels Y and the two parts of their error, U = u² on the given class and V = v² elsewhere: [B, C]."""
    v = full_precision(v)
    one_hot = F.one_hot(labels, v.shape[1]).to(v.dtype)
    return one_hot, (full_precision(u).square() * one_hot).clamp(0, 1), (v.square() * (1 - one_hot)).clamp(0, 1)


def _explained(logits: Tensor, on: Tensor, off: Tensor) -> Tensor:
    """Probabilities of the given labels, errors included: [B, C] in [LOWEST, 1], no gradient to `off`."""
    q = (full_precision(logits).softmax(dim=1) + on - off.detach()).clamp(min=LOWEST)
    return (q / q.sum(dim=1, keepdim=True)).clamp(LOWEST, 1)


def sop_loss(logits: Tensor, labels: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """Cross-entropy of softmax + U - V, normalised, plus squared error of argmax + U - V; both against the label.

    The cross-entropy trains the network and u, the squared error u and v: V is detached in the first, the prediction in
    the second.

    Args:
        logits: float [B, C].
        labels: int64 [B].
        u: float [B, 1]; U = min(u², 1) on the given class.
        v: float [B, C]; V = min(v², 1) on the other classes.

    Returns:
        Scalar with gradient to logits, u and v, sums over classes, mean over rows; 0 for B = 0.

    Source: authors' code, model/loss.py:45-99 (shengliu66/SOP @4d991ce).
    """
    one_hot, on, off = _label_errors(labels, u, v)
    cross_entropy = -_explained(logits, on, off).gather(1, labels[:, None]).log().sum()
    predicted = F.one_hot(full_precision(logits).argmax(dim=1), v.shape[1])
    squared = (predicted + on - off - one_hot).square().sum()
    return (cross_entropy + squared) / max(1, len(labels))


def sop_plus_loss(
    logits1: Tensor,
    logits2: Tensor,
    labels: Tensor,
    u: Tensor,
    v: Tensor,
    balance: float = 0.1,
    consistency: float = 0.9,
) -> Tensor:
    """`sop_loss` of the first view, plus a term for balanced predictions and one for consistency of the second view.

    Args:
        logits1: float [B, C] of the weakly augmented view.
        logits2: float [B, C] of the strongly augmented view.
        labels: int64 [B].
        u: float [B, 1].
        v: float [B, C].
        balance: weight of the cross-entropy between the uniform distribution and the batch's mean prediction, errors of
            the labels included.
        consistency: weight of KL(p1 || p2), mean over rows, whose gradient reaches the second view only.

    Returns:
        Scalar with gradient; 0 for B = 0.

    Source: authors' code, model/loss.py:45-127 (shengliu66/SOP @4d991ce).
    """
    loss = sop_loss(logits1, labels, u, v)
    if len(labels) == 0:
        return loss
    _, on, off = _label_errors(labels, u, v)
    mean = _explained(logits1, on, off).mean(dim=0).clamp(LOWEST, 1)
    return loss - balance * mean.log().mean() + consistency * softmax_kl(logits1.detach(), logits2).mean()


@torch.no_grad()
def descend(values: Tensor, index: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """A step of plain gradient descent on some rows of a per-sample memory.

    Args:
        values: float [N, K], not modified.
        index: int64 [B], rows of `values`; of a row that occurs twice both gradients count.
        gradient: float [B, K].
        rate: learning rate.

    Returns:
        Float [N, K], no gradient.
    """
    values, gradient = full_precision(values.detach()).clone(), full_precision(gradient)
    # Repeats are added up in row order: index_add has no fixed order on a GPU, and a matrix product may round there.
    same = (index[:, None] == index)[:, :, None]
    total = torch.where(same, gradient, 0.0).sum(dim=1)
    write_rows(values, index, values[index] - rate * total)
    return values


class SOP(Method):
    """One network, and for each training row a sparse error of its label, over-parameterised as u² and v².

    Reference: Liu, Zhu, Qu & You, "Robust training under label noise by over-parameterization", ICML 2022; code
    shengliu66/SOP. u and v start near 0, so that their squares grow from almost nothing, fastest for rows whose label
    the network does not predict. They learn by plain gradient descent of a constant rate, apart from the network's
    optimiser: momentum or normalised steps would move rows outside the batch and undo the dependence on size. At these
    rates u takes some 20 visits of a row to reach 1, so that a training of under 15 epochs is little more than
    cross-entropy. SOP+ (variant plus) has a second view, strongly augmented as the protocol's recipe says; the authors'
    own is AutoAugment with cutout. Prediction: the network's, without u and v.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = SOPParams
    params: SOPParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "plus": Variant(
                "SOP+: with class balance, and consistency with a strong view", {"balance": 0.1, "consistency": 0.9}
            )
        }
    )
    u: Tensor
    v: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: SOPParams) -> None:
        super().__init__(task, make_encoder, params)
        self.views = ("weak", "strong") if params.consistency else 1
        self.network = Network(make_encoder, task.num_classes)
        # After the network, whose initial weights are so those of every method.
        self.register_buffer("u", params.deviation * torch.randn(task.train_size, 1))
        self.register_buffer("v", params.deviation * torch.randn(task.train_size, task.num_classes))
        self._leaves: tuple[Tensor, Tensor, Tensor] | None = None  # index, u and v of a batch until they are updated

    def loss(self, batch: Batch) -> Step:
        """Loss of all rows; the step's targets are what their labels are taken for, errors taken away."""
        params, labels = self.params, batch.labels
        u = self.u[batch.index].requires_grad_()
        v = self.v[batch.index].requires_grad_()
        self._leaves = batch.index, u, v
        views = self.network(torch.cat(batch.images)).chunk(len(batch.images))
        loss = sop_plus_loss(views[0], views[-1], labels, u, v, params.balance, params.consistency)
        with torch.no_grad():
            one_hot, on, off = _label_errors(labels, u, v)
            target = (one_hot - on + off).clamp(min=0)
            target = target / target.sum(dim=1, keepdim=True).clamp(min=torch.finfo(target.dtype).tiny)
            error = on.sum(dim=1)
        logs: dict[str, float | Tensor] = {
            "label_error": error.mean(),
            "taken_for_wrong": (error > 0.5).double().mean(),
        }
        weight = torch.ones_like(labels, dtype=torch.float32)[None]
        return Step(loss, views[0].detach().softmax(dim=1), weight, target[None], logs)

    def after_step(self) -> None:
        """Gradient descent on the u and v of the batch's rows."""
        if self._leaves is None:
            return
        index, u, v = self._leaves
        self._leaves = None
        share = len(index) / self.params.rate_batch
        if u.grad is not None and v.grad is not None:
            self.u = descend(self.u, index, u.grad, self.params.rate_u * share)
            self.v = descend(self.v, index, v.grad, self.params.rate_v * share)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
