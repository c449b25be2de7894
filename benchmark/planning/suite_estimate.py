"""Estimates the cost of the whole suite: every table of every paper at the paper profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple

import torch

from ...protocols import catalog
from ...protocols.base import Protocol
from ...protocols.errors import BadInput
from ...protocols.loading import offered
from ...results.papers.reported import TABLE_IDS
from ...results.papers.tables import wanted
from .. import registry
from ..progress import duration
from ..registry import MethodSpec
from ..settings import set_arithmetic
from .compute_count import ComputeCount, Sizes, count
from .device_speed import Network, Speed, assumed_speed, measured_speed, network_of
from .schedule import wall_time

SEEDS = 8
# Rows of a cell at the paper profile (training, verified training, evaluated); with several folds their mean.
# FER+, RAF-DB, AffectNet: the owners' counts. BP4D: 146,847 coded frames, DISFA: 130,814, two thirds of them training.
# ReCoT §4.1: 50,000 noisy faces; 15,000 of 20,722 EmotioNet rows train. AffectNet's automatic part: Co-curing §4.1.
PUBLISHED: Mapping[str, Sizes] = {
    "ferplus-sym": Sizes(25_060, 0, 3_199 + 3_153),
    "rafdb-sym": Sizes(12_271, 0, 3_068),
    "affectnet-sym": Sizes(287_651, 0, 4_000),
    "affectnet7-sym": Sizes(283_901, 0, 3_500),
    "affectnet-auto": Sizes(460_000, 0, 3_500),
    "emotionet-3split": Sizes(65_000, 15_000, 5_722),
    "emotionet-3split-scratch": Sizes(65_000, 15_000, 5_722),
    "bp4d-3fold": Sizes(97_898 + 50_000, 97_898, 48_949),
    "disfa-3fold": Sizes(87_209 + 50_000, 87_209, 43_605),
    "bp4d-3fold-plain": Sizes(97_898, 0, 48_949),
    "disfa-3fold-plain": Sizes(87_209, 0, 43_605),
}


@dataclass(frozen=True)
class CostLine:
    """The trials of one method on one protocol, which differ in fold, level and seed.

    Attributes:
        cells: folds times levels.
        forward_only, trained: images of one trial with a forward pass alone, and with a forward and a backward pass.
        teachers: names of the methods that have to be trained first.
        tables: the papers' tables with these trials.
    """

    protocol: str
    method: str
    cells: int
    forward_only: float
    trained: float
    network: Network
    teachers: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()

    def hours(self, speeds: Mapping[Network, Speed]) -> float:
        """Device-hours of one trial."""
        speed = speeds[self.network]
        return (self.trained / speed.trained + self.forward_only / speed.inference_rate) / 3600


@dataclass(frozen=True)
class SuiteCost:
    """The trials of all tables, their teachers by (protocol, method), and what cannot run, with the reasons."""

    lines: tuple[CostLine, ...]
    teachers: Mapping[tuple[str, str], CostLine]
    left_out: Mapping[str, str]


@dataclass
class _Counts:
    """Compute counts by method and kind of recipe, each counted once."""

    found: dict[tuple[str, str, bool, int, bool], ComputeCount] = field(default_factory=dict)

    def of(self, method: MethodSpec, protocol: Protocol, *, artifact: bool = False) -> ComputeCount:
        recipe = protocol.paper.recipe
        key = (method.name, protocol.kind, recipe.sampler == "fixed", recipe.epochs, artifact)
        if key not in self.found:
            self.found[key] = count(method, protocol, artifact=artifact)
        return self.found[key]


def suite(table_ids: Iterable[str] = TABLE_IDS) -> SuiteCost:
    """The trials of some tables at the paper profile; cells that are in several tables are counted once.

    Raises:
        BadInput: no such table.
    """
    levels: dict[tuple[str, str], set[float | None]] = {}
    tables: dict[tuple[str, str], list[str]] = {}
    for table_id in table_ids:
        for each in wanted(table_id):
            key = (each.protocol, each.method)
            levels.setdefault(key, set()).update(each.levels or (None,))
            tables.setdefault(key, []).append(table_id)
    lines, teachers, left_out, counts = [], {}, {}, _Counts()
    for (name, typed), found in levels.items():
        protocol = catalog.find(name)
        try:
            method = registry.find(typed)
            reason = method.missing(protocol, offered(protocol, "real", None))
        except BadInput as error:
            reason = str(error)
        if reason:
            left_out[f"{typed} on {name}"] = reason
            continue
        line = _line(method, protocol, counts)
        lines.append(replace(line, cells=line.cells * len(found), tables=tuple(tables[name, typed])))
        for teacher in line.teachers:
            if (name, teacher) not in teachers:
                teachers[name, teacher] = _line(registry.find(teacher), protocol, counts, artifact=True)
    return SuiteCost(tuple(lines), teachers, left_out)


def _line(method: MethodSpec, protocol: Protocol, counts: _Counts, *, artifact: bool = False) -> CostLine:
    """The trials of a method on all folds at one level; with artifact, those of a teacher."""
    recipe, sizes = protocol.paper.recipe, PUBLISHED[protocol.name]
    compute = counts.of(method, protocol, artifact=artifact)
    forward_only, trained = compute.total(recipe, sizes)
    folds, network = len(protocol.folds) or 1, network_of(recipe, protocol)
    if artifact:
        forward_only += compute.prediction * sizes.train  # its probabilities on all training rows
        return CostLine(protocol.name, f"teacher {method.name}", folds, forward_only, trained, network)
    teachers = tuple(dict.fromkeys(name for name in (protocol.noisy_labels_from, method.teacher) if name))
    return CostLine(protocol.name, method.name, folds, forward_only, trained, network, teachers)


def speeds_of(cost: SuiteCost, gpu: str | None, device: str, precision: str) -> dict[Network, Speed]:
    """The speed of every network of a suite: assumed for a named GPU, else measured on this machine's device."""
    networks = dict.fromkeys(line.network for line in (*cost.lines, *cost.teachers.values()))
    if gpu is not None:
        return {network: assumed_speed(gpu, precision, network) for network in networks}
    set_arithmetic(precision)
    return {network: measured_speed(torch.device(device), precision, network) for network in networks}


