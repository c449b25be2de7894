"""The training loop, the same for all methods.

It alone handles optimiser, schedule, precision, device, checkpoints, counters, evaluation and values that are not
finite. A method gets Task, TrainView and Batch, and nothing else.
"""

from __future__ import annotations

import contextlib
import functools
import math
import operator
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...methods.base import Batch, Method, Step, Task
from ...protocols.base import Recipe
from ...protocols.rows import Array, CellData
from .. import random_streams
from ..networks.dlib_resnet import CALIBRATION_FACES, calibrated
from ..networks.encoders import CountedEncoder, Counters, EncoderFactory
from ..networks.initial_weights import Weights
from ..settings import apply_to_process
from ..trial import Trial
from . import checkpoint
from .audit.auditor import Auditor
from .audit.transition_audit import TransitionAudit
from .augmentation import test_view
from .evaluator import Diverged, Evaluator
from .keep_weights import keep_if_asked
from .loader import TrainSet, make_task, make_train_set
from .sampler import Sampler
from .state import Training
from .step_check import check_gradient, check_losses, check_parts, check_step

CLEAR_REFS = Path("/proc/self/clear_refs")

Report = Callable[[Mapping[str, Any]], None]


def start(trial: Trial, data: CellData, weights: Weights, teacher: Array | None = None) -> Training:
    """Constructs a trial's method and what its training needs; `teacher` are a teacher's probabilities [N, C]."""
    settings = trial.job.settings
    device = apply_to_process(settings)
    began, started = clock(device), time.perf_counter()
    forget_peak_memory(device)
    recipe = settings.recipe
    sampler = Sampler(recipe, data.train.verified, data.train.given, trial.seed)
    needs = trial.method.needs
    train_set = make_train_set(data.train, sampler, trial.seed, trial.method.base, device, teacher, needs)
    task = make_task(trial.job.protocol, data, sampler, needs)
    counters = Counters()
    neck = (recipe.neck, task.num_classes)
    if weights.kind == "dlib" and weights.state is not None:
        weights = replace(weights, state=calibrated(weights.state, calibration_faces(train_set, trial.seed)))
    factory = EncoderFactory(
        recipe.encoder, weights, trial.seed, counters, settings.precision, device, *neck, settings.compiled
    )
    with random_streams.scope(device, trial.seed, "construction"):
        method = construct(trial, task, factory, train_set, device)
    reference = torch.from_numpy(data.train.reference).to(device)
    return Training(
        method=method,
        task=task,
        optimizer=make_optimizer(method, recipe),
        train_set=train_set,
        evaluator=Evaluator(trial.job.protocol, data, recipe.augmentation, device),
        auditor=Auditor(train_set.labels, reference, trial.job.protocol.kind, task.num_classes),
        transition_audit=TransitionAudit(data.train, task.num_classes),
        counters=counters,
        seconds=clock(device) - began,
        wall_seconds=time.perf_counter() - started,
    )


def construct(trial: Trial, task: Task, factory: EncoderFactory, train_set: TrainSet, device: torch.device) -> Method:
    """A trial's method, on the device, and prepared."""
    method = trial.method.load()(task, factory, trial.method.params)
    method.to(device)
    method.prepare(train_set.view(0))
    return method


def calibration_faces(train_set: TrainSet, seed: int) -> Tensor:
    """Training faces [N, 3, H, W] in [0, 1], not augmented, on which an encoder is calibrated; drawn by the seed."""
    stream = random_streams.key(seed, "calibration")
    rows = random_streams.order(stream, np.arange(len(train_set.sample_id)))[:CALIBRATION_FACES]
    store, position = train_set.pixels.fetch(torch.from_numpy(np.sort(rows)).to(train_set.device))
    return test_view(store, position, train_set.augmentation)


