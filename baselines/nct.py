"""Noisy concurrent training (Sarfraz et al., WACV 2021): networks with independently randomised labels and mimicry."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced
from ..methods.losses import full_precision, softmax_kl

__all__ = ["NCT", "NCTParams", "mimicry_weight", "nct_loss", "target_variability", "variability_rate"]


@dataclass(frozen=True)
class NCTParams:
    """Hyper-parameters of noisy concurrent training."""

    temperature: float = sourced(4.0, "authors' code, train_nct.py:36 (NeurAI-Lab/NCT @53bb93a)")
    maximum: float = sourced(0.9, "authors' code, train_nct.py:37 (NeurAI-Lab/NCT @53bb93a): alpha 0.9")
    phase: float = sourced(5.0, "authors' code, train_nct.py:37-41 (NeurAI-Lab/NCT @53bb93a): phase_shift -5")
    ramp_epochs: int = sourced(20, "authors' code, train_nct.py:37-41 (NeurAI-Lab/NCT @53bb93a): rampup_length 20")
    minimum_variability: float = sourced(0.2, "authors' code, train_nct.py:46 (NeurAI-Lab/NCT @53bb93a): rlc_min")
    maximum_variability: float = sourced(0.7, "authors' code, train_nct.py:47 (NeurAI-Lab/NCT @53bb93a): rlc_max")
    variability_warm_up: int = sourced(
        3, "authors' code, train_nct.py:45 (NeurAI-Lab/NCT @53bb93a): rlc_warmup_period 3"
    )
    stated_for: tuple[int, ...] = sourced(
        (40, 200),
        "authors' code: 200 epochs; unstated: ours, the same epochs for 40, scaled for other lengths of training",
    )


def mimicry_weight(epoch: float, ramp_epochs: int = 20, maximum: float = 0.9, phase: float = 5.0) -> float:
    """Weight of mimicry against supervision: maximum · exp(-phase·(1 - t/L)²), t the epoch clipped to [0, L].

    Args:
        epoch: 0-based.
        ramp_epochs: L, from which on the weight stays at its maximum; 0 for no ramp.
        maximum: α in [0, 1].
        phase: steepness, positive for an increasing weight.

    Returns:
        The weight in [0, maximum].

    Raises:
        ValueError: a negative ramp.

    Source: authors' code, utilities/utils.py:91-98 and train_nct.py:215 (NeurAI-Lab/NCT @53bb93a).
    """
    if ramp_epochs < 0:
        raise ValueError(f"ramp_epochs {ramp_epochs}: must not be negative")
    if ramp_epochs == 0:
        return maximum
    share = min(max(epoch, 0.0), ramp_epochs) / ramp_epochs
    return maximum * math.exp(-phase * (1.0 - share) ** 2)


def variability_rate(epoch: int, epochs: int, minimum: float = 0.2, maximum: float = 0.7, warm_up: int = 3) -> float:
    """Rate of target variability: the minimum up to epoch `warm_up`, then increasing with the logarithm of the epoch.

    minimum + (maximum - minimum)·ln(t - warm_up) / ln(T - warm_up) for warm_up < t < T.

    Args:
        epoch: t, 0-based.
        epochs: T, the epoch at which the maximum would be reached.
        minimum: rate of the first epochs, in [0, 1].
        maximum: largest rate, in [0, 1].
        warm_up: last epoch with the minimum rate.

    Returns:
        The rate in [minimum, maximum].

    Source: authors' code, utilities/utils.py:101-108 (NeurAI-Lab/NCT @53bb93a).
    """
    if epoch <= warm_up:
        return minimum
    if epoch >= epochs:
        return maximum
    return minimum + (maximum - minimum) * math.log(epoch - warm_up) / math.log(epochs - warm_up)


@torch.no_grad()
def target_variability(labels: Tensor, rate: float, num_classes: int, generator: torch.Generator) -> Tensor:
    """Labels of which a random share is replaced by classes drawn uniformly from all classes, the old one included.

    A label thus changes with probability rate·(C-1)/C.

    Args:
        labels: int64 [B].
        rate: probability in [0, 1] that a label is replaced.
        num_classes: C.
        generator: the only source of randomness; the random numbers drawn do not depend on the rate.

    Returns:
        int64 [B]; the input is not modified.

    Source: authors' code, utilities/utils.py:73-87 (NeurAI-Lab/NCT @53bb93a).
    """
    place = generator.device
    chosen = torch.rand(labels.shape, generator=generator, device=place, dtype=torch.float64) < rate
    shift = torch.randint(num_classes, labels.shape, generator=generator, device=place)
    anew = (labels + shift.to(labels.device)) % num_classes
    return torch.where(chosen.to(labels.device), anew, labels)


def nct_loss(
    logits1: Tensor, logits2: Tensor, labels1: Tensor, labels2: Tensor, alpha: float, temperature: float = 4.0
) -> tuple[Tensor, Tensor]:
    """Supervision and mimicry of two peers: (1-α)·CE(z_k, y_k) + α·T²·KL(softmax(z_peer/T) || softmax(z_k/T)).

    Args:
        logits1: float [B, C] of the first network.
        logits2: float [B, C] of the second.
        labels1: int64 [B], labels of the first network.
        labels2: int64 [B], labels of the second.
        alpha: α in [0, 1], weight of mimicry.
        temperature: T > 0.

    Returns:
        (loss1, loss2): scalars, batch means, each with gradient to its own network only; 0 for B = 0.

    Source: authors' code, train_nct.py:203-231 and utilities/losses.py:12-19 (NeurAI-Lab/NCT @53bb93a).
    """
    rows = max(1, len(labels1))

    def one(own: Tensor, peer: Tensor, labels: Tensor) -> Tensor:
        own, peer = full_precision(own), full_precision(peer.detach())
        supervision = F.cross_entropy(own, labels, reduction="sum")
        mimicry = temperature**2 * softmax_kl(peer / temperature, own / temperature).sum()
        return ((1.0 - alpha) * supervision + alpha * mimicry) / rows

    return one(logits1, logits2, labels1), one(logits2, logits1, labels2)


class NCT(Method):
    """Two networks trained on independently randomised labels, with an increasing weight of mutual mimicry.

    Reference: Sarfraz, Arani & Zonooz, "Noisy concurrent training for efficient learning under label noise", WACV 2021;
    code NeurAI-Lab/NCT. Prediction: softmax of the sum of the two networks' logits, as in the authors' evaluation. A
    step reports the randomised labels as the targets each network was trained on.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = NCTParams
    params: NCTParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "no-variability": Variant(
                "labels left as they are", {"minimum_variability": 0.0, "maximum_variability": 0.0}
            ),
            "low-variability": Variant(
                "from 0 to 0.2 of the labels drawn anew", {"minimum_variability": 0.0, "maximum_variability": 0.2}
            ),
        }
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NCTParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.ramp_epochs = task.scaled_epochs(params.ramp_epochs, *params.stated_for)
        self.warm_up = task.scaled_epochs(params.variability_warm_up, *params.stated_for)

    def loss(self, batch: Batch) -> Step:
        """Sum of the two networks' losses, each on its own randomised labels."""
        params, task = self.params, self.task
        rate = variability_rate(
            batch.epoch, task.epochs, params.minimum_variability, params.maximum_variability, self.warm_up
        )
        labels1 = target_variability(batch.labels, rate, task.num_classes, batch.generator)
        labels2 = target_variability(batch.labels, rate, task.num_classes, batch.generator)
        logits1, logits2 = self.network1(batch.images[0]), self.network2(batch.images[0])
        weight = mimicry_weight(batch.epoch, self.ramp_epochs, params.maximum, params.phase)
        loss1, loss2 = nct_loss(logits1, logits2, labels1, labels2, weight, params.temperature)
        return Step(
            loss1 + loss2,
            (logits1.detach() + logits2.detach()).softmax(dim=1),
            target=torch.stack([labels1, labels2]),
            logs={"mimicry": weight, "variability": rate},
        )

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C], of the sum of the two networks' logits."""
        logits: Tensor = self.network1(images) + self.network2(images)
        return logits.softmax(dim=1)
