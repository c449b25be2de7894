"""Training from a script or notebook, by the same plan and engines as the command line."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ...results.records.cache import load_cached
from ..engines.options import EngineOptions
from ..engines.select import run_on_engine
from ..engines.signals import stoppable
from ..planning.grid import Grid, RunRequest, check_initial_weights, check_writable, make_grid
from ..progress import Progress
from ..settings import Which
from ..trial_state import unfinished
from .records import DEFAULT_RUNS, Records


def run(
    protocol: str,
    methods: str | Sequence[str] = (),
    *,
    all_methods: bool = False,
    without: str | Sequence[str] = (),
    seeds: int | None = None,
    noise: float | Sequence[float] = (),
    fold: str | int | Sequence[str | int] = (),
    synthetic: bool = False,
    profile: str | None = None,
    data_root: str | os.PathLike[str] | None = None,
    partial: bool = False,
    out: str | os.PathLike[str] = DEFAULT_RUNS,
    workers: int = 1,
    device: str = "auto",
    precision: str = "fp32",
    weights: str | None = None,
    recipe: str = "protocol",
    noise_salt: str = "",
    keep_weights: Which | None = None,
) -> Records:
    """Trains methods on a protocol, as `fernoise-bench run`, and returns the records of exactly these trials.

    Trials that are finished in the output folder are not trained again, interrupted ones go on from their last epoch.
    Progress goes to standard error. A trial that fails or diverges raises nothing: its record has that status. The
    arguments are the command's options; an empty one stands for the default.

    Args:
        methods, without: one or several: NAME, NAME:VARIANT or "file.py:Class".
        all_methods: every method that is applicable, but for those in `without`.
        seeds: run the seeds 0 to seeds - 1; None: the paper's number of runs, or 3; 1 at the smoke profile.
        noise, fold: one or several; none: every level, every fold.
        profile: "paper", "transfer", "small" or "smoke"; None: paper, or small with `synthetic`.
        data_root: folder of the data sets; None: the environment variable FERNOISE_DATA, or ./data.
        workers: processes. With more than one, and with methods of a file, a script's call must stand under
            `if __name__ == "__main__":`, since each process imports the script.
        keep_weights: "last" or "best-validation": keep that epoch's weights in each trial's folder, for `load_model`.

    Raises:
        BadInput: something asked for does not exist or is impossible, or data are missing. Nothing is written then.
        KeyboardInterrupt: it was interrupted; what was trained is saved.
    """
    levels = tuple(noise) if isinstance(noise, Sequence) else (noise,)
    request = RunRequest(protocol, _several(methods), all_methods, _several(without), levels, _several(fold), seeds)
    request = replace(request, profile=profile, synthetic=synthetic, data_root=data_folder(data_root), partial=partial)
    request = replace(request, out=Path(out), device=device, precision=precision, weights=weights, recipe=recipe)
    request = replace(request, noise_salt=noise_salt, keep_weights=keep_weights)
    return _train(request, EngineOptions(workers=workers))


def _train(request: RunRequest, engine: EngineOptions) -> Records:
    """Trains what the output folder lacks, and returns all that was asked for."""
    grid = make_grid(request)
    check_writable(grid.job.out)
    trials = unfinished(grid.trials, load_cached(grid.job.out)[0])
    if trials:
        check_initial_weights(grid)
        progress = Progress(len(trials), grid.job.settings.recipe.epochs)
        with contextlib.closing(progress), stoppable() as stop:
            run_on_engine(trials, progress, engine, grid.data, _tell, stop)
    return _records_of(grid)


def data_folder(named: str | os.PathLike[str] | None) -> Path:
    """The folder of the data sets: the one named, that of the environment variable FERNOISE_DATA, or ./data."""
    return Path(named) if named is not None else Path(os.environ.get("FERNOISE_DATA") or "data")


def _several(names: str | int | Sequence[str | int]) -> tuple[str, ...]:
    return (str(names),) if isinstance(names, str | int) else tuple(map(str, names))


def _tell(line: str) -> None:
    print(f"  {line}", file=sys.stderr)


def _records_of(grid: Grid) -> Records:
    out = grid.job.out
    records, damaged = load_cached(out)
    mine = {trial.folder.relative_to(out).as_posix() for trial in grid.trials}
    for message in damaged:
        warnings.warn(f"damaged: {message}", stacklevel=3)
    return Records((record for record in records if record.folder in mine), [out], (), damaged)