def train(trial: Trial, training: Training, report: Report) -> None:
    """Runs the epochs that are left, and writes a checkpoint and a line of epochs.jsonl after each.

    Raises:
        Diverged: a loss or a prediction is not finite; the message says where.
        ValueError: there was nothing to train, or the method has parts that would not be trained or resumed.
    """
    recipe, device = trial.job.settings.recipe, training.train_set.device
    state = training.method.state_dict().keys()
    while training.next_epoch < recipe.epochs:
        began, started = clock(device), time.perf_counter()
        epoch = training.next_epoch
        with random_streams.scope(device, trial.seed, "network", epoch):
            line = run_epoch(training, recipe, epoch)
        check_parts(training.method, training.optimizer, state)
        trained = time.perf_counter() - started
        line["compute"] = training.counters.take()
        with random_streams.scope(device, trial.seed, "evaluation", epoch):
            line |= training.evaluator.epoch(training.method, epoch)
            keep_if_asked(trial, training, line)
        training.counters.take()  # evaluation is not counted as the method's compute
        line["seconds"] = clock(device) - began
        training.seconds += line["seconds"]
        training.wall_seconds += time.perf_counter() - started
        training.lines.append(line)
        training.next_epoch += 1
        checkpoint.save(trial.folder, training)
        rows = training.train_set.sampler.steps * training.train_set.sampler.batch_size
        report(
            {
                "epoch": epoch + 1,
                "epochs": recipe.epochs,
                "loss": line["loss"],
                "images_per_second": rows / trained,
            }
        )
    check_losses([line["loss"] for line in training.lines])


def clock(device: torch.device) -> float:
    """Seconds for the record: processor time on the CPU, which other programs do not change; wall time on a GPU."""
    return time.process_time() if device.type == "cpu" else time.perf_counter()


def run_epoch(training: Training, recipe: Recipe, epoch: int) -> dict[str, Any]:
    """Trains one epoch; returns its line for epochs.jsonl without the evaluation."""
    method = training.method
    rate = set_learning_rate(training.optimizer, recipe, epoch)
    method.train()
    method.begin_epoch(epoch, training.train_set.view(epoch))
    sums = Sums(training.train_set.device, training.train_set.sampler.steps)
    for batch in training.train_set.batches(epoch, method.views):
        run_step(training, batch, sums)
    loss, logs = sums.close(epoch)
    audit, by_class = training.auditor.epoch_counts()
    return {
        "epoch": epoch,
        "learning_rate": rate,
        "loss": loss,
        "logs": logs,
        "audit": audit,
        "audit_by_class": by_class,
        **training.transition_audit.of(method, last=epoch == recipe.epochs - 1),
    }


def run_step(training: Training, batch: Batch, sums: Sums) -> None:
    """Trains one step, without waiting for the device unless the method does."""
    method, optimizer = training.method, training.optimizer
    rows = batch.index.clone()  # for the auditor, in case the method changes the batch
    step = check_step(method.loss(batch), len(rows), training.task)
    training.auditor.watch(rows, step)
    sums.add(batch.step, step)
    if step.loss is None:
        return
    optimizer.zero_grad(set_to_none=True)
    step.loss.backward()  # type: ignore[no-untyped-call]
    check_gradient(optimizer)
    optimizer.step()
    method.after_step()


def make_optimizer(method: Method, recipe: Recipe) -> torch.optim.Optimizer:
    """An optimiser of all parameters, with the recipe's learning rate for encoders and multiples of it for the rest.

    The factors are `neck_factors` for parts of a neck, 1 for its convolution, as for the backbone, and `head_factor`
    for all that is outside encoders. Parameters of the method's own groups have the rate and weight decay of these.

    Raises:
        ValueError: a parameter in two groups of the method, one that is not the method's, or a rate below 0.
    """
    own = _own_groups(method, recipe)
    apart = {id(parameter) for group in own for parameter in group["params"]}
    encoders = [module for module in method.modules() if isinstance(module, CountedEncoder)]
    factors = (1.0, *(factor for _, factor in recipe.neck_factors), recipe.head_factor)
    group_of = {id(parameter): 0 for encoder in encoders for parameter in encoder.parameters()}
    for number, (part, _) in enumerate(recipe.neck_factors, 1):
        group_of |= {id(parameter): number for encoder in encoders for parameter in encoder.neck_parameters(part)}
    head = len(factors) - 1
    trained = [p for p in method.parameters() if p.requires_grad and id(p) not in apart]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if group_of.get(id(p), head) == number], "factor": factor}
        for number, factor in enumerate(factors)
    ]
    groups = [group for group in groups if group["params"]] + own
    groups = [{**group, "lr": recipe.learning_rate * group["factor"]} for group in groups]
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(groups, recipe.learning_rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)
    kind = torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, recipe.learning_rate, weight_decay=recipe.weight_decay)


