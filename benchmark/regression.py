"""Regression checks: every method on small protocols of generated faces, held against references."""

from __future__ import annotations

import datetime
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import timm
import torch
from msgspec.structs import asdict

from ..protocols.base import Protocol
from ..protocols.designs.regression import CHECK_PROTOCOLS
from ..protocols.errors import BadInput
from ..protocols.files import read_arrays
from ..protocols.loading import offered
from ..results.records.record import audit_of, headline_of
from ..results.records.schema import Environment
from ..results.records.trial_files import read_epochs, read_part
from ..results.regression.compare import CHECKED, Finding, Measured, Reference, Trace, judge, reach_of_rounding
from ..results.regression.references import EntryName, References
from . import registry
from .engines.local import Listen, run_inline, run_local
from .registry import MethodSpec
from .settings import Settings
from .training.runner import WorkerContext, discard, outcome
from .trial import Job, Trial

# What the method did, of the audit's counts; the others follow from the rows.
AUDITED = ("memorised", "recovered", "kept", "kept_right", "changed", "changed_right", "damaged")


@dataclass(frozen=True)
class Suite:
    """A size of the checks: the profile of its protocols.

    Attributes:
        name: of the profile.
        seeds: that references keep; the first ones are those that a check runs.
        echoes: factors of the learning rate that stand for rounding.
    """

    name: str
    seeds: int
    echoes: tuple[float, ...]


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "smoke": Suite("smoke", seeds=4, echoes=(1 + 1e-6, 1 - 1e-6)),
        "small": Suite("small", seeds=3, echoes=(1 + 1e-6,)),
    }
)


@dataclass(frozen=True)
class Plan:
    """What a check runs: methods by name, on the protocols that they apply to."""

    suite: Suite
    methods: tuple[MethodSpec, ...]
    narrowed: bool = False

    @property
    def pairs(self) -> dict[EntryName, MethodSpec]:
        """Every protocol and method that go together, by their names."""
        return {
            (protocol.name, method.name): method
            for protocol in CHECK_PROTOCOLS.values()
            for method in self.methods
            if not method.missing(protocol, offered(protocol, "generated", None))
        }

    def lost(self, references: References) -> frozenset[EntryName]:
        """Pairs that only the references know; of a narrowed plan those of its own methods."""
        names = {method.name for method in self.methods}
        known = {pair for pair in references.entries if not self.narrowed or pair[1] in names}
        return frozenset(known - self.pairs.keys())

    @property
    def protocols(self) -> dict[str, str]:
        """Fingerprints of the protocols, by name."""
        return {name: protocol.fingerprint(self.suite.name) for name, protocol in CHECK_PROTOCOLS.items()}

    @property
    def epochs(self) -> int:
        """Of each trial."""
        return max(protocol.profile(self.suite.name).recipe.epochs for protocol in CHECK_PROTOCOLS.values())

    def trials(self, out: Path, seeds: Sequence[int], factor: float = 1.0) -> list[Trial]:
        """The trials of some seeds, neighbours sharing a cell; the learning rate times a factor."""
        return [
            _trial(CHECK_PROTOCOLS[name], self.suite.name, method, out, seed, factor)
            for protocol in CHECK_PROTOCOLS
            for seed in seeds
            for (name, _), method in self.pairs.items()
            if name == protocol
        ]


def make_plan(suite: str, methods: Sequence[str]) -> Plan:
    """The plan of a suite: the methods that are named, or all of the registry.

    Raises:
        BadInput: a method that does not exist or applies to none of the protocols.
    """
    chosen = tuple(map(registry.find, methods)) or tuple(registry.all_base())
    plan = Plan(SUITES[suite], chosen, narrowed=bool(methods))
    able = {method for _, method in plan.pairs}
    for method in chosen:
        if method.name not in able:
            reasons = {f"{name}: it {method.missing(protocol)}" for name, protocol in CHECK_PROTOCOLS.items()}
            raise BadInput(f"--method {method.name} applies to no check ({'; '.join(sorted(reasons))})")
    return plan


def check(plan: Plan, references: References, out: Path, workers: int, listen: Listen) -> list[Finding]:
    """Runs a plan and compares: one finding for each protocol and method, those that only references know included."""
    trials = plan.trials(out, CHECKED)
    _run(trials, workers, listen)
    measured = _by_pair(trials)
    pairs = [*plan.pairs, *sorted(plan.lost(references))]
    return [judge(*pair, references.entries.get(pair), measured.get(pair)) for pair in pairs]


def update(plan: Plan, references: References, reason: str, out: Path, workers: int, listen: Listen) -> References:
    """Runs a plan with all its seeds and echoes; the references with its numbers in them.

    Raises:
        BadInput: no reason; a method that did not reach its end: no reference is written from failures.
    """
    if not reason.strip():
        raise BadInput("--update: say why the numbers change, with --reason TEXT; the references keep it")
    suite = plan.suite
    runs = {1.0: plan.trials(out, range(suite.seeds))} | {
        factor: plan.trials(out, CHECKED, factor) for factor in suite.echoes
    }
    _run([trial for trials in runs.values() for trial in trials], workers, listen)
    measured, *echoes = (_by_pair(trials) for trials in runs.values())
    for found in (measured, *echoes):
        _refuse_failures(found)
    entries = {pair: _reference(found, [echo[pair] for echo in echoes]) for pair, found in measured.items()}
    lost = plan.lost(references)
    return references.updated(plan.protocols, entries, lost, _note(plan, reason, lost))


