"""`run` and `plan`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ...protocols.errors import BadInput, printable
from ..engines.select import default_workers
from .engine_options import engine_options, take_engine_options
from .record_options import named

if TYPE_CHECKING:
    from ...results.records.record import Record
    from ..engines.select import EngineOptions
    from ..planning.grid import Grid, RunRequest
    from ..trial import Trial

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--protocol", metavar="NAME", help="What to measure; `list` shows the names."),
    click.option("--table", metavar="ID", help="What a paper's table lacks, as in recot-4; other options narrow it."),
    click.option("--method", "methods", multiple=True, metavar="NAME", help="A method, name:variant, file.py:Class."),
    click.option("--all-methods", is_flag=True, help="Every method that is applicable."),
    click.option("--without", multiple=True, metavar="NAME", help="Leave a method out of --all-methods."),
    click.option("--noise", default="", metavar="RATES", help="Noise levels, as in 0.2,0.4; default: the protocol's."),
    click.option("--fold", "folds", multiple=True, metavar="NAME", help="A fold, by name or number; default: all."),
    click.option("--seeds", type=int, metavar="N", help="Seeds 0 to N-1; default the paper's runs, or 3; smoke 1."),
    click.option("--profile", type=click.Choice(["paper", "small", "smoke"]), help="Default paper; synthetic: small."),
    click.option("--synthetic", is_flag=True, help="Generated faces instead of a licensed data set."),
    click.option(
        "--data-root", type=click.Path(path_type=Path), envvar="FERNOISE_DATA", default=Path("data"), show_default=True,
        metavar="DIR", help="Folder of data sets in their published layout (env FERNOISE_DATA).",
    ),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option("--precision", type=click.Choice(["fp32", "tf32", "bf16"]), default="fp32", show_default=True),
    click.option("--compile", "compiled", is_flag=True,
                 help="torch.compile the encoders: for large ones on a GPU; never in a column with others."),
    click.option("--weights", metavar="WORD|FILE",
                 help="Initial weights, not the recipe's: none, imagenet, msceleb, vggface2, a file."),
    click.option("--recipe", type=click.Choice(["protocol", "native"]), default="protocol", show_default=True,
                 help="The protocol's recipe for all, or each method's own paper's; never in one column."),
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


def _wish(options: dict[str, Any]) -> RunRequest:
    from ..planning.grid import RunRequest, numbers

    noise = numbers(options.pop("noise"), "--noise")
    folds = tuple(fold for typed in options.pop("folds") for fold in typed.split(","))
    return RunRequest(levels=noise, folds=folds, protocol=options.pop("protocol") or "", **options)


def _grids(table: str | None, options: dict[str, Any]) -> tuple[Grid, ...]:
    """The grid of a protocol, or those of a paper's table; methods that cannot run there are named."""
    from ..planning.grid import make_grid
    from ..planning.table_grid import make_table_grid

    if table is None:
        if not options["protocol"]:
            raise BadInput("name what to measure with --protocol NAME, or a paper's table with --table ID")
        return (make_grid(_wish(options)),)
    table_grid = make_table_grid(table, _wish(options))
    for name, reason in table_grid.left_out.items():
        click.echo(f"  not run: {name}: {reason}", err=True)
    return table_grid.grids


@click.command()
@grid_options
@engine_options
@click.option("--fresh", is_flag=True, help="Train again what is finished.")
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="How long an epoch may still take after SIGTERM.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def run(table: str | None, fresh: bool, grace: float, as_json: bool, **options: Any) -> None:
    """Train methods on a protocol, or what a paper's table lacks; run it again to continue."""
    from ..planning.grid import check_writable
    from ..trial_state import outcome, unfinished

    engine = take_engine_options(options)
    grids = _grids(table, options)
    check_writable(grids[0].job.out)
    records, damaged = _stored(grids)
    waiting = [list(grid.trials) if fresh else unfinished(grid.trials, records) for grid in grids]
    for grid, left in zip(grids, waiting, strict=True):
        _run_grid(grid, left, engine, fresh=fresh, grace=grace)
    if any(waiting):
        records, damaged = _stored(grids)
    for message in damaged:
        click.echo(f"damaged: {message}", err=True)
    trials = [trial for grid in grids for trial in grid.trials]
    mine = _of(trials, records)
    form = "json" if as_json else "github"
    if table is None:
        _print_table(grids[0], mine, form)
    else:
        _print_paper_table(table, grids, mine, form)
    done = {record.folder for record in mine if record.done}
    failed = [(trial, outcome(trial)) for trial in trials if _name(trial) not in done]
    for trial, found in failed:
        click.echo(f"{found['state']}: {trial.label}: {printable(str(found['reason']))}", err=True)
    sys.exit(1 if failed else 0)


def _run_grid(grid: Grid, waiting: Sequence[Trial], engine: EngineOptions, *, fresh: bool, grace: float) -> None:
    """Runs the trials of a grid that wait; afresh, what is on disk of them goes first."""
    from ..planning.grid import describe

    if waiting:
        _build_encoder_once(grid)
    if fresh:
        _discard(grid)
    _announce(grid, waiting, describe(grid.trials))
    if waiting:
        _run(grid, waiting, engine, grace)


def _discard(grid: Grid) -> None:
    from ..trial_state import discard

    try:
        for trial in grid.trials:
            discard(trial)
    except OSError as error:
        what = f"{error.filename or grid.job.out} cannot be removed ({error.strerror or error})"
        raise BadInput(f"--fresh: {what}; remove it yourself, or leave --fresh out") from error


