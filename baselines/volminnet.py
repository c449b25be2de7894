"""VolMinNet (Li et al., ICML 2021): a classifier and a transition matrix of least volume are learnt together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..methods.base import Batch, MakeEncoder, Method, Network, ParameterGroup, Step, Task, sourced
from ..methods.losses import full_precision
from .forward_correction import forward_corrected_cross_entropy

__all__ = ["VolMinNet", "VolMinNetParams", "learnt_transition", "volmin_loss", "volume"]


@dataclass(frozen=True)
class VolMinNetParams:
    """Hyper-parameters of VolMinNet."""

    start: float = sourced(
        -2.0,
        "authors' code, models.py:149-169, main.py:71,84 "
        "(xuefeng-li1/Provably-end-to-end-label-noise-learning-without-anchor-points @06e4167): of ten classes",
    )
    volume_weight: float = sourced(1e-4, "authors' code, main.py:24: lam")
    learning_rate: float = sourced(0.01, "authors' code, main.py:52-58,84-96: of the transition, without weight decay")


def learnt_transition(raw: Tensor) -> Tensor:
    """The transition matrix of unbounded parameters: rows of I + σ(raw) off the diagonal, divided by their sums.

    Args:
        raw: float [C, C]; its diagonal has no effect.

    Returns:
        T [C, C] with gradient, T[i, j] = P(given j | reference i); the diagonal is the largest entry of each row.

    Source: authors' code, models.py:149-169.
    """
    identity = torch.eye(len(raw), dtype=full_precision(raw).dtype, device=raw.device)
    parts = identity + full_precision(raw).sigmoid() * (1 - identity)
    return parts / parts.sum(dim=1, keepdim=True)


def volume(transition: Tensor) -> Tensor:
    """log |det T|, a scalar with gradient: the volume of the simplex of T's rows, up to a constant.

    Source: authors' code, main.py:169-178, by slogdet.
    """
    return torch.linalg.slogdet(full_precision(transition)).logabsdet  # type: ignore[no-any-return]


def volmin_loss(logits: Tensor, labels: Tensor, transition: Tensor, weight: float = 1e-4) -> Tensor:
    """Forward-corrected cross-entropy plus weight·log |det T|.

    Args:
        logits: float [B, C] of the reference labels.
        labels: int64 [B], given.
        transition: T [C, C], not singular.
        weight: λ.

    Returns:
        Scalar with gradient to the logits and to T; 0 for B = 0, the volume left out.

    Source: authors' code, main.py:169-178, in log space; paper eq. (4) (from memory).
    """
    corrected = forward_corrected_cross_entropy(logits, labels, transition)
    return corrected + weight * volume(transition).to(corrected.dtype) if len(labels) else corrected


class VolMinNet(Method):
    """One network and a transition matrix, both fitted to the given labels, the matrix drawn to the least volume.

    Reference: Li, Liu, Han, Niu & Sugiyama, "Provably end-to-end label-noise learning without anchor points", ICML
    2021; code xuefeng-li1/Provably-end-to-end-label-noise-learning-without-anchor-points. The matrix starts at a noise
    rate of 42 % on seven classes and has its own learning rate, so that a training of few steps leaves it near its
    start. The authors report the epoch of lowest loss on noisy validation rows. Prediction: the network's own
    probability of the reference label.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = VolMinNetParams
    params: VolMinNetParams
    transition: Tensor

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: VolMinNetParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.raw = nn.Parameter(torch.full((task.num_classes, task.num_classes), params.start))
        self.register_buffer("transition", learnt_transition(self.raw.detach().double()))

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """The matrix has its own learning rate and no weight decay."""
        return (ParameterGroup((self.raw,), self.params.learning_rate),)

    def loss(self, batch: Batch) -> Step:
        """Corrected cross-entropy of all rows and the volume of the matrix."""
        logits = self.network(batch.images[0])
        transition = learnt_transition(self.raw)
        loss = volmin_loss(logits, batch.labels, transition, self.params.volume_weight)
        weight = torch.ones_like(batch.labels, dtype=torch.float32)[None]
        diagonal = transition.detach().diagonal()
        logs = {
            "mean_diagonal": diagonal.mean(),
            "smallest_diagonal": diagonal.min(),
            "largest_diagonal": diagonal.max(),
            "volume": volume(transition.detach()),
        }
        return Step(loss, logits.detach().softmax(dim=1), weight, logs=logs)

    @torch.no_grad()
    def after_step(self) -> None:
        """Keeps the matrix for the audit."""
        self.transition.copy_(learnt_transition(self.raw.double()))

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of the reference labels, not of the given ones."""
        logits: Tensor = self.network(images)
        return logits.softmax(dim=1)
