"""A grid of toy trials that anything may happen to, and what must be the same whatever did."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch

from fernoise_bench.benchmark.engines.local import run_inline
from fernoise_bench.benchmark.trial import Trial
from fernoise_bench.benchmark.trial_state import FINISHED, state_of
from fernoise_bench.protocols.files import read_arrays, read_json, read_jsonl
from fernoise_bench.results.records.record import load_records
from fernoise_bench.results.records.store import find_trials

from ..toy import ToyContext, toy_trial

# What a run says of itself and of the machine; everything else must be the same whatever happened on the way.
OF_THE_RUN = {
    "seconds",
    "wall_seconds",
    "updated",
    "peak_memory_mb",
    "resumed",
    "checksum",
}  # the last is of the seconds too
SMALL = {"epochs": 3, "batch_size": 32}


def grid(out: Path) -> tuple[Trial, ...]:
    """Six quick trials of both kinds of labels; one learns from a teacher, one has its rows labelled by one."""
    trials = [toy_trial("supervised", out, kind="single", seed=seed, **SMALL) for seed in (0, 1)]
    trials += [toy_trial(name, out, kind="single", **SMALL) for name in ("elr", "co_teaching")]
    return (*trials, toy_trial("distillation", out, kind="multi", **SMALL), taught(out))


def taught(out: Path) -> Trial:
    """A trial whose unverified rows a teacher labels."""
    plain = toy_trial("supervised", out, kind="multi", **SMALL)
    protocol = replace(plain.job.protocol, name="toy-taught", noisy_labels_from="supervised:clean")
    return replace(plain, job=replace(plain.job, protocol=protocol))


def run(trials: Sequence[Trial]) -> list[tuple[str, Mapping[str, Any]]]:
    """Runs what is not finished, as the command does; returns the events by trial."""
    heard: list[tuple[str, Mapping[str, Any]]] = []
    waiting = [trial for trial in trials if state_of(trial) not in FINISHED]
    run_inline(waiting, lambda trial, event: heard.append((trial.id, event)), ToyContext())
    return heard


def warnings_of(heard: Sequence[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """The warnings among events."""
    return [event["warning"] for _, event in heard if "warning" in event]


def life(work: Callable[..., object], *arguments: Any) -> BaseProcess:
    """Starts a process of its own that does some work; it may be killed."""
    process = multiprocessing.get_context("fork").Process(target=_live, args=(work, *arguments))
    process.start()
    return process


def _live(work: Callable[..., object], *arguments: Any) -> None:
    torch.set_num_threads(1)
    work(*arguments)


def timeless(value: Any) -> Any:
    """A stored value without what it says of the run."""
    if isinstance(value, Mapping):
        return {name: timeless(part) for name, part in value.items() if name not in OF_THE_RUN}
    return [timeless(part) for part in value] if isinstance(value, list) else value


def digest(folder: Path) -> dict[str, str]:
    """What is in a trial's folder, by file: bytes of the arrays, the texts without what they say of the run."""
    found = {}
    for path in sorted(folder.iterdir()):
        if path.name == ".lock":
            continue
        content = path.read_bytes()
        if path.suffix in (".json", ".jsonl"):
            read = read_json if path.suffix == ".json" else read_jsonl
            content = json.dumps(timeless(read(path)), sort_keys=True).encode()
        elif path.suffix == ".npz":
            read_arrays(path)
        found[path.name] = hashlib.sha256(content).hexdigest()
    return found


def everything(out: Path) -> dict[str, dict[str, str]]:
    """The digests of every trial and teacher below an output folder; each is counted once and none is damaged."""
    records, damaged = load_records(out)
    trials = find_trials(out)
    assert not damaged
    assert len(records) == len(trials)
    folders = [*trials, *sorted(path for path in (out / "artifacts").glob("*") if path.is_dir())]
    return {folder.relative_to(out).as_posix(): digest(folder) for folder in folders}
