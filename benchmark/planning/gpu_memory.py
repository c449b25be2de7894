"""How many trials train beside each other on this machine's GPUs: as many as their memory and the CPU's cores hold.

What a trial needs is worked out, not measured, and rounded up: a trial for which there is no room fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache

import numpy as np
import torch

from ...protocols.base import Recipe
from ...protocols.rows import CellData
from ..settings import visible_gpus
from ..trial import Trial
from .compute_count import count
from .device_speed import Network, build_network, network_of
from .grid import Grid

# Ours: no paper or program states them.
SHARE = 0.8  # of the memory that is free
CONTEXT = 1 << 30  # bytes of a process that trains: CUDA itself and the workspaces of its libraries
COPIES = 4  # of the weights: themselves, the gradient and the two moments of Adam
PEAK = 2.0  # a method's largest step, over its mean one
PROBE_IMAGES = 2


def workers_on_gpus(grid: Grid, trials: Sequence[Trial], cores: int) -> int:
    """Processes for trials of a grid, as many for each GPU as it has room for; at least one a GPU.

    Args:
        grid: of the trials; its faces are read, since a GPU holds those of a cell.
        trials: what is to run.
        cores: of the CPU.
    """
    gpus = max(1, len(visible_gpus()))
    if len(trials) <= gpus:
        return gpus
    free = [torch.cuda.mem_get_info(number)[0] for number in range(gpus)]
    return gpus * trials_beside(need_of(grid, trials), free, cores)


def trials_beside(need: float, free: Iterable[float], cores: int) -> int:
    """Trials for each GPU, at least one: each process keeps a core of the CPU busy.

    Args:
        need: bytes of the largest trial.
        free: bytes of each GPU.
        cores: of the CPU.
    """
    memory = tuple(free)
    return max(1, min(int(SHARE * min(memory) / need), cores // len(memory)))


def need_of(grid: Grid, trials: Sequence[Trial]) -> float:
    """Bytes that the largest of some trials takes on a GPU, rounded up."""
    first = trials[0]
    cell = grid.faces().cell(first.fold, first.level, first.draw, first.job.noise_salt)
    largest = {trial.method.name: trial for trial in trials}.values()
    return max(_need(trial, pixel_bytes(cell)) for trial in largest)


def _need(trial: Trial, pixels: int) -> float:
    recipe, protocol = trial.job.settings.recipe, trial.job.protocol
    passes = max(1.0, count(trial.method, protocol).forwards)
    return trial_bytes(recipe, network_of(recipe, protocol), passes, pixels)


def trial_bytes(recipe: Recipe, network: Network, passes: float, pixels: int) -> float:
    """Bytes that a trial takes, if each pass of a sample had a network of its own and all were kept until the backward.

    Args:
        recipe: its batch size counts.
        network: what a pass goes through.
        passes: of a sample in a step, through all networks and views together.
        pixels: bytes of the stored faces.
    """
    weights, kept = network_bytes(network)
    return CONTEXT + pixels + passes * (COPIES * weights + PEAK * recipe.batch_size * kept)


def pixel_bytes(cell: CellData) -> int:
    """Bytes of the faces of all splits, 8 bits a channel, as they are stored."""
    parts = (cell.train, cell.test) if cell.validation is None else (cell.train, cell.validation, cell.test)
    one = cell.train.images.read(np.arange(1)).nbytes
    return one * sum(map(len, parts))


@cache
def network_bytes(network: Network) -> tuple[int, int]:
    """Bytes of a network's weights, and those that the forward pass of an image keeps for the backward, in float32."""
    model = build_network(network, "fp32", torch.device("cpu"))
    own = {weights.data_ptr() for weights in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def keep(saved: torch.Tensor) -> torch.Tensor:
        storage = saved.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return saved

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda saved: saved):
        outputs = model(torch.zeros(PROBE_IMAGES, 3, network.side, network.side))
    weights = sum(parameter.nbytes for parameter in model.parameters())
    del outputs  # not before: the graph holds what is kept, and so no two addresses are the same
    return weights, sum(kept.values()) // PROBE_IMAGES
