"""The options of the engines that run trials."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ...protocols.errors import BadInput
from ..settings import visible_gpus

ENGINES = ("inline", "local", "ray", "slurm")
CLUSTERS = ("ray", "slurm")
RETRIES = 3


@dataclass(frozen=True)
class EngineOptions:
    """Where and how trials run. None and empty values stand for the defaults.

    Attributes:
        engine: one of ENGINES. Default: local for several workers and trials, else inline.
        workers: processes at a time. Default: the CPU cores, or the GPUs, on which the
            command line starts as many as there is room for; with Ray all the cluster has room for.
        gpus_per_trial: Ray and Slurm: share of a GPU for each trial, in [0, 1].
        address: Ray: of a running cluster, "auto" for the one this machine belongs to. Default: start one here.
        retries: Ray: further attempts of a trial whose worker or machine died. Default: RETRIES.
        partition: Slurm: where to submit. Default: the cluster's own.
        time: Slurm: time limit of a job, as Slurm writes it.
        sbatch: Slurm: other options of sbatch, each NAME=VALUE; they take precedence over those above.
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
    def on_cluster(self) -> bool:
        """Whether trials run on other machines, whose devices this process cannot see."""
        return self.engine in CLUSTERS

    def device(self, asked: str) -> str:
        """The device kind to train on: on a cluster, "auto" is CUDA where trials get a share of a GPU, else the CPU.

        Raises:
            BadInput: an option of another engine, or a device that contradicts the share of a GPU.
        """
        self._check()
        if not self.on_cluster:
            return asked
        if asked == "cuda" and not self.gpus_per_trial:
            raise BadInput(
                f"--engine {self.engine} --device cuda needs a share of a GPU for each trial: add --gpus-per-trial 1"
            )
        if asked == "cpu" and self.gpus_per_trial:
            raise BadInput(f"--gpus-per-trial {self.gpus_per_trial:g} contradicts --device cpu; leave one of them out")
        return "cuda" if self.gpus_per_trial else "cpu"

    def _check(self) -> None:
        """Raises BadInput for an option of another engine, and for Slurm without a number of workers."""
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
            raise BadInput("--engine slurm needs the number of worker processes: add --workers N")


def default_workers(device: str) -> int:
    """One process for each CPU core that this process may use, or where the device is "cuda", for each such GPU."""
    if device == "cuda":
        return max(1, len(visible_gpus()))
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