def _own_groups(method: Method, recipe: Recipe) -> list[dict[str, Any]]:
    """The method's own groups of parameters, as an optimiser takes them."""
    names = {id(parameter): name for name, parameter in method.named_parameters()}
    seen: set[int] = set()
    found = []
    for group in method.parameter_groups() if isinstance(method, Method) else ():
        for parameter in group.parameters:
            if id(parameter) not in names:
                shape = list(parameter.shape)
                raise ValueError(f"parameter_groups() names a parameter {shape} that is none of the method's")
            if id(parameter) in seen:
                raise ValueError(f"parameter_groups() names {names[id(parameter)]} twice")
            seen.add(id(parameter))
        if not 0 <= group.learning_rate < math.inf:
            raise ValueError(f"parameter_groups() has a learning rate of {group.learning_rate}: it must be 0 or more")
        factor = group.learning_rate / recipe.learning_rate
        found.append({"params": list(group.parameters), "factor": factor, "weight_decay": group.weight_decay})
    return [group for group in found if group["params"]]


def set_learning_rate(optimizer: torch.optim.Optimizer, recipe: Recipe, epoch: int) -> float:
    """Sets the learning rates of an epoch (0-based); returns that of the encoders."""
    decays = {"constant": 0, "exponential": epoch, "steps": sum(epoch >= start for start in recipe.milestones)}
    rate = recipe.learning_rate * recipe.decay ** decays[recipe.schedule]
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return rate


def forget_peak_memory(device: torch.device) -> None:
    """Resets the peak memory: of the CUDA device, else on Linux of the process."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif CLEAR_REFS.exists():
        with contextlib.suppress(OSError):
            CLEAR_REFS.write_text("5")


def peak_memory_mb(device: torch.device) -> float | None:
    """Peak memory since the reset, in MB: of the CUDA device, else on Linux of the process; None elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    if not CLEAR_REFS.exists():
        return None
    lines = CLEAR_REFS.with_name("status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), None)


class Sums:
    """Means of losses and logs over the steps of an epoch, on the device, and the first loss that is not finite."""

    def __init__(self, device: torch.device, steps: int) -> None:
        self._losses = torch.zeros(steps, dtype=torch.float64, device=device)
        self._steps = 0
        self._logs: dict[str, list[float | Tensor]] = {}

    def add(self, number: int, step: Step) -> None:
        """Adds what a step reported, by its number in the epoch."""
        for name, value in step.logs.items():
            self._logs.setdefault(name, []).append(value.detach() if isinstance(value, Tensor) else value)
        if step.loss is not None:
            self._losses[number] = step.loss.detach()
            self._steps += 1

    def close(self, epoch: int) -> tuple[float | None, dict[str, float | None]]:
        """Mean loss (None without an update) and mean logs; raises Diverged where a loss was not finite."""
        losses = self._losses.tolist()
        for number, loss in enumerate(losses):
            if not math.isfinite(loss):
                raise Diverged(f"loss not finite at epoch {epoch}, step {number}")
        means = {name: sum(_floats(values)) / len(values) for name, values in self._logs.items()}
        logs = {name: mean if math.isfinite(mean) else None for name, mean in means.items()}
        # added one after the other: Python's sum() corrects rounding from version 3.12 on
        return (functools.reduce(operator.add, losses, 0.0) / self._steps if self._steps else None), logs


def _floats(values: Sequence[float | Tensor]) -> list[float]:
    """The values as numbers, brought from the device together where all of them are there."""
    tensors = [value.reshape(()).double() for value in values if isinstance(value, Tensor)]
    if len(tensors) < len(values):
        return [float(value) for value in values]
    return torch.stack(tensors).tolist()
