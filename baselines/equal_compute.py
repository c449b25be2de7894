"""One network trained on two views of every image: the compute of a two-network method without a second network."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, NoParams, Step, Task
from ..methods.losses import label_loss
from ..methods.networks import Network, mean_probabilities, to_probabilities

__all__ = ["EqualCompute"]


class EqualCompute(Method):
    """One network trained on two views per step: a control for the doubled compute of two-network methods.

    Not a method of a paper. It takes as many steps as the two-network methods, with the same number of forward and
    backward passes in each; the loss is the mean of the two views' supervised losses. Each view is forwarded
    separately, so that batch normalisation sees batches of the usual size.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})
    views: int = 2

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: NoParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Mean of the two views' losses; no update for a batch without a known label."""
        kind = self.task.kind
        used = (batch.labels != 0).any(dim=1) if kind == "multi" else batch.labels >= 0
        weight = used[None].float()
        if kind == "multi" and not bool(used.any()):
            return Step(loss=None, weight=weight)
        logits1, logits2 = self.network(batch.images[0]), self.network(batch.images[1])
        loss = (label_loss(logits1, batch.labels, kind) + label_loss(logits2, batch.labels, kind)) / 2
        return Step(loss, mean_probabilities(logits1.detach(), logits2.detach(), kind), weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C] from one forward pass."""
        return to_probabilities(self.network(images), self.task.kind)
