"""`run` and `plan`: train methods, or estimate what that would take."""

from __future__ import annotations

import contextlib
import os
import secrets
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from ...protocols.activity import doing
from ...protocols.errors import BadInput, printable
from ..engines.options import default_workers
from .data import prepare_own_data
from .options.common import JSON, print_json, warn_of_damage
from .options.records import unless_default
from .options.run import GroupedCommand, engine_options, grid_options, take_engine_options
from .options.terminal import folded, print_tables

if TYPE_CHECKING:
    from ...results.records.record import Record
    from ..engines.options import EngineOptions
    from ..planning.grid import Grid, RunRequest
    from ..trial import Trial

GRACE = 10.0  # seconds


def _run_request(options: dict[str, Any]) -> RunRequest:
    from ..planning.grid import RunRequest, numbers

    noise = numbers(options.pop("noise"), "--noise")
    folds = tuple(fold for value in options.pop("folds") for fold in value.split(","))
    salt = secrets.token_hex(8) if options["noise_salt"] == "random" else options["noise_salt"]
    options = {**options, "noise_salt": salt}
    return RunRequest(levels=noise, folds=folds, protocol=options.pop("protocol") or "", **options)


def _grids(table: str | None, options: dict[str, Any]) -> tuple[Grid, ...]:
    """The grid of a protocol, or those of a paper's table; names methods that cannot run on standard error."""
    from ..planning.grid import make_grid
    from ..planning.table_grid import make_table_grid

    if table is None:
        if not options["protocol"]:
            raise BadInput("name what to run with --protocol NAME, or a paper's table with --table ID")
        if not options["synthetic"]:
            prepare_own_data(options["protocol"], options["data_root"], default_workers("cpu"))
        return (make_grid(_run_request(options)),)
    table_grid = make_table_grid(table, _run_request(options))
    for name, reason in table_grid.left_out.items():
        click.echo(f"  not run: {name}: {reason}", err=True)
    return table_grid.grids


@click.command(cls=GroupedCommand)
@grid_options
@engine_options
@click.option("--fresh", is_flag=True, help="Delete the finished trials and train them again.")
@click.option(
    "--grace", type=click.FloatRange(min=0), default=GRACE, show_default=True, metavar="SECONDS",
    help="How long the running epoch may still take after SIGTERM.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the table as JSON.")
def run(table: str | None, fresh: bool, grace: float, as_json: bool, **options: Any) -> None:
    """Train methods on a protocol, or for a paper's table.

    Prints the table at the end. Run the same command again to continue: finished trials are kept, interrupted ones go
    on from their last epoch.

    \b
    fernoise-bench run --protocol fer2013-real --method elr,gce --seeds 3
    fernoise-bench run --protocol bp4d-3fold --all-methods --synthetic
    fernoise-bench run --table cocuring-2 --profile small
    fernoise-bench run --protocol ferplus-sym --method mine.py:Mine --noise 0.4
    """
    from ...results.analysis.plausibility import implausible
    from ...results.records.cache import load_cached
    from ...results.records.trial_files import TRACEBACK
    from ..planning.grid import check_writable
    from ..trial_state import outcome, unfinished

    engine = take_engine_options(options)
    grids = _grids(table, options)
    out = grids[0].job.out
    check_writable(out)
    with doing(f"reading the trials in {out}"):
        records, damaged = load_cached(out)
    to_run = [list(grid.trials) if fresh else unfinished(grid.trials, records) for grid in grids]
    for grid, trials in zip(grids, to_run, strict=True):
        run_grid(grid, trials, engine, fresh=fresh, grace=grace)
    if any(to_run):
        records, damaged = load_cached(out)
    warn_of_damage(damaged)
    trial_of = {trial.folder.relative_to(out).as_posix(): trial for grid in grids for trial in grid.trials}
    mine = [record for record in records if record.folder in trial_of]
    beside = _beside(mine) if mine and table is None else []
    _print_table(table, grids, mine, beside, "json" if as_json else "github")
    _name_tables(table, grids[0], records, beside)
    for record in mine:
        if told := implausible(record):
            click.echo(f"! {trial_of[record.folder].label}: the method {told}; see SECURITY.md", err=True)
    done = {record.folder for record in mine if record.done}
    failed = [(trial, outcome(trial)) for folder, trial in trial_of.items() if folder not in done]
    for trial, found in failed:
        kept = trial.folder / TRACEBACK
        where = f" (traceback: {kept})" if found["state"] == "failed" and kept.is_file() else ""
        click.echo(f"{found['state']}: {trial.label}: {printable(str(found['reason']))}{where}", err=True)
    _name_conformance([trial for trials in to_run for trial in trials])
    sys.exit(1 if failed else 0)


def _name_conformance(trained: Sequence[Trial]) -> None:
    """Names, on standard error, the command that checks the methods of files that were trained."""
    files = {trial.method.target for trial in trained if ".py:" in trial.method.target}
    for target in sorted(files):
        place = os.path.relpath(target)
        shown = target if place.startswith("..") else place
        click.echo(f"does it keep the rules? fernoise-bench conformance --method {shlex.quote(shown)}", err=True)


