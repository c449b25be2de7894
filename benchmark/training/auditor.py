"""The audit: counts of what a method did with wrong labels in an epoch, out of reach of the method."""

from __future__ import annotations

import torch
from torch import Tensor

from ...methods.base import Step
from ...protocols.base import Kind
from ...results.records.schema import Audit

COUNTS = Audit.__struct_fields__
# Counted apart by reference class, or by AU, as well.
BY_CLASS = ("entries", "wrong", "predicted_wrong", "memorised", "right", "kept_right", "targets_right", "damaged")

# Counts of what a method need not report, each with the counts that are absent without it.
REPORTED = {
    "predicted": ("predicted_wrong", "memorised", "recovered"),
    "judged": ("right", "kept", "kept_right"),
    "targets": ("targets_right", "changed", "changed_right", "damaged"),
}


class Auditor:
    """Compares what a method reports of its steps with the reference labels, without synchronising the device.

    An entry is a row with a single label, or one AU of a row. Soft targets count as their most probable label.

    Args:
        given: given labels of the training rows, any integer type, [N] or [N, L]; copied.
        reference: reference labels of the same shape, -1 (for an AU 0) where unknown.
        kind: of the labels.
        num_classes: number of classes, or of AUs.
    """

    def __init__(self, given: Tensor, reference: Tensor, kind: Kind, num_classes: int) -> None:
        self._given = given.to(torch.int16, copy=True)  # a copy, since methods can reach the given labels
        self._reference = reference.to(torch.int16)
        self._kind = kind
        self._counts = torch.zeros(len(COUNTS), num_classes, dtype=torch.int64, device=reference.device)

    def watch(self, rows: Tensor, step: Step) -> None:
        """Adds what a method reported of a step on some rows of the training set, int64 [B], to the epoch's counts."""
        reference, given = self._reference[rows].long(), self._given[rows].long()
        known = reference >= 0 if self._kind == "single" else (reference != 0) & (given != 0)
        wrong = known & (given != reference)
        seen = {"entries": known, "wrong": wrong}
        if step.probabilities is not None:
            predicted = self._label(step.probabilities.detach())
            seen |= {
                "predicted": known,
                "predicted_wrong": wrong,
                "memorised": wrong & (predicted == given),
                "recovered": wrong & (predicted == reference),
            }
        if step.weight is not None:
            kept = step.weight.detach() > 0
            if kept.dim() == known.dim():  # row weights [K, B] for entries [B, L]
                kept = kept.unsqueeze(-1) if self._kind == "multi" else kept.unsqueeze(0)
            if step.target is not None:
                kept = kept & (self._hard(step.target.detach()) == given)
            every = known.unsqueeze(0).expand(len(kept), *known.shape)
            right = every & ~wrong
            seen |= {"judged": every, "right": right, "kept": every & kept, "kept_right": right & kept}
        if step.target is not None:
            target = self._hard(step.target.detach())
            every = known.unsqueeze(0).expand(len(target), *known.shape)
            changed = every & (target != given)
            seen |= {
                "targets": every,
                "targets_right": every & ~wrong,
                "changed": changed,
                "changed_right": changed & (target == reference),
                "damaged": changed & ~wrong,
            }
        self._add(seen, reference)

    def _add(self, seen: dict[str, Tensor], reference: Tensor) -> None:
        """Adds the entries of boolean masks [B] or [B, L], or [K, …] for K networks, to the counts of class or AU."""
        dims = reference.dim()
        marks = torch.stack([mask.long() if mask.dim() == dims else mask.sum(dim=0) for mask in seen.values()])
        numbers = torch.tensor([COUNTS.index(name) for name in seen], device=marks.device)
        if self._kind == "multi":
            self._counts[numbers] += marks.sum(dim=1)
            return
        by_class = torch.zeros(len(marks), self._counts.shape[1], dtype=torch.int64, device=marks.device)
        self._counts[numbers] += by_class.index_add_(1, reference.clamp(min=0), marks)

    def epoch_counts(self) -> tuple[dict[str, int], dict[str, list[int]]]:
        """The counts since the last call, in total and by class or AU, without those that the method did not report."""
        by_class = dict(zip(COUNTS, self._counts.tolist(), strict=True))
        self._counts.zero_()
        for reported, dependent in REPORTED.items():
            if not any(by_class[reported]):
                for name in (reported, *dependent):
                    del by_class[name]
        return {name: sum(counts) for name, counts in by_class.items()}, {
            name: counts for name, counts in by_class.items() if name in BY_CLASS
        }

    def _label(self, probabilities: Tensor) -> Tensor:
        """Hard labels of probabilities [..., C]."""
        if self._kind == "single":
            return probabilities.argmax(dim=-1)
        return torch.where(probabilities >= 0.5, 1, -1)

    def _hard(self, target: Tensor) -> Tensor:
        """Hard labels of a step's target [K, B], [K, B, L] or [K, B, C]."""
        if not target.is_floating_point():
            return target
        if self._kind == "single" and target.dim() != 3:
            raise ValueError(f"a soft target must be [networks, rows, classes], not {list(target.shape)}")
        return self._label(target)
