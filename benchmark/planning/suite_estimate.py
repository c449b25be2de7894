"""What the whole suite costs: every table of every paper, on paper sizes, estimated before anything is run."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from ...protocols import catalog
from ...protocols.base import Protocol, Recipe
from ...protocols.errors import BadInput
from ...protocols.loading import offered
from ...results.papers.reported import TABLE_IDS
from ...results.papers.tables import wanted
from .. import registry
from ..progress import duration
from ..registry import MethodSpec
from .compute_count import Sizes, Work, count
from .device_speed import Speed, assumed, measured

SEEDS = 8
# Rows of a cell at the paper profile: (training, of them verified, looked at after each epoch); of folds their mean.
# FER+, RAF-DB, AffectNet: the owners' counts. BP4D: 146,847 coded frames, DISFA: 130,814, of which two thirds train.
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
Network = tuple[str, str, int, int]
"""Encoder, neck, the neck's queries, side of the pictures: what an image's time depends on."""


@dataclass(frozen=True)
class CostLine:
    """The trials of one method on one protocol, equal but for fold, level and seed.

    Attributes:
        cells: folds times levels.
        rest, trained: forwards without and with a backward of one trial.
        teachers: names of the methods whose model it needs first.
        tables: the papers' tables that print it.
    """

    protocol: str
    method: str
    cells: int
    folds: int
    rest: float
    trained: float
    network: Network
    teachers: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class SuiteCost:
    """What all tables ask for: trials, the teachers they share, and what cannot run, with the reason."""

    lines: tuple[CostLine, ...]
    teachers: Mapping[tuple[str, str], CostLine]
    left_out: Mapping[str, str]


@dataclass
class _Counted:
    """Work by method and kind of recipe, counted once each."""

    found: dict[tuple[str, str, bool, int, bool], Work] = field(default_factory=dict)

    def __call__(self, method: MethodSpec, protocol: Protocol, *, artifact: bool = False) -> Work:
        recipe = protocol.paper.recipe
        key = (method.name, protocol.kind, recipe.sampler == "fixed", recipe.epochs, artifact)
        if key not in self.found:
            self.found[key] = count(method, protocol, artifact=artifact)
        return self.found[key]


def suite(table_ids: Iterable[str] = TABLE_IDS) -> SuiteCost:
    """Everything the tables ask for at the paper profile; a cell that several tables print is there once.

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
    methods = {typed: _found(typed) for typed in dict.fromkeys(typed for _, typed in levels)}
    lines, teachers, left_out, counted = [], {}, {}, _Counted()
    for (name, typed), found in levels.items():
        protocol, method = catalog.find(name), methods[typed]
        reason = method if isinstance(method, str) else method.missing(protocol, offered(protocol, "real", None))
        if isinstance(method, str) or reason:
            left_out[f"{typed} on {name}"] = reason
            continue
        line = _line(method, protocol, len(found), counted, tuple(tables[name, typed]))
        lines.append(line)
        for teacher in line.teachers:
            if (name, teacher) not in teachers:
                teachers[name, teacher] = _teacher(registry.find(teacher), protocol, counted)
    return SuiteCost(tuple(lines), teachers, left_out)


def _found(typed: str) -> MethodSpec | str:
    """The method of a name, or why there is none."""
    try:
        return registry.find(typed)
    except BadInput as error:
        return str(error)


def _line(method: MethodSpec, protocol: Protocol, levels: int, counted: _Counted, tables: tuple[str, ...]) -> CostLine:
    recipe, folds = protocol.paper.recipe, len(protocol.folds) or 1
    rest, trained = counted(method, protocol).of(recipe, PUBLISHED[protocol.name])
    teachers = tuple(dict.fromkeys(name for name in (protocol.noisy_labels_from, method.teacher) if name))
    network = _network(recipe, protocol)
    return CostLine(protocol.name, method.name, folds * levels, folds, rest, trained, network, teachers, tables)


def _teacher(method: MethodSpec, protocol: Protocol, counted: _Counted) -> CostLine:
    """The training of a teacher, and its look at all training rows."""
    recipe, sizes, folds = protocol.paper.recipe, PUBLISHED[protocol.name], len(protocol.folds) or 1
    work = counted(method, protocol, artifact=True)
    rest, trained = work.of(recipe, sizes)
    rest += work.looks * sizes.train
    return CostLine(protocol.name, f"teacher {method.name}", folds, folds, rest, trained, _network(recipe, protocol))


def _network(recipe: Recipe, protocol: Protocol) -> Network:
    return recipe.encoder, recipe.neck, len(protocol.names) if recipe.neck else 0, recipe.augmentation.crop


def speeds_of(found: SuiteCost, gpu: str | None, device: str, precision: str) -> dict[Network, Speed]:
    """The speed of every network of a suite: assumed of a named GPU, else measured on this machine's device.

    Raises:
        BadInput: an unknown GPU, or one without that precision.
    """
    networks = dict.fromkeys(line.network for line in (*found.lines, *found.teachers.values()))
    if gpu is not None:
        return {network: assumed(gpu, precision, *network) for network in networks}
    return {network: measured(torch.device(device), precision, *network) for network in networks}


