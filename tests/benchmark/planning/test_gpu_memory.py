"""How many trials share a GPU: against bytes worked out by hand, and on pretended GPUs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fernoise_bench.benchmark.planning.device_speed import Network
from fernoise_bench.benchmark.planning.gpu_memory import (
    CONTEXT,
    need_of,
    network_bytes,
    trial_bytes,
    trials_beside,
    workers_on_gpus,
)
from fernoise_bench.benchmark.planning.grid import Grid, RunRequest, make_grid
from fernoise_bench.protocols import catalog

GIB = 1 << 30


def make(methods: tuple[str, ...], seeds: int = 3) -> Grid:
    return make_grid(
        RunRequest(
            "ferplus-sym", methods, levels=(0.4,), seeds=seeds, profile="smoke", synthetic=True, out=Path("none")
        )
    )


def test_bytes_of_a_network_are_those_worked_out_by_hand() -> None:
    side, features, patch = 48, 16, 8
    weights, kept = network_bytes(Network("one-layer", "", 0, side))
    assert weights == 4 * (features * 3 * patch**2 + features)
    # its convolution keeps the image, its tanh the features
    assert kept == 4 * (3 * side**2 + features * (side // patch) ** 2)


def test_a_network_on_larger_pictures_keeps_more_and_weighs_the_same() -> None:
    small, large = (network_bytes(Network("resnet18", "", 0, side)) for side in (64, 128))
    assert small[0] == large[0] == pytest.approx(4 * 11.18e6, rel=0.01)  # He et al. 2016, without the classifier
    assert large[1] == pytest.approx(4 * small[1], rel=0.05)


def test_a_trial_takes_more_with_every_part() -> None:
    recipe = catalog.find("ferplus-sym").paper.recipe
    network = Network("one-layer", "", 0, 48)
    weights, kept = network_bytes(network)
    found = trial_bytes(replace(recipe, batch_size=10), network, 3.0, 1000)
    assert found == CONTEXT + 1000 + 3 * (4 * weights + 2 * 10 * kept)


@pytest.mark.parametrize(
    ("need", "free", "cores", "trials"),
    [
        (10 * GIB, [80 * GIB], 16, 6),  # 64 GiB of 80 are given away
        (10 * GIB, [80 * GIB, 40 * GIB], 16, 3),  # the smaller one decides
        (1 * GIB, [80 * GIB, 80 * GIB], 8, 4),  # the cores decide
        (100 * GIB, [80 * GIB], 16, 1),
        (1 * GIB, [80 * GIB] * 4, 2, 1),
    ],
)
def test_memory_and_cores_decide(need: float, free: list[int], cores: int, trials: int) -> None:
    assert trials_beside(need, free, cores) == trials


def test_the_largest_method_decides() -> None:
    plain, both = make(("supervised",)), make(("supervised", "co_teaching"))
    one, two = need_of(plain, plain.trials), need_of(both, both.trials)
    first = plain.trials[0]
    cell = plain.faces().cell(first.fold, first.level, first.draw, first.job.noise_salt)
    parts = [part for part in (cell.train, cell.validation, cell.test) if part is not None]
    pixels = sum(part.images.read().nbytes for part in parts)
    assert one > CONTEXT + pixels
    assert two - one == pytest.approx(one - CONTEXT - pixels)  # a second network, the same faces


def test_workers_on_pretended_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = make(("supervised",), seeds=9)
    need = need_of(grid, grid.trials)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (int(need * (4, 5)[number]), 80 * GIB))
    assert workers_on_gpus(grid, grid.trials, cores=16) == 2 * 3
    assert workers_on_gpus(grid, grid.trials[:2], cores=16) == 2, "no more than trials need"
