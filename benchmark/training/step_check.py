"""Checks of what a method's `loss` returns, so that a mistake is named and not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

import torch
from torch import Tensor, nn

from ...methods.base import Step, Task

_MAKE_IT = "make parameters and buffers in __init__ or prepare, and change their values alone"


def check_step(step: object, rows: int, task: Task) -> Step:
    """A step as it was returned for a batch of so many rows.

    Raises:
        TypeError: it is no Step, or a part of it is of another type.
        ValueError: a part of another shape, a loss without gradient, or weights or targets with one.
    """
    if not isinstance(step, Step):
        raise TypeError(f"loss() must return a Step, not {type(step).__name__}")
    classes = task.num_classes
    by_row = ("K", rows) if task.kind == "single" else ("K", rows, classes)
    soft = ("K", rows, classes)
    _check_loss(step.loss)
    _check_tensor("probabilities", step.probabilities, ((rows, classes),))
    _check_tensor("weight", step.weight, (("K", rows), by_row), constant=True)
    _check_tensor("target", step.target, (by_row, soft), constant=True)
    if not isinstance(step.logs, Mapping):
        raise TypeError(f"Step.logs must be a mapping of scalars, not {type(step.logs).__name__}")
    for name, value in step.logs.items():
        if not isinstance(value, int | float) and not (isinstance(value, Tensor) and value.numel() == 1):
            raise TypeError(f"Step.logs['{name}'] must be a number or a tensor of one number, not {_told(value)}")
    return step


def check_gradient(optimizer: torch.optim.Optimizer) -> None:
    """Raises ValueError where the loss that was just differentiated reached no parameter."""
    groups = (group["params"] for group in optimizer.param_groups)
    if all(parameter.grad is None for parameters in groups for parameter in parameters):
        raise ValueError("Step.loss depends on no parameter of the method, so that nothing is trained")


def check_parts(method: nn.Module, optimizer: torch.optim.Optimizer, state: Set[str]) -> None:
    """Raises ValueError where a method has parts that it had not when its training began.

    Args:
        method: after an epoch.
        optimizer: of the parameters it had then.
        state: the names of the parameters and buffers it had then.
    """
    if other := sorted(state ^ method.state_dict().keys()):
        raise ValueError(f"{other[0]} came or went during training, so that no trial can be resumed: {_MAKE_IT}")
    trained = {id(parameter) for group in optimizer.param_groups for parameter in group["params"]}
    for name, parameter in method.named_parameters():
        if parameter.requires_grad and id(parameter) not in trained:
            raise ValueError(f"{name} was replaced or unfrozen during training, so that it is not trained: {_MAKE_IT}")


def check_losses(losses: Sequence[float | None]) -> None:
    """Raises ValueError where no epoch of a training has a loss."""
    if all(loss is None for loss in losses):
        raise ValueError("loss() returned no loss at any step, so that nothing was trained")


def _check_loss(loss: object) -> None:
    if loss is None:
        return
    if not isinstance(loss, Tensor) or loss.shape != () or not loss.is_floating_point():
        raise TypeError(f"Step.loss must be a floating-point scalar tensor or None, not {_told(loss)}")
    if not loss.requires_grad:
        raise ValueError("Step.loss has no gradient: it depends on no parameter of the method, or was detached")


def _check_tensor(
    name: str, value: object, shapes: tuple[tuple[int | str, ...], ...], *, constant: bool = False
) -> None:
    """A tensor of one of some shapes, in which "K" stands for any number of networks; None is allowed."""
    if value is None:
        return
    if not isinstance(value, Tensor):
        raise TypeError(f"Step.{name} must be a tensor or None, not {_told(value)}")
    if not any(_fits(value, shape) for shape in shapes):
        words = " or ".join(dict.fromkeys(f"[{', '.join(map(str, shape))}]" for shape in shapes))
        raise ValueError(f"Step.{name} must be of shape {words}, not {list(value.shape)}")
    if constant and value.requires_grad:
        raise ValueError(f"Step.{name} must carry no gradient: detach it")


def _fits(value: Tensor, shape: tuple[int | str, ...]) -> bool:
    return len(value.shape) == len(shape) and all(
        wanted in ("K", found) for wanted, found in zip(shape, value.shape, strict=True)
    )


def _told(value: object) -> str:
    """What a value is, in a message."""
    return f"a tensor {value.dtype} {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
