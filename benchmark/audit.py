"""What a method did with wrong labels: counts of an epoch, kept apart from everything the method can reach."""

from __future__ import annotations

import torch
from torch import Tensor

from ..methods.base import Step
from ..protocols.base import Kind

COUNTS = (
    "entries",  # label entries seen that have a reference
    "wrong",  # of those, given label differs from the reference
    "predicted",  # entries of steps that reported predictions
    "predicted_wrong",  # of those, wrong ones
    "memorised",  # wrong entries predicted as given
    "recovered",  # wrong entries predicted as the reference
    "judged",  # entry-network pairs of steps that reported weights
    "right",  # of those, given right
    "kept",  # of those judged, trained on with the given label
    "kept_right",  # of those kept, given right
    "targets",  # entry-network pairs of steps that reported targets
    "targets_right",  # of those, given right
    "changed",  # entry-network pairs whose target is another label than the given one, kept or not
    "changed_right",  # of those changed, to the reference
    "damaged",  # of those changed, given right before
)

# What a method may leave out of its steps, and the counts that are absent then.
REPORTED = {
    "predicted": ("predicted_wrong", "memorised", "recovered"),
    "judged": ("right", "kept", "kept_right"),
    "targets": ("targets_right", "changed", "changed_right", "damaged"),
}


class Auditor:
    """Compares what was trained on with reference labels, on the device, without a synchronisation a step.

    Single labels count by row; AU labels by entry. Soft targets count as their most probable label.
    """

    def __init__(self, given: Tensor, reference: Tensor, kind: Kind) -> None:
        self._given = given
        self._reference = reference
        self._kind = kind
        self._counts = torch.zeros(len(COUNTS), dtype=torch.int64, device=reference.device)

    def watch(self, rows: Tensor, step: Step) -> None:
        """Adds a step on some rows of the training set (int64 [B]) to the epoch's counts."""
        reference, given = self._reference[rows], self._given[rows]
        known = reference >= 0 if self._kind == "single" else (reference != 0) & (given != 0)
        wrong = known & (given != reference)
        seen = dict.fromkeys(COUNTS, torch.zeros((), dtype=torch.int64, device=reference.device))
        seen.update(entries=known.sum(), wrong=wrong.sum())
        if step.probabilities is not None:
            predicted = self._label(step.probabilities.detach())
            seen.update(
                predicted=known.sum(),
                predicted_wrong=wrong.sum(),
                memorised=(wrong & (predicted == given)).sum(),
                recovered=(wrong & (predicted == reference)).sum(),
            )
        if step.weight is not None:
            kept = step.weight.detach() > 0
            if kept.dim() == known.dim():  # row weights [K, B] for entries [B, L]
                kept = kept.unsqueeze(-1) if self._kind == "multi" else kept.unsqueeze(0)
            if step.target is not None:
                kept = kept & (self._hard(step.target.detach()) == given)
            every = known.unsqueeze(0).expand(len(kept), *known.shape)
            right = every & ~wrong
            seen.update(
                judged=every.sum(), right=right.sum(), kept=(every & kept).sum(), kept_right=(right & kept).sum()
            )
        if step.target is not None:
            target = self._hard(step.target.detach())
            changed = known & (target != given)
            seen.update(
                targets=known.sum() * len(target),
                targets_right=(known & ~wrong).sum() * len(target),
                changed=changed.sum(),
                changed_right=(changed & (target == reference)).sum(),
                damaged=(changed & ~wrong).sum(),
            )
        self._counts += torch.stack([seen[name] for name in COUNTS])

    def epoch_counts(self) -> dict[str, int]:
        """The counts since the last call; what a method did not report is absent."""
        counts = dict(zip(COUNTS, self._counts.tolist(), strict=True))
        self._counts.zero_()
        for whole, parts in REPORTED.items():
            if not counts[whole]:
                for name in (whole, *parts):
                    del counts[name]
        return counts

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
