"""NR (Hu et al., CVPR 2019): a residual head models the label noise in addition to the clean head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, sourced
from ..methods.losses import full_precision, masked_bce

__all__ = ["NoiseRegularization", "NoiseRegularizationParams", "noise_regularized_loss"]


@dataclass(frozen=True)
class NoiseRegularizationParams:
    """Hyper-parameters of noise regularisation."""

    weight: float = sourced(1.0, "unstated: ours, equal weights; ReCoT's appendix A.2 gives no value")


def noise_regularized_loss(
    clean_logits: Tensor, residual_logits: Tensor, labels: Tensor, verified: Tensor, weight: float = 1.0
) -> Tensor:
    """The loss bce(z, y) on verified rows + weight · bce(z + r, y) on the others, each a mean over known entries.

    Args:
        clean_logits: z, float [N, L].
        residual_logits: r, float [N, L].
        labels: [N, L] in {-1, 0, +1}, 0 unknown.
        verified: bool [N].
        weight: of the noisy part.

    Returns:
        Scalar with gradient; the gradient of noisy labels also reaches the clean logits, as regularisation. A part
        without a known entry is 0.

    Source: Hu, Han, Shan & Chen, CVPR 2019, with the multi-label loss of ReCoT's appendix A.2.
    """
    clean_logits, residual_logits = full_precision(clean_logits), full_precision(residual_logits)
    verified = verified.bool()
    clean = masked_bce(clean_logits, labels * verified[:, None])  # labels of the other rows set to unknown
    noisy = masked_bce(clean_logits + residual_logits, labels * ~verified[:, None])
    return clean + weight * noisy


class NoiseRegularization(Method):
    """One encoder with two heads: the clean head fits verified labels, the sum of clean and residual head noisy ones.

    Reference: Hu, Han, Shan & Chen, "Weakly supervised image classification through noise regularization", CVPR 2019,
    in the multi-label form of ReCoT's baselines. It equals one view of ReCoT, `recot:net-noisy`, with plain binary
    cross-entropy instead of selective learning and the selective balanced loss. Prediction: the clean head.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"multi", "verified"})
    Params = NoiseRegularizationParams
    params: NoiseRegularizationParams

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NoiseRegularizationParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)
        self.residual = nn.Linear(self.network.head.in_features, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """The loss of the batch; no update for a batch without a known label."""
        known = batch.labels != 0
        weight = known[None].float()
        if not bool(known.any()):
            return Step(loss=None, weight=weight)
        pooled, _ = self.network.encoder(batch.images[0])
        clean, residual = self.network.head(pooled), self.residual(pooled)
        loss = noise_regularized_loss(clean, residual, batch.labels, batch.verified, self.params.weight)
        return Step(loss, clean.detach().sigmoid(), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, L] of the clean head."""
        logits: Tensor = self.network(images)
        return logits.sigmoid()
