"""Regression checks: runs every method on small protocols of generated faces, and compares with stored references."""

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
from ..protocols.designs.regression import CHECK_PROTOCOLS, is_checked_on
from ..protocols.errors import BadInput, printable
from ..protocols.files import read_arrays
from ..protocols.loading import offered
from ..results.records.record import audit_of, headline_of
from ..results.records.schema import Environment
from ..results.records.trial_files import read_epochs, read_part
from ..results.regression.compare import CHECKED, Finding, Measured, Reference, Trace, judge, reach_of_rounding, widened
from ..results.regression.references import EVERYTHING, EntryName, References
from . import registry
from .engines.local import OnEvent, run_inline, run_local
from .registry import MethodSpec
from .settings import Settings
from .training.runner import WorkerContext
from .trial import Job, Trial
from .trial_state import discard, outcome

# The audit counts that depend on the method; the others depend on the rows alone.
AUDITED = ("memorised", "recovered", "kept", "kept_right", "changed", "changed_right", "damaged")


@dataclass(frozen=True)
class Suite:
    """A size of the checks.

    Attributes:
        name: of the profile that its protocols are run at.
        seeds: how many the references have; a check runs the first of them.
        perturbations: factors of the learning rate; how far they change a number shows how far rounding may.
    """

    name: str
    seeds: int
    perturbations: tuple[float, ...]


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "smoke": Suite("smoke", seeds=4, perturbations=(1 + 1e-6, 1 - 1e-6)),
        "small": Suite("small", seeds=3, perturbations=(1 + 1e-6,)),
    }
)


@dataclass(frozen=True)
class Plan:
    """What a check runs: all methods, or some that were named, on the protocols that they are applicable to."""

    suite: Suite
    methods: tuple[MethodSpec, ...]
    some_methods: bool = False

    @property
    def pairs(self) -> dict[EntryName, MethodSpec]:
        """The method of each (protocol, method) pair of names to run."""
        return {
            (protocol.name, method.name): method
            for protocol in CHECK_PROTOCOLS.values()
            for method in self.methods
            if is_checked_on(protocol, method.needs)
            and not method.missing(protocol, offered(protocol, "generated", None))
        }

    def missing(self, references: References) -> frozenset[EntryName]:
        """Pairs that have a reference and are not run; where methods were named, only pairs of these."""
        names = {method.name for method in self.methods}
        known = {pair for pair in references.entries if not self.some_methods or pair[1] in names}
        return frozenset(known - self.pairs.keys())

    @property
    def protocols(self) -> dict[str, str]:
        """The fingerprint of each protocol by name."""
        return {name: protocol.fingerprint(self.suite.name) for name, protocol in CHECK_PROTOCOLS.items()}

    @property
    def epochs(self) -> int:
        """The most epochs of a trial."""
        return max(protocol.profile(self.suite.name).recipe.epochs for protocol in CHECK_PROTOCOLS.values())

    def trials(self, out: Path, seeds: Sequence[int], factor: float = 1.0) -> list[Trial]:
        """The trials of some seeds, with the learning rate times a factor; those of a cell follow each other."""
        return [
            _trial(CHECK_PROTOCOLS[name], self.suite.name, method, out, seed, factor)
            for protocol in CHECK_PROTOCOLS
            for seed in seeds
            for (name, _), method in self.pairs.items()
            if name == protocol
        ]


def make_plan(suite: str, methods: Sequence[str]) -> Plan:
    """The plan of a suite, with the methods named or all of the registry to which a check is applicable.

    Raises:
        BadInput: a method that does not exist, or is applicable to none of the protocols.
    """
    chosen = tuple(registry.find_each(methods)) or tuple(registry.all_base())
    plan = Plan(SUITES[suite], chosen, some_methods=bool(methods))
    applicable = {method for _, method in plan.pairs}
    for method in chosen if methods else ():
        if method.name not in applicable:
            reasons = {f"{name}: it {method.missing(protocol)}" for name, protocol in CHECK_PROTOCOLS.items()}
            raise BadInput(f"--method {method.name} is applicable to no check ({'; '.join(sorted(reasons))})")
    return plan


def check(plan: Plan, references: References, out: Path, workers: int, on_event: OnEvent) -> list[Finding]:
    """Runs a plan and compares it with the references: one finding for each pair, those with a reference alone too."""
    trials = plan.trials(out, CHECKED)
    _run(trials, workers, on_event)
    measured = _by_pair(trials)
    pairs = [*plan.pairs, *sorted(plan.missing(references))]
    return [judge(*pair, references.entries.get(pair), measured.get(pair)) for pair in pairs]


def update(plan: Plan, references: References, reason: str, out: Path, workers: int, on_event: OnEvent) -> References:
    """Runs a plan with all its seeds and perturbations, and returns the references with its numbers.

    Raises:
        BadInput: no reason; a trial that did not finish, since no reference is written from failures.
    """
    if not reason.strip():
        raise BadInput("--update needs --reason TEXT: why the numbers change; it is stored with the references")
    suite = plan.suite
    runs = {1.0: plan.trials(out, range(suite.seeds))} | {
        factor: plan.trials(out, CHECKED, factor) for factor in suite.perturbations
    }
    _run([trial for trials in runs.values() for trial in trials], workers, on_event)
    measured, *perturbed = (_by_pair(trials) for trials in runs.values())
    for found in (measured, *perturbed):
        _refuse_failures(found)
    entries = {pair: _reference(found, [each[pair] for each in perturbed]) for pair, found in measured.items()}
    missing = plan.missing(references)
    return references.updated(plan.protocols, entries, missing, _note(plan, reason, missing))


