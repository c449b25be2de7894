"""`run` and `plan`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..protocols.errors import BadInput

if TYPE_CHECKING:
    from .cells import Grid, Wish
    from .trial import Trial

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--protocol", required=True, metavar="NAME", help="What to measure; `list` shows the names."),
    click.option("--method", "methods", multiple=True, metavar="NAME", help="A method, name:variant, file.py:Class."),
    click.option("--all-methods", is_flag=True, help="Every method that is applicable."),
    click.option("--without", multiple=True, metavar="NAME", help="Leave a method out of --all-methods."),
    click.option("--noise", default="", metavar="RATES", help="Noise levels, as in 0.2,0.4; default: the protocol's."),
    click.option("--fold", "folds", multiple=True, metavar="NAME", help="A fold, by name or number; default: all."),
    click.option("--seeds", type=int, metavar="N", help="Seeds 0 to N-1; default 3, smoke 1."),
    click.option("--profile", type=click.Choice(["paper", "small", "smoke"]), help="Default paper; synthetic: small."),
    click.option("--synthetic", is_flag=True, help="Generated faces instead of a licensed data set."),
    click.option(
        "--data-root", type=click.Path(path_type=Path), envvar="FERNOISE_DATA", default=Path("data"), show_default=True,
        metavar="DIR", help="Folder of data sets in their published layout (env FERNOISE_DATA).",
    ),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16"]), default="fp32", show_default=True),
    click.option("--weights", metavar="WORD|FILE", help="Initial weights, not the recipe's: none, imagenet, a file."),
    click.option("--partial", is_flag=True, help="Allow data that differ from the published set; tables say so."),
    click.option(
        "--out", type=click.Path(path_type=Path), default=Path("fernoise-runs"), show_default=True, metavar="DIR"
    ),
)  # fmt: skip


def grid_options(function: F) -> F:
    """The options `run` and `plan` share."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def _wish(options: dict[str, Any]) -> Wish:
    from .cells import Wish, numbers

    noise = numbers(options.pop("noise"), "--noise")
    folds = tuple(fold for typed in options.pop("folds") for fold in typed.split(","))
    return Wish(levels=noise, folds=folds, **options)


@click.command()
@grid_options
@click.option(
    "--engine", type=click.Choice(["inline", "local"]), help="One process or a pool; default: a pool on the CPU."
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes of the pool; default: the cores, one a GPU.")
@click.option("--fresh", is_flag=True, help="Train again what is finished.")
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def run(engine: str | None, workers: int | None, fresh: bool, as_json: bool, **options: Any) -> None:
    """Train methods on a protocol; run it again to continue."""
    from .cells import check_writable, describe, make_grid
    from .runner import FINISHED, discard, outcome, state_of

    grid = make_grid(_wish(options))
    check_writable(grid.job.out)
    waiting = [trial for trial in grid.trials if fresh or state_of(trial) not in FINISHED]
    if waiting:
        _build_encoder_once(grid)
    if fresh:
        for trial in grid.trials:
            discard(trial)
    _announce(grid, waiting, describe(grid.trials))
    if waiting:
        _run(grid, waiting, engine, workers)
    _print_table(grid, "json" if as_json else "github")
    failed = [(trial, found) for trial in grid.trials if (found := outcome(trial))["state"] != "done"]
    for trial, found in failed:
        click.echo(f"{found['state']}: {trial.label}: {found['reason']}", err=True)
    sys.exit(1 if failed else 0)


@click.command()
@grid_options
@click.option("--workers", type=click.IntRange(min=1), help="Processes of the pool; default: the cores.")
@click.option("--json", "as_json", is_flag=True)
def plan(workers: int | None, as_json: bool, **options: Any) -> None:
    """Say what a run would do: cells, trials, estimated time. Nothing is trained or written."""
    import json

    from .cells import make_grid
    from .plan import estimate, text

    grid = make_grid(_wish(options))
    found = estimate(grid, workers or default_workers(grid.job.settings.device))
    click.echo(json.dumps(found, indent=1) if as_json else text(found))


def default_workers(device: str) -> int:
    """One process a core that this process may use, or one for the GPU."""
    if device == "cuda":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _build_encoder_once(grid: Grid) -> None:
    """Builds the encoder, so that weights that are absent or wrong end the run before it writes."""
    from .encoders import build_model
    from .weights import resolve

    job = grid.job
    build_model(job.settings.recipe.encoder, resolve(job.weights, job.settings.recipe.encoder, job.data_root))


def _announce(grid: Grid, waiting: Sequence[Trial], what: str) -> None:
    job = grid.job
    faces = "generated faces" if job.source == "generated" else f"real faces in {job.data_root}"
    click.echo(f"{job.protocol.name} v{job.protocol.version} · {job.profile} · {faces} · {what}", err=True)
    for name, reason in grid.not_applicable.items():
        click.echo(f"  not applicable: {name}: {reason}", err=True)
    finished = len(grid.trials) - len(waiting)
    if finished:
        click.echo(f"  {finished} finished before, {len(waiting)} to run (results in {job.out})", err=True)


def _run(grid: Grid, waiting: Sequence[Trial], engine: str | None, workers: int | None) -> None:
    from .engines import run_inline, run_local
    from .progress import Progress
    from .runner import Workplace

    workers = workers or default_workers(grid.job.settings.device)
    chosen = engine or ("local" if workers > 1 and len(waiting) > 1 else "inline")
    progress = Progress(len(waiting), grid.job.settings.recipe.epochs)
    try:
        if chosen == "inline":
            run_inline(waiting, progress, Workplace(opened=grid.data))
        else:
            run_local(waiting, progress, workers)
    except OSError as error:
        raise BadInput(
            f"--out {grid.job.out}: {error.strerror or error}; finished trials are safe, run again"
        ) from error
    finally:
        progress.close()


def _print_table(grid: Grid, form: str) -> None:
    """The table of exactly what was asked for, from what is on disk."""
    from ..results.records import load_records
    from ..results.render import render
    from ..results.tables import protocol_table
    from ..results.views import Expected

    records, damaged = load_records(grid.job.out)
    asked = {trial.id for trial in grid.trials}
    mine = [record for record in records if record.folder.rpartition("/")[2] in asked]
    for message in damaged:
        click.echo(f"damaged: {message}", err=True)
    expected = Expected(
        methods=grid.methods,
        levels=tuple(dict.fromkeys(trial.level for trial in grid.trials)),
        folds=tuple(dict.fromkeys(trial.fold for trial in grid.trials)),
        pairs=tuple(dict.fromkeys((trial.seed, trial.draw) for trial in grid.trials)),
        not_applicable=grid.not_applicable,
    )
    if mine:
        click.echo(render(protocol_table(mine, expected), form), nl=False)
        again = f"fernoise-bench table {grid.job.protocol.name} --runs {grid.job.out}"
        click.echo(f"more: {again} --long, or --audit, or --format latex", err=True)
