"""The checkpoint of a running trial: one file that appears whole or not at all."""

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

if TYPE_CHECKING:
    from .state import Training

FILE = "checkpoint.pt"


def save(folder: Path, training: Training) -> None:
    """Writes the checkpoint, then the epochs' lines, which follow from it."""
    best = training.evaluator.best
    arrays = {"last": best.last, "validation": best.validation, "oracle": best.oracle}
    state = {
        "trial": folder.name,
        "method": training.method.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "best": {name: torch.from_numpy(array) for name, array in arrays.items() if array is not None},
        "best_epochs": (best.validation_epoch, best.oracle_epoch),
        "best_scores": (best.validation_score, best.oracle_score),
        "oracle_reads": training.oracle_knowledge,
        "next_epoch": training.next_epoch,
        "lines": training.lines,
        "seconds": training.seconds,
    }
    buffer = io.BytesIO()
    torch.save(_plain_floats(state), buffer)
    write_atomic(folder / FILE, buffer.getvalue())
    write_epochs(folder, training.lines)


def resume(folder: Path, training: Training) -> bool:
    """Brings back a trial's state where there is a checkpoint; returns whether there was one.

    Raises:
        BadInput: a damaged checkpoint, or one of another method; the message names the file.
    """
    path = folder / FILE
    if not path.is_file():
        return False
    try:
        _restore(_read(path, training.train_set.device), folder.name, training)
    except Exception as error:  # damaged bytes make torch.load raise nearly anything
        reason = (str(error) or type(error).__name__).splitlines()[0][:120]
        raise BadInput(f"{path}: damaged checkpoint ({reason})") from error
    write_epochs(folder, training.lines)
    return True


def _read(path: Path, device: torch.device) -> Any:
    with path.open("rb") as file:
        return safe_load.load(file, device, checksums=True)


def _restore(state: Mapping[str, Any], trial: str, training: Training) -> None:
    """Brings back what `save` wrote; what is left half restored by an exception must not be used."""
    if state["trial"] != trial:
        raise ValueError(f"of trial {state['trial']}")
    if not 0 < state["next_epoch"] == len(state["lines"]) <= training.train_set.sampler.recipe.epochs:
        raise ValueError(f"{len(state['lines'])} lines of {state['next_epoch']} epochs")
    training.method.load_state_dict(state["method"])
    training.optimizer.load_state_dict(state["optimizer"])
    best = training.evaluator.best
    for name in ("last", "validation", "oracle"):
        tensor = state["best"].get(name)
        setattr(best, name, None if tensor is None else tensor.cpu().numpy())
    best.validation_epoch, best.oracle_epoch = state["best_epochs"]
    best.validation_score, best.oracle_score = state["best_scores"]
    training.counters.take()  # preparing again is not the trial's compute
    training.method.task.oracle_reads.update(state["oracle_reads"])
    training.next_epoch = state["next_epoch"]
    training.lines = state["lines"]
    training.seconds += state["seconds"]


def exists(folder: Path) -> bool:
    """Whether there is one, whole or not."""
    return (folder / FILE).is_file()


def remove(folder: Path) -> None:
    """Deletes the checkpoint of a finished trial."""
    (folder / FILE).unlink(missing_ok=True)


def _plain_floats(value: Any) -> Any:
    """NumPy scalars as Python numbers, so that loading needs no class beyond tensors."""
    if isinstance(value, Mapping):
        return {name: _plain_floats(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain_floats(item) for item in value)
    return value.item() if hasattr(value, "dtype") and not isinstance(value, torch.Tensor) else value