def widen(plan: Plan, references: References, reason: str, out: Path, workers: int, on_event: OnEvent) -> References:
    """Runs a check, and returns the references with what this CPU computes as rounding that is allowed from now on.

    Raises:
        BadInput: a method without a reference, or whose source is not the reference's; a trial that did not finish.
    """
    for (protocol, method), spec in plan.pairs.items():
        known = references.entries.get((protocol, method))
        if known is None or known.digest != spec.digest:
            why = "has no reference yet" if known is None else "has another source than when its reference was written"
            raise BadInput(f"--widen: {method} on {protocol} {why}; write it with --update, or name others by --method")
    trials = plan.trials(out, CHECKED)
    _run(trials, workers, on_event)
    measured = _by_pair(trials)
    _refuse_failures(measured, "--widen")
    entries = {
        pair: widened(references.entries[pair], {s: t for s, t in found.seeds.items() if not isinstance(t, str)})
        for pair, found in measured.items()
    }
    note = _note(plan, reason, frozenset())
    return references.updated({}, entries, frozenset(), {**note, "wrote": [], "widened": note["wrote"]})


def _refuse_failures(measured: Mapping[EntryName, Measured], option: str = "--update") -> None:
    for (protocol, method), found in measured.items():
        for trace in found.seeds.values():
            if isinstance(trace, str):
                what = f"{method} on {protocol} did not finish ({trace})"
                raise BadInput(f"{option}: {what}; nothing is written: fix it, or name the other methods by --method")


def notes(plan: Plan, references: References) -> tuple[str, ...]:
    """Remarks on the findings: the CPUs, and versions of packages and protocols that are not the references' own."""
    if not references.history:
        return ("there are no references yet: write them with --update --reason TEXT",)
    then, now = references.history[-1]["versions"], versions()
    other = [f"{name} {now[name]} (was {then.get(name)})" for name in now if then.get(name) != now[name]]
    changed = [name for name, mark in plan.protocols.items() if references.protocols.get(name, mark) != mark]
    return (
        "; ".join(f"{what}: {kind}" for what, kind in cpus(plan, references).items()),
        *((f"versions differ from those of the references: {', '.join(other)}",) if other else ()),
        *(f"the protocol {name} has changed: write its references again with --update" for name in changed),
    )


def cpus(plan: Plan, references: References) -> dict[str, str]:
    """The CPUs that the references were written on and that they are compared on; their kernels round differently."""
    wrote = references.cpus([method.name for method in plan.methods])
    writers = " and ".join(each or "a CPU not recorded" for each in wrote) or "none yet"
    return {"references written on": writers, "checked on": cpu()}


def cpu() -> str:
    """The kind of this CPU: its model, where the system names it, and the vector instructions that torch uses."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    model = next(filter(None, [*models, platform.processor()]), platform.machine())
    return printable(f"{model}, {torch.backends.cpu.get_cpu_capability()}")


def versions() -> dict[str, str]:
    """The versions of what the numbers depend on."""
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


def _run(trials: Sequence[Trial], workers: int, on_event: OnEvent) -> None:
    """Trains all trials again: stored ones may be of another version of the code that methods share."""
    for trial in trials:
        discard(trial)
    if workers > 1:
        run_local(trials, on_event, workers)
    else:
        run_inline(trials, on_event, WorkerContext())


def _by_pair(trials: Sequence[Trial]) -> dict[EntryName, Measured]:
    """The numbers of finished trials, by protocol and method."""
    found: dict[EntryName, dict[int, Trace | str]] = {}
    digests = {}
    for trial in trials:
        pair = (trial.job.protocol.name, trial.method.name)
        digests[pair] = trial.method.digest
        found.setdefault(pair, {})[trial.seed] = trace_of(trial)
    return {pair: Measured(digests[pair], seeds) for pair, seeds in found.items()}


def trace_of(trial: Trial) -> Trace | str:
    """The numbers of a finished trial by name, each a series over epochs; for another trial, its state and reason.

    Loss, metric, logs, audit and compute counts of every epoch; after the last epoch the mean probabilities of the
    right and of the most probable label; the numbers of networks and of uses of oracle knowledge.
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
    trace |= {name: [value] for name, value in _confidence(trial).items()}
    return {name: tuple(series) for name, series in trace.items()}


def _confidence(trial: Trial) -> dict[str, float]:
    """Mean probability of the right label and of the most probable one, over test rows after the last epoch."""
    arrays = read_arrays(trial.folder / "predictions.npz")
    predicted, labels = arrays["last"].astype(np.float64), arrays["labels"]
    if trial.job.protocol.kind == "single":
        right, likeliest = predicted[np.arange(len(labels)), labels], predicted.max(axis=1)
    else:
        right = np.where(labels > 0, predicted, 1 - predicted)[labels != 0]
        likeliest = np.maximum(predicted, 1 - predicted)
    return {"right": float(right.mean()), "likeliest": float(likeliest.mean())}


def _reference(measured: Measured, perturbed: Sequence[Measured]) -> Reference:
    seeds = [trace for _, trace in sorted(measured.seeds.items()) if not isinstance(trace, str)]
    repeated = {
        seed: [trace for each in perturbed if not isinstance(trace := each.seeds[seed], str)] for seed in CHECKED
    }
    return Reference(measured.digest, tuple(seeds), reach_of_rounding(seeds, repeated))


def _note(plan: Plan, reason: str, missing: frozenset[EntryName]) -> dict[str, Any]:
    note: dict[str, Any] = {
        "reason": " ".join(reason.split()),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "wrote": sorted({method for _, method in plan.pairs}) if plan.some_methods else EVERYTHING,
        "cpu": cpu(),
        "versions": versions(),
    }
    return note | ({"took_out": sorted("/".join(pair) for pair in missing)} if missing else {})


def scratch() -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for the trials of a check, deleted at its end."""
    return tempfile.TemporaryDirectory(prefix="fernoise-check-")
