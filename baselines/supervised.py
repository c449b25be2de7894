"""Plain supervised training on the given labels: the baseline of every paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

from torch import Tensor

from ..methods.base import Batch, MakeEncoder, Method, Network, Step, Task, Variant, sourced, to_probabilities
from ..methods.losses import label_loss
from ..methods.selection import choose_rows

__all__ = ["Supervised", "SupervisedParams"]


@dataclass(frozen=True)
class SupervisedParams:
    """Hyper-parameters of supervised training."""

    rows: Literal["both", "clean", "noisy"] = sourced(
        "both", "choice of rows as in ReCoT Table 4(a), (C), (N), (C+N); every row where nothing is verified"
    )


class Supervised(Method):
    """One network, cross-entropy over classes or binary cross-entropy over the known AU labels.

    Its three choices of rows are those of ReCoT (Li et al., BMVC 2023), Table 4(a), whose baselines also balance each
    AU by selective learning; here every known label counts the same. A row that is not trained on is not forwarded
    either, so that batch statistics are those of the rows trained on.
    """

    needs: ClassVar[frozenset[str]] = frozenset({"single", "multi"})
    Params = SupervisedParams
    params: SupervisedParams
    variants: ClassVar[Mapping[str, Variant]] = MappingProxyType(
        {
            "both": Variant("clean and noisy rows alike", {"rows": "both"}),
            "clean": Variant("verified rows only", {"rows": "clean"}, frozenset({"verified"})),
            "noisy": Variant("unverified rows only", {"rows": "noisy"}, frozenset({"verified"})),
        }
    )

    def __init__(self, task: Task, make_encoder: MakeEncoder, params: SupervisedParams) -> None:
        super().__init__(task, make_encoder, params)
        self.network = Network(make_encoder, task.num_classes)

    def loss(self, batch: Batch) -> Step:
        """Mean loss over the chosen rows; no update without a known label among them."""
        chosen = choose_rows(batch.verified, self.params.rows)
        used = chosen if self.task.kind == "single" else chosen & (batch.labels != 0).any(dim=1)
        weight = used[None].float()
        if not bool(used.any()):
            return Step(loss=None, weight=weight)
        if self.params.rows == "both":
            logits = self.network(batch.images[0])
            probabilities = to_probabilities(logits.detach(), self.task.kind)
            return Step(label_loss(logits, batch.labels, self.task.kind), probabilities, weight)
        logits = self.network(batch.images[0][chosen])
        return Step(label_loss(logits, batch.labels[chosen], self.task.kind), weight=weight)

    def predict(self, images: Tensor) -> Tensor:
        """Probabilities [B, C]."""
        return to_probabilities(self.network(images), self.task.kind)