def _refuse_failures(measured: Mapping[EntryName, Measured]) -> None:
    for (protocol, method), found in measured.items():
        for trace in found.seeds.values():
            if isinstance(trace, str):
                what = f"{method} on {protocol} did not reach its end ({trace})"
                raise BadInput(f"--update: {what}; nothing is written: mend it, or leave it out by --method")


def notes(plan: Plan, references: References) -> tuple[str, ...]:
    """What a reader of the findings should know: other versions, protocols that are not what they were."""
    if not references.history:
        return ("there are no references yet: write them with --update --reason TEXT",)
    then, now = references.history[-1]["versions"], versions()
    other = [f"{name} {now[name]} (was {then.get(name)})" for name in now if then.get(name) != now[name]]
    changed = [name for name, mark in plan.protocols.items() if references.protocols.get(name, mark) != mark]
    return (
        *((f"other versions than the references': {', '.join(other)}",) if other else ()),
        *(f"{name} itself is not what it was: its references have to be written anew" for name in changed),
    )


def versions() -> dict[str, str]:
    """Of what numbers depend on."""
    return {
        "numpy": np.__version__,
        "python": platform.python_version(),
        "timm": timm.__version__,
        "torch": torch.__version__,
        "machine": platform.machine(),
    }


def _trial(protocol: Protocol, profile: str, method: MethodSpec, out: Path, seed: int, factor: float) -> Trial:
    recipe = protocol.profile(profile).recipe
    recipe = replace(recipe, learning_rate=recipe.learning_rate * factor)
    settings = Settings("cpu", "fp32", "none", "", "", recipe)
    job = Job(protocol, profile, "generated", out, out, settings, "none", partial=False)
    fold, level = (*protocol.folds, None)[0], (*protocol.levels, None)[0]
    return Trial(job, method, fold, level, seed)


def _run(trials: Sequence[Trial], workers: int, listen: Listen) -> None:
    """Trains all of them anew: what a folder holds may be of another state of the code that methods share."""
    for trial in trials:
        discard(trial)
    if workers > 1:
        run_local(trials, listen, workers)
    else:
        run_inline(trials, listen, WorkerContext())


def _by_pair(trials: Sequence[Trial]) -> dict[EntryName, Measured]:
    """What finished trials did, by protocol and method."""
    found: dict[EntryName, dict[int, Trace | str]] = {}
    digests = {}
    for trial in trials:
        pair = (trial.job.protocol.name, trial.method.name)
        digests[pair] = trial.method.digest
        found.setdefault(pair, {})[trial.seed] = trace_of(trial)
    return {pair: Measured(digests[pair], seeds) for pair, seeds in found.items()}


def trace_of(trial: Trial) -> Trace | str:
    """The numbers of a finished trial by name, each as a series over epochs that ends with the last one; else why not.

    Loss, logs, audit and compute of every epoch, the protocol's metric; of the last epoch how probable the right
    label and the likeliest one are; how many networks there are, and how often the method knew too much.
    """
    found = outcome(trial)
    if found["state"] != "done":
        return f"{found['state']}: {found['reason']}"
    environment = read_part(trial.folder, Environment)
    trace: dict[str, list[float | None]] = {}
    for line in read_epochs(trial.folder):
        audit = {name: getattr(audit_of(line), name) for name in AUDITED}
        numbers = {"loss": line.loss, "metric": headline_of(trial.job.protocol.kind, line.test.confusion)}
        reported = {name: count for name, count in audit.items() if count is not None}
        for name, value in (numbers | line.logs | reported | asdict(line.compute)).items():
            trace.setdefault(name, []).append(value)
    trace |= {"networks": [environment.networks], "oracle_knowledge": [len(environment.oracle_knowledge)]}
    trace |= {name: [value] for name, value in _sureness(trial).items()}
    return {name: tuple(series) for name, series in trace.items()}


def _sureness(trial: Trial) -> dict[str, float]:
    """Mean probability of the right label and of the likeliest one, over test rows after the last epoch."""
    arrays = read_arrays(trial.folder / "predictions.npz")
    said, labels = arrays["last"].astype(np.float64), arrays["labels"]
    if trial.job.protocol.kind == "single":
        return {
            "right": float(said[np.arange(len(labels)), labels].mean()),
            "likeliest": float(said.max(axis=1).mean()),
        }
    right = np.where(labels > 0, said, 1 - said)[labels != 0]
    return {"right": float(right.mean()), "likeliest": float(np.maximum(said, 1 - said).mean())}


def _reference(measured: Measured, echoes: Sequence[Measured]) -> Reference:
    seeds = [trace for _, trace in sorted(measured.seeds.items()) if not isinstance(trace, str)]
    repeated = {seed: [trace for echo in echoes if not isinstance(trace := echo.seeds[seed], str)] for seed in CHECKED}
    return Reference(measured.digest, tuple(seeds), reach_of_rounding(seeds, repeated))


def _note(plan: Plan, reason: str, lost: frozenset[EntryName]) -> dict[str, Any]:
    note: dict[str, Any] = {
        "reason": " ".join(reason.split()),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "wrote": sorted({method for _, method in plan.pairs}) if plan.narrowed else "everything",
        "versions": versions(),
    }
    return note | ({"took_out": sorted("/".join(pair) for pair in lost)} if lost else {})


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder for the trials of a check that nobody wants to keep."""
    return tempfile.TemporaryDirectory(prefix="fernoise-check-")
