"""The options of `run` that say where trials run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..engines.select import ENGINES, RETRIES, EngineOptions

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--engine", type=click.Choice(ENGINES), help="One process, a pool, a cluster; CPU default: a pool."),
    click.option("--workers", type=click.IntRange(min=1), help="Processes; default: the cores, one for the GPU."),
    click.option(
        "--gpus-per-trial", type=click.FloatRange(0, 1), default=0.0, metavar="SHARE",
        help="ray, slurm: share of a GPU for each trial, as in 0.25.",
    ),
    click.option("--address", metavar="ADDRESS", help="ray: a running cluster, as in host:6379, or auto."),
    click.option(
        "--retries", type=click.IntRange(min=0), metavar="N",
        help=f"ray: further attempts of a trial whose machine died; default {RETRIES}.",
    ),
    click.option("--partition", metavar="NAME", help="slurm: the partition."),
    click.option("--time", metavar="TIME", help="slurm: limit of an allocation, as in 4:00:00; default an hour."),
    click.option(
        "--slurm", "sbatch", multiple=True, metavar="NAME=VALUE", help="slurm: any other option of sbatch."
    ),
)  # fmt: skip


def engine_options(function: F) -> F:
    """The options that say where trials run."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def take_engine_options(options: dict[str, Any]) -> EngineOptions:
    """Takes the options of engines out of a command's options, and settles the device by them.

    Raises:
        BadInput: options that do not go together.
    """
    chosen = EngineOptions(**{name: options.pop(name) for name in EngineOptions.__dataclass_fields__})
    options["device"] = chosen.device(options["device"])
    options["device_here"] = not chosen.elsewhere
    return chosen
