"""What needs a process of its own, which has seen nothing of a method: its import, and going on with its training.

What no checkpoint holds is lost there.
"""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Collection, Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path

import torch

from ...protocols.base import Kind
from .. import registry
from ..method_source import source_files
from ..training.state import Training
from .toy import digest, run_epochs, start
from .watch import Opening, opened

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


def opened_by_importing(name: str) -> list[Opening]:
    """What the files of a method that is not this package's own open when they are imported, modules apart."""
    if registry.find(name).is_own:
        return []
    with ProcessPoolExecutor(1, mp_context=_context()) as pool:
        return pool.submit(_import, name).result()


def _import(name: str) -> list[Opening]:
    with opened() as seen:
        target = registry.find(name).target
        registry.load_class(target)
    own = {str(path) for path in source_files(target)}
    return [opening for opening in seen if _is_by(own, opening)]


def _is_by(own: Collection[str], opening: Opening) -> bool:
    """Whether the files of a method open something, and not a module that they import."""
    calls = [file for file, _ in opening.calls]
    first = next((number for number, file in enumerate(calls) if file in own), None)
    return first is not None and not any("importlib" in file for file in calls[:first])


def _go_on(name: str, kind: Kind, folder: Path, state: Path, epochs: Iterable[int]) -> str:
    training = start(name, kind, folder)
    saved = torch.load(state, weights_only=True)
    training.method.load_state_dict(saved["method"])
    training.optimizer.load_state_dict(saved["optimizer"])
    run_epochs(training, epochs)
    return digest(training.method)
