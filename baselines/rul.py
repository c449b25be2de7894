"""RUL, relative uncertainty learning (Zhang et al., NeurIPS 2021): features are mixed by relative uncertainty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..methods.base import Batch, MakeEncoder, Method, Step, Task, sourced
from ..methods.losses import full_precision, label_loss

__all__ = ["RUL", "RULParams", "add_up_loss", "mix_features", "relative_share", "scaled_dropout"]

NORM_EPSILON = 2e-5  # authors' code, src/rul.py: epsilon of every batch normalisation in the branches


@dataclass(frozen=True)
class RULParams:
    """Hyper-parameters of RUL."""

    dimensions: int = sourced(
        64, "authors' code, src/main.py, src/rul.py (zyh-uaiaaaa/Relative-Uncertainty-Learning @63b73f2)"
    )
    drop_rate: float = sourced(0.4, "authors' code, src/rul.py: dropout before each branch's linear layer")
    map_side: int = sourced(
        7, "authors' code, src/rul.py: 7x7 maps of 224 px images; maps of other sizes are pooled to 7x7, unstated: ours"
    )


def relative_share(log_variance: Tensor, partner: Tensor) -> Tensor:
    """Weight of a sample's feature when mixed with its partner's: its share of the sum of their uncertainties.

    The uncertainty of a sample is the mean of exp(log variance) over the dimensions of the feature.

    Args:
        log_variance: float [B, D].
        partner: int64 [B], the row that each row is mixed with.

    Returns:
        Float [B, 1] in (0, 1) with gradient; the partner's share is one minus it.

    Source: authors' code, src/utils.py, src/rul.py.
    """
    # The ratio is computed from logarithms, so that exp(log variance) can neither overflow nor underflow.
    uncertainty = full_precision(log_variance).logsumexp(dim=1, keepdim=True)
    return (uncertainty - uncertainty[partner]).sigmoid()


def mix_features(features: Tensor, share: Tensor, partner: Tensor) -> Tensor:
    """Features mixed with those of a partner row: share · own + (1 - share) · partner's.

    Args:
        features: float [B, D].
        share: float [B, 1].
        partner: int64 [B].

    Returns:
        Float [B, D] with gradient to both.
    """
    return share * features + (1 - share) * features[partner]


def add_up_loss(logits: Tensor, labels: Tensor, partner: Tensor) -> Tensor:
    """Cross-entropy of mixed features with both labels, weighted one half each whatever the shares.

    Args:
        logits: float [B, C] of the mixed features.
        labels: int64 [B].
        partner: int64 [B].

    Returns:
        Scalar with gradient; 0 for B = 0.

    Source: authors' code, src/utils.py.
    """
    return 0.5 * label_loss(logits, labels, "single") + 0.5 * label_loss(logits, labels[partner], "single")


def scaled_dropout(features: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Dropout with an explicit generator: entries are set to zero at a rate, the others divided by 1 - rate.

    Args:
        features: float, any shape.
        rate: in [0, 1).
        generator: the only source of randomness.

    Returns:
        A tensor like `features`, with gradient.
    """
    noise = torch.rand(features.shape, generator=generator, device=generator.device)
    return features * (noise.to(features.device) >= rate) / (1.0 - rate)


class Branch(nn.Module):
    """Maps feature maps to a vector: normalisation, dropout, flattening, a linear layer, normalisation."""

    def __init__(self, channels: int, params: RULParams) -> None:
        super().__init__()
        self.side, self.drop_rate = params.map_side, params.drop_rate
        self.norm = nn.BatchNorm2d(channels, eps=NORM_EPSILON, affine=False)
        self.linear = nn.Linear(channels * params.map_side**2, params.dimensions)
        self.out_norm = nn.BatchNorm1d(params.dimensions, eps=NORM_EPSILON)

    def forward(self, maps: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Vectors [B, dimensions] of maps [B, channels, h, w]; with dropout only if a generator is given."""
        maps = self.norm(F.adaptive_avg_pool2d(maps, self.side))
        if generator is not None:
            maps = scaled_dropout(maps, self.drop_rate, generator)
        vectors: Tensor = self.out_norm(self.linear(maps.flatten(1)))
        return vectors


class RUL(Method):
    """Features of two samples are mixed by their relative uncertainty and trained to predict both labels.

    Reference: Zhang, Wang & Deng, "Relative uncertainty learning for facial expression recognition", NeurIPS 2021; code
    zyh-uaiaaaa/Relative-Uncertainty-Learning. One branch computes the feature, the other its log variance; uncertainty
    is learnt through the gradient of the mixing weights. Prediction uses the unmixed feature. Both branches are trained
    with the protocol's learning rate of the head, which the authors use for the classifier only.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single"})
    Params = RULParams
    params: RULParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: RULParams) -> None:
        super().__init__(task, make_encoder, params)
        self.encoder = make_encoder()
        self.feature = Branch(self.encoder.num_features, params)
        self.log_variance = Branch(self.encoder.num_features, params)
        self.head = nn.Linear(params.dimensions, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """The add-up loss of the mixed features."""
        labels, generator = batch.labels, batch.generator
        _, maps = self.encoder(batch.images[0])
        features = self.feature(maps, generator)
        log_variance = self.log_variance(maps, generator)
        partner = torch.randperm(len(labels), generator=generator, device=generator.device).to(labels.device)
        share = relative_share(log_variance, partner)
        logits = self.head(mix_features(features, share, partner))
        with torch.no_grad():
            probabilities = self.head(features).softmax(dim=1)
            spread = full_precision(log_variance).exp().mean(dim=1).std(correction=0)
        weight = torch.ones(1, len(labels), device=labels.device)
        return Step(add_up_loss(logits, labels, partner), probabilities, weight, logs={"uncertainty_spread": spread})

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] of the unmixed features."""
        _, maps = self.encoder(images)
        probabilities: Tensor = self.head(self.feature(maps)).softmax(dim=1)
        return probabilities