def run_grid(
    grid: Grid, trials: Sequence[Trial], engine: EngineOptions, *, fresh: bool = False, grace: float = GRACE
) -> None:
    """Runs some trials of a grid; with fresh, deletes what is on disk of all its trials first."""
    from ..planning.grid import check_initial_weights

    if trials:
        check_initial_weights(grid)
    if fresh:
        _discard(grid)
    _announce(grid, trials)
    if trials:
        _run(grid, trials, engine, grace)


def _discard(grid: Grid) -> None:
    """Deletes what is on disk of the trials of a grid; BadInput where that is refused."""
    from ..trial_state import discard

    try:
        for trial in grid.trials:
            discard(trial)
    except OSError as error:
        what = f"{error.filename or grid.job.out} cannot be removed ({error.strerror or error})"
        raise BadInput(f"--fresh: {what}; remove it yourself, or leave --fresh out") from error


@click.command(cls=GroupedCommand)
@grid_options
@click.option(
    "--workers", type=click.IntRange(min=1),
    help="Number of worker processes to plan for. Default: one for each CPU core, or what the GPUs have room for.",
)  # fmt: skip
@click.option("--all", "all_tables", is_flag=True, help="Plan every paper's table, at the paper profile with 8 seeds.")
@click.option(
    "--gpus", type=click.IntRange(min=1), metavar="N", help="With --all: number of devices. Default: --workers."
)
@click.option(
    "--gpu", metavar="MODEL", help="With --all: plan for this GPU, as in h100. Default: measure this machine's device."
)
@JSON
def plan(
    table: str | None,
    workers: int | None,
    all_tables: bool,
    gpus: int | None,
    gpu: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Estimate the trials and the time of a run.

    Nothing is trained or written.

    \b
    fernoise-bench plan --protocol fer2013-real --all-methods --profile small
    fernoise-bench plan --table recot-4 --synthetic
    fernoise-bench plan --all --gpu h100 --gpus 4
    """
    if all_tables:
        _plan_suite(table, gpus or workers, gpu, as_json, options)
        return
    if gpus or gpu:
        raise BadInput("--gpus and --gpu go with --all; for one protocol or table use --workers N")
    grids = _grids(table, options)
    with doing("loading PyTorch"):
        from ..planning.estimate import estimate, estimate_text
    found = [estimate(grid, workers or _workers_here(grid, grid.trials)) for grid in grids]
    if as_json:
        print_json(found[0] if table is None else found)
    else:
        click.echo(folded("\n\n".join(map(estimate_text, found))))


def _plan_suite(
    table: str | None, devices: int | None, gpu: str | None, as_json: bool, options: dict[str, Any]
) -> None:
    """Prints what all papers' tables together would cost, on a GPU named or on this machine's device."""
    with doing("loading PyTorch"):
        from ..planning.suite_estimate import SEEDS, estimate_suite, speeds_of, suite, suite_text
    from ..settings import check_precision, choose_device

    names = ("protocol", "noise", "recipe", "without", "synthetic", "profile", "weights")
    given = {"--table": table, **{f"--{name}": options[name] for name in names}, "--fold": options["folds"]}
    given["--noise-salt"] = options["noise_salt"]
    given |= {"--method": options["methods"], "--all-methods": options["all_methods"], "--compile": options["compiled"]}
    if excess := [name for name, value in given.items() if value not in (None, "", (), False, "protocol", "paper")]:
        raise BadInput(f"--all plans every paper's table in full; leave out {', '.join(excess)}")
    device = "cuda" if gpu else choose_device(options["device"])
    check_precision(options["precision"], device, here=gpu is None)
    found = suite()
    with doing("measuring how fast this machine trains"):
        speeds = speeds_of(found, gpu, device, options["precision"])
    estimated = estimate_suite(found, speeds, options["seeds"] or SEEDS, devices or default_workers(device))
    if as_json:
        print_json(estimated)
    else:
        click.echo(suite_text(estimated, gpu or ("GPU" if device == "cuda" else "core")))


def _announce(grid: Grid, trials: Sequence[Trial]) -> None:
    """Prints what is run on standard error: protocol, profile, faces, trials, methods that are not applicable."""
    from ..planning.grid import describe

    job = grid.job
    own = job.protocol.own
    place = f"real faces in {job.data_root}" if own is None else f"own pictures in {own.root}"
    faces = "generated faces" if job.source == "generated" else place
    head = f"{job.protocol.name} v{job.protocol.version} · {job.profile} · {faces} · {describe(grid.trials)}"
    click.echo(head, err=True)
    for name, reason in grid.not_applicable.items():
        click.echo(f"  not applicable: {name}: {reason}", err=True)
    if salt := job.noise_salt:
        click.echo(f"  noise keyed by a salt; to continue or repeat this run: --noise-salt '{salt}'", err=True)
    finished = len(grid.trials) - len(trials)
    if finished:
        click.echo(f"  {finished} finished before, {len(trials)} to run (results in {job.out})", err=True)
        _tell_of_missing_weights(grid, trials)


def _tell_of_missing_weights(grid: Grid, trials: Sequence[Trial]) -> None:
    """Says, on standard error, how many finished trials have not kept the weights that are asked for."""
    from ..settings import weights_file

    which, to_run = grid.job.keep_weights, {trial.id for trial in trials}
    finished = [trial for trial in grid.trials if trial.id not in to_run]
    if which and (without := sum(not (trial.folder / weights_file(which)).is_file() for trial in finished)):
        click.echo(f"  {without} of these kept no weights of that epoch ({which}); --fresh trains them again", err=True)


def _run(grid: Grid, trials: Sequence[Trial], engine: EngineOptions, grace: float) -> None:
    """Runs trials on an engine, showing progress; BadInput where the output folder cannot be written."""
    from ..engines.select import run_on_engine
    from ..engines.signals import stoppable
    from ..progress import Progress

    epochs = grid.job.settings.recipe.epochs
    if engine.engine in (None, "local") and engine.workers is None:
        engine = replace(engine, workers=_workers_here(grid, trials))
    try:
        with contextlib.closing(Progress(len(trials), epochs)) as progress, stoppable(grace) as stop:
            run_on_engine(trials, progress, engine, grid.data, lambda line: click.echo(f"  {line}", err=True), stop)
    except OSError as error:
        raise BadInput(
            f"--out {grid.job.out}: {error.strerror or error}; finished trials are kept: run the same command again"
        ) from error


def _workers_here(grid: Grid, trials: Sequence[Trial]) -> int:
    """Processes that share some trials of a grid: one for each core, or as many as the GPUs have room for."""
    cores = default_workers("cpu")
    if grid.job.settings.device != "cuda" or not trials:
        return cores
    from ..planning.gpu_memory import workers_on_gpus

    with doing("working out how many trials the GPU has room for"):
        return workers_on_gpus(grid, trials, cores)


def _print_table(
    table: str | None, grids: Sequence[Grid], records: Sequence[Record], beside: Sequence[Record], form: str
) -> None:
    """Prints the table of exactly the trials that were asked for: a paper's, or that of the only grid with those that
    stand beside them.
    """
    from ...results.analysis.view import Expected
    from ...results.papers.tables import paper_table
    from ...results.tables.protocol_tables import protocol_table

    grid, out = grids[0], grids[0].job.out
    if table is not None:
        print_tables(paper_table(records, table, runs=unless_default(out)), form)
    elif records:
        expected = Expected(
            methods=grid.methods,
            levels=tuple(dict.fromkeys(trial.level for trial in grid.trials)),
            folds=tuple(dict.fromkeys(trial.fold for trial in grid.trials)),
            pairs=tuple(dict.fromkeys((trial.seed, trial.draw) for trial in grid.trials)),
            not_applicable=grid.not_applicable,
        )
        print_tables(protocol_table([*records, *beside], expected), form)


def _name_tables(table: str | None, grid: Grid, every: Sequence[Record], beside: Sequence[Record]) -> None:
    """Names, on standard error, the command that prints the table again; where the folder has trials that cannot share
    it, with the option that prints these apart.
    """
    from ...results.papers.tables import wanted_records

    runs = shlex.quote(str(grid.job.out))
    if table is not None:
        # trials under another recipe stand apart in any case
        settings = {each.identity.setting._replace(recipe="protocol") for each in wanted_records(every, table)}
        mixed = " --allow-mixed" * (len(settings) > 1)
        click.echo(f"to print it again: fernoise-bench table {table} --runs {runs}{mixed}", err=True)
        return
    name = grid.job.protocol.name
    if any(record.protocol == name for record in every):
        keys = {record.identity.key for record in every if record.protocol == name}
        more = " --with-reference" * bool(beside) + " --allow-mixed" * (len(keys) > 1)
        own = grid.job.protocol.own
        shown = shlex.quote(os.path.relpath(own.file)) if own else name
        command = f"fernoise-bench table {shown} --runs {runs}{more}"
        click.echo(f"other tables: {command} --long, or --audit, or --format latex", err=True)


def _beside(records: Sequence[Record]) -> list[Record]:
    """The results that ship and may share a table with some trials, over the same (seed, draw) pairs; told on
    standard error.
    """
    from ...results.records.reference_leaderboard import shipped_like

    own, pairs = {record.folder for record in records}, {record.pair for record in records}
    found = [each for each in shipped_like(records) if each.folder not in own and each.pair in pairs]
    if found:
        click.echo(
            f"  beside them, marked ◇: {len(found)} trial{'s' * (len(found) > 1)} of the same settings that ship",
            err=True,
        )
    return found
