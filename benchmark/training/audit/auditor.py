"""The audit: counts of what a method did with wrong labels in an epoch, out of reach of the method."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ....methods.base import Step
from ....protocols.base import Kind
from ....results.records.schema import Audit
from ..evaluator import Diverged
from .dynamics import Dynamics

COUNTS = Audit.__struct_fields__
BLOCK = 64  # steps
# Counted apart by reference class, or by AU, as well.
BY_CLASS = ("entries", "wrong", "predicted_wrong", "memorised", "right", "kept_right", "targets_right", "damaged")

# Counts of what a method need not report, each with the counts that are absent without it.
REPORTED = {
    "predicted": ("predicted_wrong", "memorised", "recovered"),
    "judged": ("right", "kept", "kept_right"),
    "targets": ("targets_right", "changed", "changed_right", "damaged"),
}

# What is wrong with the values of a step, in the order of `_faults_of`.
FAULTS = (
    "Step.probabilities are not finite",
    "Step.probabilities are none: they lie outside [0, 1], or those of a face's classes do not sum to 1",
    "Step.weight is not finite",
    "Step.target holds labels that do not exist: classes count from 0, AUs are -1, 0 or 1",
)
ROUNDING = 0.01  # of probabilities, which may be computed in half precision


class _Reports(NamedTuple):
    """What a method reported of rows, int64 [N]; None: not reported.

    Probabilities [N, C] or [N, L]; for K networks weights and labels, [K, N] or [K, N, L].
    """

    rows: Tensor
    probabilities: Tensor | None
    weight: Tensor | None
    target: Tensor | None

    @property
    def form(self) -> tuple[object, ...]:
        """What reports must have in common to be joined."""
        networks = (None if part is None else (len(part), part.dim()) for part in (self.weight, self.target))
        return self.probabilities is None, *networks

    @classmethod
    def join(cls, reports: Sequence[_Reports]) -> _Reports:
        """Reports of one form as one of all their rows."""

        def joined(parts: Sequence[Tensor | None], dim: int) -> Tensor | None:
            found = [part for part in parts if part is not None]
            return torch.cat(found, dim) if found else None

        rows, probabilities, weight, target = zip(*reports, strict=True)
        return cls(torch.cat(rows), joined(probabilities, 0), joined(weight, 1), joined(target, 1))


class Auditor:
    """Compares what a method reports of its steps with the reference labels, without synchronising the device.

    An entry is a row with a single label, or one AU of a row. Soft targets count as their most probable label. What a
    step reports is copied at once and counted later, BLOCK steps together: a device takes as long to start a small
    operation as for one that is BLOCK times as large. The same reports make the training's dynamics.

    Args:
        given: given labels of the training rows, any integer type, [N] or [N, L]; copied.
        reference: reference labels of the same shape, -1 (for an AU 0) where unknown.
        kind: of the labels.
        num_classes: number of classes, or of AUs.

    Attributes:
        dynamics: what was predicted of each row; None where it is not known from the first epoch on, as in a trial
            that an earlier version began.
    """

    def __init__(self, given: Tensor, reference: Tensor, kind: Kind, num_classes: int) -> None:
        self._given = given.to(torch.int16, copy=True)  # a copy, since methods can reach the given labels
        self._reference = reference.to(torch.int16)
        self._kind = kind
        self._num_classes = num_classes
        self.dynamics: Dynamics | None = Dynamics(given, kind, num_classes)
        self._held: list[_Reports] = []
        self._sums: dict[tuple[str, ...], Tensor] = {}  # counts [names, classes or AUs]
        self._faults: list[Tensor] = []  # for each block, bool [FAULTS]

    def watch(self, rows: Tensor, step: Step) -> None:
        """Adds what a method reported of a step on some rows of the training set, int64 [B], to the epoch's counts."""
        probabilities = None if step.probabilities is None else step.probabilities.detach().clone()
        weight = None if step.weight is None else step.weight.detach().clone()
        target = None if step.target is None else self._hard(step.target.detach())
        self._held.append(_Reports(rows, probabilities, weight, target))
        if len(self._held) == BLOCK:
            self._count_held()

    def _count_held(self) -> None:
        """Counts the reports that are held, those of one form together as long as they follow each other."""
        for _, group in itertools.groupby(self._held, key=lambda report: report.form):
            reports = _Reports.join(list(group))
            self._faults.append(self._faults_of(reports))
            self._count(reports)
            if self.dynamics is not None:
                self.dynamics.add(*reports)
        self._held.clear()

    def _faults_of(self, reports: _Reports) -> Tensor:
        """Whether each of FAULTS is so, bool; on the device, which is not waited for."""
        none = torch.zeros((), dtype=torch.bool, device=reports.rows.device)
        said, weight, target = reports.probabilities, reports.weight, reports.target
        highest = self._num_classes - 1 if self._kind == "single" else 1
        return torch.stack(
            [
                none if said is None else ~said.isfinite().all(),
                none if said is None else self._are_none(said),
                none if weight is None else ~weight.isfinite().all(),
                none if target is None else ((target < -1) | (target > highest)).any(),
            ]
        )

    def _are_none(self, said: Tensor) -> Tensor:
        """Whether what was reported as probabilities cannot be any, bool scalar."""
        outside = ((said < -ROUNDING) | (said > 1 + ROUNDING)).any()
        return outside | ((said.sum(dim=-1) - 1).abs() > ROUNDING).any() if self._kind == "single" else outside

    def _count(self, reports: _Reports) -> None:
        reference, given = self._reference[reports.rows].long(), self._given[reports.rows].long()
        known = reference >= 0 if self._kind == "single" else (reference != 0) & (given != 0)
        wrong = known & (given != reference)
        seen = {"entries": known, "wrong": wrong}
        if reports.probabilities is not None:
            predicted = self._label(reports.probabilities)
            seen |= {
                "predicted": known,
                "predicted_wrong": wrong,
                "memorised": wrong & (predicted == given),
                "recovered": wrong & (predicted == reference),
            }
        target = reports.target
        if reports.weight is not None:
            kept = reports.weight > 0
            if kept.dim() == known.dim():  # row weights [K, N] for entries [N, L]
                kept = kept.unsqueeze(-1) if self._kind == "multi" else kept.unsqueeze(0)
            if target is not None:
                kept = kept & (target == given)
            every = known.unsqueeze(0).expand(len(kept), *known.shape)
            right = every & ~wrong
            seen |= {"judged": every, "right": right, "kept": every & kept, "kept_right": right & kept}
        if target is not None:
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
        """Adds the entries of boolean masks [N] or [N, L], or [K, …] for K networks, to the counts of class or AU."""
        dims = reference.dim()
        marks = torch.stack([mask.long() if mask.dim() == dims else mask.sum(dim=0) for mask in seen.values()])
        if self._kind == "multi":
            counts = marks.sum(dim=1)
        else:
            counts = marks.new_zeros(len(marks), self._num_classes)
            counts.index_add_(1, reference.clamp(min=0), marks)
        names = tuple(seen)
        self._sums[names] = self._sums[names] + counts if names in self._sums else counts

    def epoch_counts(self) -> tuple[dict[str, int], dict[str, list[int]]]:
        """The counts since the last call, in total and by class or AU, without those that the method did not report.

        Raises:
            Diverged: probabilities that the method reported since then are not finite.
            ValueError: another value that it reported cannot be.
        """
        self._count_held()
        found = torch.stack(self._faults).any(dim=0).tolist() if self._faults else []
        self._faults.clear()
        for fault in itertools.compress(FAULTS, found):
            raise Diverged(fault) if fault == FAULTS[0] else ValueError(fault)
        if self.dynamics is not None:
            self.dynamics.close_epoch()
        by_class = {name: [0] * self._num_classes for name in COUNTS}
        for names, sums in self._sums.items():
            for name, counts in zip(names, sums.tolist(), strict=True):
                by_class[name] = [one + other for one, other in zip(by_class[name], counts, strict=True)]
        self._sums.clear()
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
        """Hard labels of a step's target [K, B], [K, B, L] or [K, B, C]; a copy, since methods can reach the target."""
        if not target.is_floating_point():
            return target.clone()
        if self._kind == "single" and target.dim() != 3:
            raise ValueError(f"a soft target must be [networks, rows, classes], not {list(target.shape)}")
        return self._label(target)