@click.command()
@grid_options
@click.option("--workers", type=click.IntRange(min=1), help="Processes of the pool; default: the cores.")
@click.option("--all", "whole", is_flag=True, help="The whole suite: every paper's table, paper profile, 8 seeds.")
@click.option("--gpus", type=click.IntRange(min=1), metavar="N", help="With --all: devices; default: --workers.")
@click.option("--gpu", metavar="MODEL", help="With --all: assume this GPU, as in h100; default: measure this device.")
@click.option("--json", "as_json", is_flag=True)
def plan(
    table: str | None,
    workers: int | None,
    whole: bool,
    gpus: int | None,
    gpu: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Say what a run would do: cells, trials, estimated time. Nothing is trained or written."""
    import json

    from ..planning.estimate import estimate, text

    if whole:
        _plan_suite(table, gpus or workers, gpu, as_json, options)
        return
    if gpus or gpu:
        raise BadInput("--gpus and --gpu go with --all; for one protocol or table say --workers N")
    grids = _grids(table, options)
    found = [estimate(grid, workers or default_workers(grid.job.settings.device)) for grid in grids]
    if as_json:
        click.echo(json.dumps(found[0] if table is None else found, indent=1))
    else:
        click.echo("\n\n".join(map(text, found)))


def _plan_suite(
    table: str | None, devices: int | None, gpu: str | None, as_json: bool, options: dict[str, Any]
) -> None:
    """What every paper's table together would cost, on an assumed GPU or on this machine's own device."""
    import json

    from ..planning.suite_estimate import SEEDS, estimate_suite, speeds_of, suite, text
    from ..settings import check_precision, choose_device

    names = ("protocol", "noise", "recipe", "without", "synthetic", "profile", "weights")
    asked = {"--table": table, **{f"--{name}": options[name] for name in names}, "--fold": options["folds"]}
    asked |= {"--method": options["methods"], "--all-methods": options["all_methods"], "--compile": options["compiled"]}
    if narrow := [name for name, value in asked.items() if value not in (None, "", (), False, "protocol", "paper")]:
        raise BadInput(f"--all plans every paper's table in full; leave out {', '.join(narrow)}")
    device = "cuda" if gpu else choose_device(options["device"])
    check_precision(options["precision"], device)
    found = suite()
    speeds = speeds_of(found, gpu, device, options["precision"])
    estimated = estimate_suite(found, speeds, options["seeds"] or SEEDS, devices or default_workers(device))
    name = gpu or ("GPU" if device == "cuda" else "core")
    click.echo(json.dumps(estimated, indent=1) if as_json else text(estimated, name))


def _build_encoder_once(grid: Grid) -> None:
    """Builds the encoder, so that weights that are absent or wrong end the run before it writes."""
    from ..networks.encoders import build_model
    from ..networks.initial_weights import resolve

    job, recipe = grid.job, grid.job.settings.recipe
    build_model(recipe.encoder, resolve(job.weights, recipe.encoder, job.data_root), recipe.neck)


def _announce(grid: Grid, waiting: Sequence[Trial], what: str) -> None:
    job = grid.job
    faces = "generated faces" if job.source == "generated" else f"real faces in {job.data_root}"
    click.echo(f"{job.protocol.name} v{job.protocol.version} · {job.profile} · {faces} · {what}", err=True)
    for name, reason in grid.not_applicable.items():
        click.echo(f"  not applicable: {name}: {reason}", err=True)
    finished = len(grid.trials) - len(waiting)
    if finished:
        click.echo(f"  {finished} finished before, {len(waiting)} to run (results in {job.out})", err=True)


def _run(grid: Grid, waiting: Sequence[Trial], engine: EngineOptions, grace: float) -> None:
    from ..engines.select import run_on_engine
    from ..engines.signals import stoppable
    from ..progress import Progress

    progress = Progress(len(waiting), grid.job.settings.recipe.epochs)
    try:
        with stoppable(grace) as stop:
            run_on_engine(waiting, progress, engine, grid.data, lambda line: click.echo(f"  {line}", err=True), stop)
    except OSError as error:
        raise BadInput(
            f"--out {grid.job.out}: {error.strerror or error}; finished trials are safe, run again"
        ) from error
    finally:
        progress.close()


def _stored(grids: Sequence[Grid]) -> tuple[list[Record], list[str]]:
    """All records of the output folder, and a message for each that is damaged."""
    from ...results.records.cache import load_cached

    return load_cached(grids[0].job.out)


def _name(trial: Trial) -> str:
    """A trial's folder as its record has it."""
    return trial.folder.relative_to(trial.job.out).as_posix()


def _of(trials: Sequence[Trial], records: Sequence[Record]) -> list[Record]:
    """The records of exactly the trials that were asked for."""
    asked = set(map(_name, trials))
    return [record for record in records if record.folder in asked]


def _print_paper_table(table: str, grids: Sequence[Grid], mine: Sequence[Record], form: str) -> None:
    """A paper's table with what was just measured in it."""
    from ...results.papers.tables import paper_table
    from ...results.tables.render import render

    click.echo(render(paper_table(mine, table, runs=named(grids[0].job.out)), form), nl=False)
    click.echo(f"again: fernoise-bench table {table} --runs {grids[0].job.out}", err=True)


def _print_table(grid: Grid, mine: Sequence[Record], form: str) -> None:
    """The table of exactly what was asked for, from what is on disk."""
    from ...results.analysis.view import Expected
    from ...results.tables.protocol_tables import protocol_table
    from ...results.tables.render import render

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