def estimate_suite(found: SuiteCost, speeds: Mapping[Network, Speed], seeds: int, devices: int) -> dict[str, Any]:
    """Device-hours, wall time and the critical path of a suite.

    Args:
        found: what is to be run.
        speeds: of each of its networks.
        seeds: trials of each cell; a teacher is trained once for a fold and seed.
        devices: each runs one trial at a time.

    Returns:
        Plain data: a line for each protocol, totals in hours, the longest chain (a teacher, then its slowest pupil).
    """
    teachers = {key: (line, _hours(line, speeds)) for key, line in found.teachers.items()}
    jobs, poles = [], []
    for line in found.lines:
        hours = _hours(line, speeds)
        before = sum(teachers[line.protocol, name][1] for name in line.teachers)
        jobs.append((line, hours, line.cells * seeds, before))
        poles.append((before + hours, line, before))
    longest, slowest, before = max(poles, key=lambda pole: pole[0])
    total = sum(hours * times for _, hours, times, _ in jobs)
    total += sum(hours * line.folds * seeds for line, hours in teachers.values())
    waits = [(hours, 0.0) for line, hours in teachers.values() for _ in range(line.folds * seeds)]
    waits += [(hours, first) for _, hours, times, first in jobs for _ in range(times)]
    return {
        "tables": len({table for line in found.lines for table in line.tables}),
        "seeds": seeds,
        "trials": sum(times for _, _, times, _ in jobs),
        "teachers": sum(line.folds * seeds for line, _ in teachers.values()),
        "protocols": [_protocol(name, jobs, teachers, seeds) for name in dict.fromkeys(j[0].protocol for j in jobs)],
        "left_out": dict(found.left_out),
        "device_hours": total,
        "devices": devices,
        "wall_hours": wall(waits, devices),
        "critical_path": {
            "protocol": slowest.protocol,
            "method": slowest.method,
            "hours": longest,
            "of_which_teachers": before,
            "teachers": list(slowest.teachers),
        },
        "speeds": [{"network": words(network), **asdict(speed)} for network, speed in speeds.items()],
    }


def _hours(line: CostLine, speeds: Mapping[Network, Speed]) -> float:
    speed = speeds[line.network]
    return (line.trained / speed.trained + line.rest / speed.inference_rate) / 3600


def _protocol(
    name: str,
    jobs: Sequence[tuple[CostLine, float, int, float]],
    teachers: Mapping[tuple[str, str], tuple[CostLine, float]],
    seeds: int,
) -> dict[str, Any]:
    mine = [job for job in jobs if job[0].protocol == name]
    taught = [(line, hours) for (protocol, _), (line, hours) in teachers.items() if protocol == name]
    shared = sum(hours * line.folds * seeds for line, hours in taught)
    return {
        "protocol": name,
        "methods": len(mine),
        "trials": sum(times for _, _, times, _ in mine),
        "teachers": sum(line.folds * seeds for line, _ in taught),
        "device_hours": sum(hours * times for _, hours, times, _ in mine) + shared,
        "longest_trial_hours": max(hours for _, hours, _, _ in mine),
        "network": words(mine[0][0].network),
    }


def wall(waits: Iterable[tuple[float, float]], devices: int) -> float:
    """Hours until the last job ends, when each free device takes the longest job that may begin.

    Args:
        waits: (hours, earliest beginning) of each job.
        devices: how many run at a time.
    """
    order = sorted(waits, key=lambda job: (job[1], -job[0]))
    free = [0.0] * devices
    for hours, first in order:
        heapq.heappush(free, max(heapq.heappop(free), first) + hours)
    return max(free)


def words(network: Network) -> str:
    """A network as people say it."""
    encoder, neck, queries, side = network
    return f"{encoder}{f' + {neck} neck of {queries} queries' if neck else ''} at {side} px"


def text(found: Mapping[str, Any], device: str) -> str:
    """The reckoning for people."""
    head = (
        f"the whole suite: {found['tables']} tables · profile paper · {found['seeds']} seeds · published data sizes\n"
        f"{found['trials']:,} trials and {found['teachers']:,} shared teachers; forwards and backwards counted"
    )
    lines = [
        f"  {line['protocol']:<26}{line['methods']:>3} methods {line['trials']:>5,} trials {line['teachers']:>3} "
        f"teachers {line['device_hours']:>10,.1f} {device}-hours   slowest trial {_short(line['longest_trial_hours'])}"
        for line in found["protocols"]
    ]
    left = [f"  not run: {name}: {reason}" for name, reason in found["left_out"].items()]
    speeds = [f"speed, {how}:" for how in dict.fromkeys(speed["how"] for speed in found["speeds"])]
    speeds += [_speed_line(speed) for speed in found["speeds"]]
    pole, devices = found["critical_path"], found["devices"]
    taught = f", {_short(pole['of_which_teachers'])} of them its teacher {', '.join(pole['teachers'])}"
    tail = [
        f"in all {found['device_hours']:,.0f} {device}-hours; {_short(found['wall_hours'])} on {devices} "
        f"{device}{'s' * (devices > 1)} (evenly divided: {_short(found['device_hours'] / devices)})",
        f"critical path: {pole['method']} on {pole['protocol']}, {_short(pole['hours'])}"
        + (taught if pole["teachers"] else ""),
    ]
    return "\n".join([head, *lines, *left, *speeds, *tail])


def _speed_line(speed: Mapping[str, Any]) -> str:
    line = f"  {speed['network']}: {speed['trained']:,.0f} images/s trained, {speed['inference_rate']:,.0f} evaluated"
    if speed["training_gflops"] is None:
        return line
    return f"{line}; {speed['training_gflops']:.1f} and {speed['forward_gflops']:.1f} GFLOPs an image"


def _short(hours: float) -> str:
    return duration(3600 * hours) if hours < 48 else f"{hours / 24:,.1f} days"
