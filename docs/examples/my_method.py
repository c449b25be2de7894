"""Trimmed cross-entropy: leave out the 20 % of each batch with the largest loss."""

import torch
from torch.nn.functional import cross_entropy

from fernoise_bench.methods.base import Method, Network, Step


class MyMethod(Method):
    """One network that learns from the samples it finds easiest."""

    needs = frozenset({"single"})  # "single": one expression a face; "multi": action units

    def __init__(self, task, make_encoder, params):
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch):
        """The loss of a batch and, for the audit, what was predicted and which samples counted."""
        logits = self.network(batch.images[0])
        losses = cross_entropy(logits, batch.labels, reduction="none")
        kept = losses.detach().argsort(stable=True)[: max(1, int(0.8 * len(losses)))]
        weight = torch.zeros(1, len(losses), device=losses.device).index_fill(1, kept, 1.0)
        return Step(losses[kept].mean(), logits.detach().softmax(dim=1), weight)

    def predict(self, images):
        """Class probabilities [B, C] of images [B, 3, H, W]."""
        return self.network(images).softmax(dim=1)
