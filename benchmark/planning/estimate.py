"""What a run would do and how long it would take, from finished trials or from the encoder's speed on this device."""

from __future__ import annotations

import statistics
from typing import Any

import torch

from ...methods.base import Task, view_kinds
from ...protocols.activity import doing
from ...protocols.rows import CellData
from ...results.records.schema import Status
from ...results.records.trial_files import read_part
from ..networks.encoders import CountedEncoder, Counters, EncoderFactory
from ..networks.initial_weights import Weights
from ..progress import counted, duration
from ..registry import MethodSpec
from ..settings import apply_to_process
from ..training.loader import make_task
from ..training.sampler import Sampler
from ..trial import Trial
from ..trial_state import FINISHED, state_of
from .device_speed import Speed, measured_speed, network_of
from .grid import Grid
from .schedule import wall_time


def estimate(grid: Grid, workers: int) -> dict[str, Any]:
    """Trials, how many of them are finished, and seconds for the rest.

    Args:
        grid: what a run would run.
        workers: processes that would share the trials.

    Returns:
        Plain data: counts, a line for each method with its seconds and how these are known, and the totals.
    """
    job = grid.job
    data = grid.faces()
    first = grid.trials[0]
    cell = data.cell(first.fold, first.level, first.draw, first.job.noise_salt)
    speed = _speed(first)
    lines: list[dict[str, Any]] = []
    for name in grid.methods:
        trials = [trial for trial in grid.trials if trial.method.name == name]
        states = [state_of(trial) for trial in trials]
        seconds, source = _seconds_each(trials, states, cell, speed)
        to_run = sum(state not in FINISHED for state in states)
        lines.append({"method": name, "trials": len(trials), "to_run": to_run, "seconds_each": seconds, "from": source})
    left = [(line["seconds_each"], 0.0) for line in lines for _ in range(line["to_run"])]
    return {
        "protocol": f"{job.protocol.name} v{job.protocol.version}",
        "profile": job.profile,
        "source": job.source,
        "device": job.settings.device,
        "rows": {"train": len(cell.train), "test": len(cell.test)},
        "cells": len({(trial.method.name, trial.fold, trial.level) for trial in grid.trials}),
        "trials": len(grid.trials),
        "to_run": sum(line["to_run"] for line in lines),
        "methods": lines,
        "not_applicable": grid.not_applicable,
        "seconds_of_one_worker": sum(seconds for seconds, _ in left),
        "workers": workers,
        "seconds": wall_time(left, workers),
    }


def estimate_text(found: dict[str, Any]) -> str:
    """An estimate as text."""
    head = (
        f"{found['protocol']} · {found['profile']} · {found['source']} faces · {found['device']} · "
        f"{found['rows']['train']} training and {found['rows']['test']} test rows\n"
        f"{counted(found['cells'], 'cell')}, {counted(found['trials'], 'trial')}, {found['to_run']} to run\n"
    )
    lines = [
        f"  {line['method']:<28} {line['to_run']:>4} of {line['trials']:>4} x "
        f"{duration(line['seconds_each']):>12}  ({line['from']})"
        for line in found["methods"]
    ]
    skipped = [f"  {name:<28} not applicable: {reason}" for name, reason in found["not_applicable"].items()]
    total = f"about {duration(found['seconds'])} with {counted(found['workers'], 'worker')}"
    return head + "\n".join(lines + skipped) + "\n" + total


def _seconds_each(trials: list[Trial], states: list[str], cell: CellData, speed: Speed) -> tuple[float, str]:
    """Seconds of one trial of a method, and how they are known: from its finished trials, else from its networks."""
    finished = [
        read_part(trial.folder, Status).seconds or 0.0
        for trial, state in zip(trials, states, strict=True)
        if state == "done"
    ]
    if finished:
        return statistics.median(finished), f"median of {len(finished)} finished"
    recipe = trials[0].job.settings.recipe
    sampler = Sampler(recipe, cell.train.verified, cell.train.given, 0)
    task = make_task(trials[0].job.protocol, cell, sampler, trials[0].method.needs)
    passes = count_passes(trials[0].method, task)
    evaluated = len(cell.test) + (0 if cell.validation is None else len(cell.validation))
    epoch = passes * (sampler.steps * sampler.batch_size / speed.trained + evaluated / speed.inference_rate)
    source = f"{passes} pass{'es' * (passes > 1)} per sample at {speed.trained:.0f} images/s, measured now"
    return recipe.epochs * epoch, source


def count_passes(method: MethodSpec, task: Task) -> int:
    """Passes of each training sample through an encoder: the networks of a method, or its views where they are more."""
    with torch.random.fork_rng(devices=[]):
        factory = EncoderFactory("small", Weights("none"), 0, Counters(), "fp32", torch.device("cpu"))
        built = method.load()(task, factory, method.params)
    networks = sum(isinstance(module, CountedEncoder) for module in built.modules())
    return max(networks, len(view_kinds(built.views)))


def _speed(trial: Trial) -> Speed:
    """The speed of a trial's encoder on this machine."""
    settings = trial.job.settings
    network = network_of(settings.recipe, trial.job.protocol)
    with doing("measuring how fast this machine trains"):
        return measured_speed(apply_to_process(settings), settings.precision, network, compiled=settings.compiled)
