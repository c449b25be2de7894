"""The checkpoint of a running trial, one file that is written atomically."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...protocols.errors import BadInput
from ...protocols.files import write_atomic
from ...results.records.trial_files import write_epochs
from ..networks import safe_load
from ..trial_state import CHECKPOINT

if TYPE_CHECKING:
    from .state import Training


def save(folder: Path, training: Training) -> None:
    """Writes the checkpoint, then epochs.jsonl, which is also part of the checkpoint."""
    best, dynamics = training.evaluator.best, training.auditor.dynamics
    state = {
        "trial": folder.name,
        "method": training.method.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "best": {name: torch.from_numpy(array) for name, array in best.arrays.items() if array is not None},
        "best_epochs": (best.validation_epoch, best.oracle_epoch),
        "best_scores": (best.validation_score, best.oracle_score),
        "oracle_reads": training.oracle_knowledge,
        "next_epoch": training.next_epoch,
        "lines": training.lines,
        "seconds": training.seconds,
        "wall_seconds": training.wall_seconds,
        "dynamics": None if dynamics is None else dynamics.state(),
    }
    buffer = io.BytesIO()
    torch.save(_plain_floats(state), buffer)
    write_atomic(folder / CHECKPOINT, buffer.getvalue())
    write_epochs(folder, training.lines)


def resume(folder: Path, training: Training) -> bool:
    """Restores a trial's state from its checkpoint; returns whether there was one.

    Raises:
        BadInput: the checkpoint is damaged or of another trial; the message names the file.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            # to the host: method and optimiser move what is theirs, and a step count stays where it costs no wait
            state = safe_load.load(file, torch.device("cpu"), checksums=True)
        _restore(state, folder.name, training)
    except Exception as error:  # torch.load may raise nearly anything for a damaged file
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise BadInput(f"{path}: damaged checkpoint ({reason})") from error
    write_epochs(folder, training.lines)
    return True


def _restore(state: Mapping[str, Any], trial: str, training: Training) -> None:
    """Restores what `save` wrote. After an exception the training is partly restored and must not be used."""
    if state["trial"] != trial:
        raise ValueError(f"it is of trial {state['trial']}")
    if not 0 < state["next_epoch"] == len(state["lines"]) <= training.train_set.sampler.recipe.epochs:
        raise ValueError(f"it has {len(state['lines'])} lines for {state['next_epoch']} epochs")
    training.method.load_state_dict(state["method"])
    training.optimizer.load_state_dict(state["optimizer"])
    best = training.evaluator.best
    for name in best.arrays:
        tensor = state["best"].get(name)
        setattr(best, name, None if tensor is None else tensor.numpy())
    best.validation_epoch, best.oracle_epoch = state["best_epochs"]
    best.validation_score, best.oracle_score = state["best_scores"]
    if (dynamics := state.get("dynamics")) is None:  # of an earlier version
        training.auditor.dynamics = None
    elif training.auditor.dynamics is not None:
        training.auditor.dynamics.load(dynamics)
    training.counters.take()  # the repeated preparation is not counted as the trial's compute
    training.earlier_reads = frozenset(state["oracle_reads"])
    training.next_epoch = state["next_epoch"]
    training.lines = state["lines"]
    training.seconds += state["seconds"]
    training.wall_seconds += state.get("wall_seconds", state["seconds"])  # of an earlier version


def remove(folder: Path) -> None:
    """Deletes the checkpoint of a finished trial."""
    (folder / CHECKPOINT).unlink(missing_ok=True)


def _plain_floats(value: Any) -> Any:
    """The value with NumPy scalars as Python numbers, so that loading needs no classes but tensors."""
    if isinstance(value, Mapping):
        return {name: _plain_floats(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain_floats(item) for item in value)
    return value.item() if hasattr(value, "dtype") and not isinstance(value, torch.Tensor) else value
