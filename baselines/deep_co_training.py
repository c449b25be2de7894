"""Deep co-training (Qiao et al., ECCV 2018) for action units: consistent networks, robust to each other's attacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, mean_probabilities, sourced
from ..methods.losses import binary_cross_entropy, full_precision, js_consistency, masked_bce
from .mean_teacher import consistency_ramp

__all__ = ["DeepCoTraining", "DeepCoTrainingParams", "fast_gradient_sign", "view_difference"]


@dataclass(frozen=True)
class DeepCoTrainingParams:
    """Hyper-parameters of deep co-training."""

    agreement_factor: float = sourced(10.0, "λ_cot of AlanChou's code @1b56dc1, which follows the paper")
    difference_factor: float = sourced(0.5, "λ_diff of AlanChou's code @1b56dc1, which follows the paper")
    ramp_epochs: int = sourced(80, "AlanChou's code @1b56dc1, which follows the paper: both factors warm up")
    ramp_stated_for: int = sourced(
        600, "AlanChou's code @1b56dc1: epochs of training; unstated: ours, the ramp scales with the length of training"
    )
    epsilon: float = sourced(0.02, "AlanChou's code @1b56dc1, which follows the paper: ε, images in [0, 1]")
    adversarial: bool = sourced(True, "paper: view difference constraint; off in this project's simplified variant")


def fast_gradient_sign(network: nn.Module, images: Tensor, targets: Tensor, epsilon: float) -> Tensor:
    """Images perturbed by ε times the sign of the gradient of the network's loss, in evaluation mode.

    Args:
        network: maps images [B, 3, H, W] to logits [B, L]; set back to its previous mode afterwards.
        images: float [B, 3, H, W].
        targets: [B, L] in {-1, +1}; entries of 0 are ignored.
        epsilon: size of the perturbation of each value; the result is not clamped.

    Returns:
        Float [B, 3, H, W] without gradient; the network's parameters receive none either.

    Source: the paper's attack, Goodfellow et al., ICLR 2015; evaluation mode and no clamp as in AlanChou @1b56dc1.
    """
    training = network.training
    network.eval()
    with torch.enable_grad():
        leaf = images.detach().clone().requires_grad_(True)
        losses = binary_cross_entropy(network(leaf), targets > 0) * (targets != 0)
        # A sum, since the division of a mean could round a small gradient to zero.
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    network.train(training)
    return images.detach() + epsilon * gradient.sign()


def view_difference(logits1: Tensor, logits2: Tensor, attacked1: Tensor, attacked2: Tensor) -> Tensor:
    """Cross-entropy of each network's predictions on the other's adversarial images with the other's on the originals.

    H(p2(x), p1(adv2(x))) + H(p1(x), p2(adv1(x))), each a mean over rows and AUs.

    Args:
        logits1: float [N, L], first network on its images.
        logits2: float [N, L], second network on its images.
        attacked1: float [N, L], first network on the images adversarial to the second.
        attacked2: float [N, L], second network on the images adversarial to the first.

    Returns:
        Scalar with gradient to all four: the targets are not detached; 0 for no rows.

    Source: the paper's view difference constraint, with a sigmoid for each AU in place of the softmax; not detached, as
    in AlanChou @1b56dc1.
    """
    first = binary_cross_entropy(attacked1, full_precision(logits2).sigmoid())
    second = binary_cross_entropy(attacked2, full_precision(logits1).sigmoid())
    return (first + second).sum() / max(1, first.numel())


class DeepCoTraining(Method):
    """Two networks supervised on verified rows, consistent on the others, robust to each other's adversarial images.

    Reference: Qiao, Shen, Zhang, Wang & Yuille, "Deep co-training for semi-supervised image recognition", ECCV 2018;
    constants and details as in AlanChou/Deep-Co-Training-for-Semi-Supervised-Image-Recognition, not the authors' code.
    The multi-label form is this project's own: a sigmoid for each AU replaces every softmax, and each loss is a mean
    over AUs, which keeps the balance of the losses. Labels of unverified rows are not used. Instead of separate
    labelled batches, the networks get different views of the verified rows; of the other rows they get the same view,
    on which their predictions are compared. Adversarial images attack the known verified labels, and otherwise the
    network's own decisions. The factors increase with the 1-based epoch. A batch without a known verified label is
    skipped, since any constant prediction minimises the agreement loss. Prediction: mean of the two networks'
    probabilities.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi", "verified"})
    views = 2
    Params = DeepCoTrainingParams
    params: DeepCoTrainingParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {"simplified": Variant("without adversarial examples", {"adversarial": False})}
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: DeepCoTrainingParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network1 = Network(make_encoder, task.num_classes, peer=0)
        self.network2 = Network(make_encoder, task.num_classes, peer=1)
        self.ramp_epochs = task.scaled_epochs(params.ramp_epochs, params.ramp_stated_for)

    def loss(self, batch: Batch) -> Step:
        """The loss: supervision (summed over the networks) + ramp · (λ_cot · agreement + λ_diff · difference)."""
        params, clean = self.params, batch.verified
        weight = (clean[:, None] & (batch.labels != 0)).float().expand(2, -1, -1)
        if not bool(weight.any()):
            return Step(loss=None, weight=weight)
        images1 = batch.images[0]
        images2 = torch.where(clean[:, None, None, None], batch.images[1], images1)
        logits1, logits2 = self.network1(images1), self.network2(images2)
        # row numbers: a mask would count its rows on the device at every use
        verified, others = clean.nonzero()[:, 0], (~clean).nonzero()[:, 0]
        labels = batch.labels[verified]
        supervision = masked_bce(logits1[verified], labels) + masked_bce(logits2[verified], labels)
        agreement = js_consistency(logits1[others], logits2[others])
        difference = torch.zeros_like(agreement)
        if params.adversarial:
            attacked1 = self.network1(self._adversarial(self.network2, images2, logits2, batch))
            attacked2 = self.network2(self._adversarial(self.network1, images1, logits1, batch))
            difference = view_difference(logits1, logits2, attacked1, attacked2)
        ramp = consistency_ramp(batch.epoch + 1, self.ramp_epochs)
        loss = supervision + ramp * (params.agreement_factor * agreement + params.difference_factor * difference)
        parts = {"clean_loss": supervision, "agreement": agreement, "difference": difference}
        logs: dict[str, float | Tensor] = {name: part.detach() for name, part in parts.items()}
        logs["ramp"] = ramp
        return Step(loss, mean_probabilities(logits1.detach(), logits2.detach(), "multi"), weight, logs=logs)

    def _adversarial(self, network: Network, images: Tensor, logits: Tensor, batch: Batch) -> Tensor:
        """Adversarial images for the known verified labels, and otherwise for the network's own decisions."""
        labelled = batch.verified[:, None] & (batch.labels != 0)
        targets = torch.where(labelled, batch.labels, torch.where(logits.detach() >= 0, 1, -1))
        return fast_gradient_sign(network, images, targets, self.params.epsilon)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L], the mean of the two networks'."""
        return mean_probabilities(self.network1(images), self.network2(images), "multi")
