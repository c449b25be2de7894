"""A training that goes on in a process of its own, which has seen nothing of it: what no checkpoint holds is lost."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from unittest.mock import patch

import torch

from fernoise_bench.benchmark.training.state import Training
from fernoise_bench.protocols.base import Kind

from .toy import digest, run_epochs, start

ROOT = Path(__file__).parents[1]
# One server imports torch for all; it never sees a method, so that what is forked from it has not either.
CONTEXT = multiprocessing.get_context("forkserver" if sys.platform != "win32" else "spawn")
CONTEXT.set_forkserver_preload(
    ["fernoise_bench.benchmark.training.runner", "fernoise_bench.benchmark.training.trainer"]
)


def resumed_afresh(training: Training, name: str, kind: Kind, folder: Path, epochs: Iterable[int]) -> str:
    """The digest of a method after more epochs, gone on with from what a checkpoint of it would hold."""
    state = folder / "state.pt"
    torch.save({"method": training.method.state_dict(), "optimizer": training.optimizer.state_dict()}, state)
    here = [str(ROOT), *sys.path]  # where the new process finds this module
    with patch.object(sys, "path", here), ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
        return pool.submit(_go_on, name, kind, folder, state, tuple(epochs)).result()


def _go_on(name: str, kind: Kind, folder: Path, state: Path, epochs: Iterable[int]) -> str:
    torch.set_num_threads(1)  # as tests have it
    training = start(name, kind, folder)
    saved = torch.load(state, weights_only=True)
    training.method.load_state_dict(saved["method"])
    training.optimizer.load_state_dict(saved["optimizer"])
    run_epochs(training, epochs)
    return digest(training.method)
