"""A trial in progress: everything a checkpoint has to bring back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from ...methods.base import Method
from ..networks.encoders import Counters
from .auditor import Auditor
from .evaluator import Evaluator
from .loader import TrainSet


@dataclass
class Training:
    """A trial in progress: everything a checkpoint has to bring back.

    Attributes:
        next_epoch: the epoch that comes next (0-based).
        lines: the epochs' lines so far, as epochs.jsonl keeps them.
        seconds: of building, preparing, training and evaluation so far.
    """

    method: Method
    optimizer: torch.optim.Optimizer
    train_set: TrainSet
    evaluator: Evaluator
    auditor: Auditor
    counters: Counters
    next_epoch: int = 0
    lines: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def oracle_knowledge(self) -> list[str]:
        """What the method read that no user would know."""
        return sorted(self.method.task.oracle_reads)
