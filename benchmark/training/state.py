"""The state of a running trial."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from ...methods.base import Method, Task
from ..networks.encoders import Counters
from .audit.auditor import Auditor
from .audit.transition_audit import TransitionAudit
from .evaluator import Evaluator
from .loader import TrainSet


@dataclass
class Training:
    """The state of a running trial: all that a checkpoint has to restore.

    Attributes:
        task: what the method was given, kept here since a method may replace its own.
        earlier_reads: of oracle knowledge, before the trial was resumed.
        next_epoch: the next epoch to train, 0-based.
        lines: the lines of epochs.jsonl so far.
        seconds: spent on construction, preparation, training and evaluation so far.
        wall_seconds: the same by the clock on the wall, which other programs prolong.
    """

    method: Method
    task: Task
    optimizer: torch.optim.Optimizer
    train_set: TrainSet
    evaluator: Evaluator
    auditor: Auditor
    transition_audit: TransitionAudit
    counters: Counters
    next_epoch: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    wall_seconds: float = 0.0
    earlier_reads: frozenset[str] = frozenset()

    @property
    def oracle_knowledge(self) -> list[str]:
        """Names of what the method read that others do without, such as the noise rate or the annotators' votes."""
        several = self.train_set.votes is not None or self.train_set.annotators is not None
        votes = frozenset({"votes"}) if several else frozenset()
        return sorted(self.task.oracle_reads | self.earlier_reads | votes)
