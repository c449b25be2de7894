"""Which trial a free worker starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..training.teachers import is_trained
from ..trial import Trial


def next_trial(waiting: Sequence[Trial], running: Iterable[Trial]) -> Trial:
    """The first waiting trial that needs no teacher which a running one is training, or else the first.

    Trials of a cell are neighbours and need the same teacher: all workers would wait while one of them trains it.
    """
    being_trained = {teacher.id for trial in running for teacher in trial.teachers.values() if not is_trained(teacher)}
    if being_trained:
        for trial in waiting:
            if being_trained.isdisjoint(teacher.id for teacher in trial.teachers.values()):
                return trial
    return waiting[0]
