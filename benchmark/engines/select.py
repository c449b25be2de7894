"""Runs trials on the engine that was asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...protocols.activity import doing
from .options import EngineOptions, default_workers

if TYPE_CHECKING:
    from ...protocols.loading import Data
    from ..trial import Trial
    from .local import OnEvent


def run_on_engine(
    trials: Sequence[Trial],
    on_event: OnEvent,
    options: EngineOptions,
    data: Data | None,
    notify: Callable[[str], None],
    should_stop: Callable[[], bool],
) -> None:
    """Runs trials on an engine.

    Methods that are not this package's run in a process of their own unless the inline engine is asked for: what they
    do to their process then ends no run and reaches no other trial.

    Args:
        trials: at least one.
        on_event: called with every event of a trial.
        options: the engine and its options.
        data: the faces if they have been read already; used by the inline engine only.
        notify: called with messages about the run as a whole.
        should_stop: whether to stop at the next checkpoint.

    Raises:
        BadInput: the engine is not installed, or refuses an option.
        Stopped: `should_stop` was true; the running trials have been saved.
    """
    if options.engine == "ray":
        from .ray_cluster import run_ray

        run_ray(trials, on_event, options, notify, should_stop)
        return
    if options.engine == "slurm":
        from .slurm_cluster import run_slurm

        run_slurm(trials, on_event, options, notify, should_stop)
        return
    with doing("loading PyTorch"):
        from ..training.runner import WorkerContext
        from .local import run_inline, run_local

    workers = options.workers or default_workers(trials[0].job.settings.device)
    alone = (workers == 1 or len(trials) == 1) and all(trial.method.is_own for trial in trials)
    if options.engine == "inline" or (options.engine is None and alone):
        run_inline(trials, on_event, WorkerContext(opened=data), should_stop)
    else:
        run_local(trials, on_event, workers, should_stop)
