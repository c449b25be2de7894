"""Goes on with a training in a process that has seen nothing of the method: what no checkpoint holds is lost."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path

import torch

from ...protocols.base import Kind
from ..training.state import Training
from .toy import digest, run_epochs, start

# One server imports torch for all; it never sees a method, so that what is forked from it has not either.
_PRELOADED = ["fernoise_bench.benchmark.training.runner", "fernoise_bench.benchmark.training.trainer"]


def _context() -> BaseContext:
    if sys.platform == "win32":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def resumed_afresh(training: Training, name: str, kind: Kind, folder: Path, epochs: Iterable[int]) -> str:
    """The digest of a method after more epochs, gone on with from what a checkpoint of it would hold."""
    state = folder / "state.pt"
    torch.save({"method": training.method.state_dict(), "optimizer": training.optimizer.state_dict()}, state)
    with ProcessPoolExecutor(1, mp_context=_context()) as pool:
        return pool.submit(_go_on, name, kind, folder, state, tuple(epochs)).result()


def _go_on(name: str, kind: Kind, folder: Path, state: Path, epochs: Iterable[int]) -> str:
    training = start(name, kind, folder)
    saved = torch.load(state, weights_only=True)
    training.method.load_state_dict(saved["method"])
    training.optimizer.load_state_dict(saved["optimizer"])
    run_epochs(training, epochs)
    return digest(training.method)
