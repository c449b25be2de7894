"""Where a run's trials run: the engine that was asked for, and what only that engine can be told."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...protocols.errors import BadInput

if TYPE_CHECKING:
    from ...protocols.loading import Data
    from ..trial import Trial
    from .local import Listen

ENGINES = ("inline", "local", "ray", "slurm")
CLUSTERS = ("ray", "slurm")
RETRIES = 3


@dataclass(frozen=True)
class EngineOptions:
    """What was typed of engines; None and empty mean the default.

    Attributes:
        engine: one of ENGINES; by default inline or local, by the number of workers and trials.
        workers: processes; by default the cores, or one for the GPU; of Ray all the cluster has room for.
        gpus_per_trial: share of a GPU of each trial; Ray and Slurm.
        address, retries: of a Ray cluster; attempts after a lost machine.
        partition, time: of Slurm, the time as Slurm writes it.
        sbatch: further NAME=VALUE options of sbatch.
    """

    engine: str | None = None
    workers: int | None = None
    gpus_per_trial: float = 0.0
    address: str | None = None
    retries: int | None = None
    partition: str | None = None
    time: str | None = None
    sbatch: tuple[str, ...] = ()

    @property
    def elsewhere(self) -> bool:
        """Whether trials run on machines whose devices cannot be asked from here."""
        return self.engine in CLUSTERS

    def device(self, asked: str) -> str:
        """The device kind to ask for: on a cluster "auto" is a GPU where each trial is given (a share of) one.

        Raises:
            BadInput: an option of another engine, or a device and a share of GPUs that contradict each other.
        """
        self._check_options()
        if not self.elsewhere:
            return asked
        if asked == "cuda" and not self.gpus_per_trial:
            raise BadInput(f"--engine {self.engine} --device cuda: say what share of a GPU by --gpus-per-trial 1")
        if asked == "cpu" and self.gpus_per_trial:
            raise BadInput(f"--gpus-per-trial {self.gpus_per_trial:g}: --device cpu needs none; leave one of them out")
        return "cuda" if self.gpus_per_trial else "cpu"

    def _check_options(self) -> None:
        owners = {
            "--gpus-per-trial": (self.gpus_per_trial, CLUSTERS),
            "--address": (self.address, ("ray",)),
            "--retries": (self.retries, ("ray",)),
            "--partition": (self.partition, ("slurm",)),
            "--time": (self.time, ("slurm",)),
            "--slurm": (self.sbatch, ("slurm",)),
        }
        for option, (value, engines) in owners.items():
            if value and self.engine not in engines:
                raise BadInput(f"{option} is for --engine {' or '.join(engines)}; leave it out, or name that engine")
        if self.engine == "slurm" and not self.workers:
            raise BadInput("--engine slurm: say how many processes take trials by --workers N")


def run_on_engine(
    trials: Sequence[Trial],
    listen: Listen,
    options: EngineOptions,
    opened: Data | None,
    say: Callable[[str], None],
    stop: Callable[[], bool],
) -> None:
    """Runs trials on the engine asked for.

    Args:
        trials: at least one.
        listen: told of every event of a trial.
        options: the engine and its options.
        opened: the faces, where they are read already; used in this process only.
        say: told what concerns the run as a whole.
        stop: whether to stop at the next checkpoint.

    Raises:
        BadInput: the engine is not installed, or refuses.
        Stopped: `stop` said so; what was running has just been saved.
    """
    if options.engine == "ray":
        from .ray_cluster import RayPlace, run_ray

        retries = RETRIES if options.retries is None else options.retries
        run_ray(trials, listen, RayPlace(options.address, options.workers, options.gpus_per_trial, retries), say, stop)
        return
    if options.engine == "slurm":
        from .slurm_cluster import SlurmPlace, minutes_of, run_slurm

        minutes = minutes_of(options.time) if options.time else SlurmPlace.minutes
        place = (options.workers or 1, options.gpus_per_trial, options.partition, minutes, _pairs(options.sbatch))
        run_slurm(trials, listen, SlurmPlace(*place), say, stop)
        return
    from ..training.runner import WorkerContext
    from .local import run_inline, run_local

    workers = options.workers or default_workers(trials[0].job.settings.device)
    if options.engine == "inline" or (options.engine is None and (workers == 1 or len(trials) == 1)):
        run_inline(trials, listen, WorkerContext(opened=opened), stop)
    else:
        run_local(trials, listen, workers, stop)


def default_workers(device: str) -> int:
    """One process a core that this process may use, or one for the GPU."""
    if device == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pairs(options: Sequence[str]) -> dict[str, str]:
    """NAME=VALUE options as names and values; BadInput for anything else."""
    pairs = [option.partition("=") for option in options]
    for name, sign, value in pairs:
        if not (name and sign and value):
            raise BadInput(f"--slurm {name}{sign}{value}: write NAME=VALUE, as in --slurm account=lab")
    return {name.lstrip("-"): value for name, _, value in pairs}