class _Job(NamedTuple):
    """The trials of a line: hours of each, how many, and hours of the teachers that have to be trained before."""

    line: CostLine
    hours: float
    trials: int
    teacher_hours: float = 0.0


def estimate_suite(cost: SuiteCost, speeds: Mapping[Network, Speed], seeds: int, devices: int) -> dict[str, Any]:
    """Device-hours, wall time and critical path of a suite.

    Args:
        cost: the trials.
        speeds: of each network in it.
        seeds: trials of each cell; a teacher is trained once for each fold and seed.
        devices: each runs one trial at a time.

    Returns:
        Plain data: a line for each protocol, totals in hours, and the longest sequence of a teacher and a trial.
    """
    teachers = {key: _Job(line, line.hours(speeds), line.cells * seeds) for key, line in cost.teachers.items()}
    jobs = [
        _Job(line, line.hours(speeds), line.cells * seeds, sum(teachers[line.protocol, t].hours for t in line.teachers))
        for line in cost.lines
    ]
    slowest = max(jobs, key=lambda job: job.teacher_hours + job.hours)
    starts = [(job.hours, job.teacher_hours) for job in (*teachers.values(), *jobs) for _ in range(job.trials)]
    return {
        "tables": len({table for line in cost.lines for table in line.tables}),
        "seeds": seeds,
        "trials": sum(job.trials for job in jobs),
        "teachers": sum(job.trials for job in teachers.values()),
        "protocols": [
            _protocol_line(name, jobs, list(teachers.values()))
            for name in dict.fromkeys(line.protocol for line in cost.lines)
        ],
        "left_out": dict(cost.left_out),
        "device_hours": _device_hours(jobs) + _device_hours(teachers.values()),
        "devices": devices,
        "wall_hours": wall_time(starts, devices),
        "critical_path": {
            "protocol": slowest.line.protocol,
            "method": slowest.line.method,
            "hours": slowest.teacher_hours + slowest.hours,
            "of_which_teachers": slowest.teacher_hours,
            "teachers": list(slowest.line.teachers),
        },
        "speeds": [{"network": str(network), **asdict(speed)} for network, speed in speeds.items()],
    }


def _device_hours(jobs: Iterable[_Job]) -> float:
    return sum(job.hours * job.trials for job in jobs)


def _protocol_line(name: str, jobs: Sequence[_Job], teachers: Sequence[_Job]) -> dict[str, Any]:
    jobs, teachers = ([job for job in each if job.line.protocol == name] for each in (jobs, teachers))
    return {
        "protocol": name,
        "methods": len(jobs),
        "trials": sum(job.trials for job in jobs),
        "teachers": sum(job.trials for job in teachers),
        "device_hours": _device_hours(jobs) + _device_hours(teachers),
        "longest_trial_hours": max(job.hours for job in jobs),
        "network": str(jobs[0].line.network),
    }


def suite_text(found: Mapping[str, Any], device: str) -> str:
    """The result of `estimate_suite` as text, with a name for a device."""
    head = (
        f"the whole suite: {found['tables']} tables · profile paper · {found['seeds']} seeds · published data sizes\n"
        f"{found['trials']:,} trials and {found['teachers']:,} shared teachers; forward and backward passes counted"
    )
    lines = [
        f"  {line['protocol']:<26}{line['methods']:>3} methods {line['trials']:>5,} trials {line['teachers']:>3} "
        f"teachers {line['device_hours']:>10,.1f} {device}-hours   slowest trial {_short(line['longest_trial_hours'])}"
        for line in found["protocols"]
    ]
    left_out = [f"  not run: {name}: {reason}" for name, reason in found["left_out"].items()]
    speeds = [f"speed, {how}:" for how in dict.fromkeys(speed["how"] for speed in found["speeds"])]
    speeds += [_speed_line(speed) for speed in found["speeds"]]
    path, devices = found["critical_path"], found["devices"]
    teachers = f", {_short(path['of_which_teachers'])} of it for the teacher {', '.join(path['teachers'])}"
    totals = [
        f"in total {found['device_hours']:,.0f} {device}-hours; {_short(found['wall_hours'])} on {devices} "
        f"{device}{'s' * (devices > 1)} (evenly divided: {_short(found['device_hours'] / devices)})",
        f"critical path: {path['method']} on {path['protocol']}, {_short(path['hours'])}"
        + (teachers if path["teachers"] else ""),
    ]
    return "\n".join([head, *lines, *left_out, *speeds, *totals])


def _speed_line(speed: Mapping[str, Any]) -> str:
    line = f"  {speed['network']}: {speed['trained']:,.0f} images/s trained, {speed['inference_rate']:,.0f} evaluated"
    if speed["training_gflops"] is None:
        return line
    return f"{line}; {speed['training_gflops']:.1f} and {speed['forward_gflops']:.1f} GFLOPs per image"


def _short(hours: float) -> str:
    return duration(3600 * hours) if hours < 48 else f"{hours / 24:,.1f} days"
