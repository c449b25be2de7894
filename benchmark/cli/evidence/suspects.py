"""The part of `label-errors` that looks for wrong labels: trains, ranks, and writes a table and a page to look at."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....protocols.activity import doing
from ....protocols.errors import BadInput
from ...engines.options import EngineOptions, default_workers
from ..data import prepare_own_data
from ..options.common import DEVICE, add_options
from ..run import run_grid

if TYPE_CHECKING:
    from ....protocols.base import Protocol
    from ....protocols.loading import Data
    from ....results.analysis.suspects import Suspects
    from ...planning.grid import Grid, RunRequest

DEFAULT_METHOD = "supervised"
HEAD = b"path,unit,given,suggested,"
SHOWN = 1_000  # pictures on a page

search_options = add_options(
    click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv",
                 help="Look for wrong labels: train what --runs lacks, and write a line for each training label, the "
                 "most suspicious first."),
    click.option("--page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
                 help="Look for wrong labels, and write a page with the pictures of the most suspicious ones."),
    click.option("--top", type=click.IntRange(min=1), default=SHOWN, show_default=True, metavar="N",
                 help="Pictures on the page."),
    click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, metavar="N",
                 help="Models of each method, which differ in their seed."),
    click.option("--noise", type=float, metavar="RATE", help="Noise level, of a protocol that has several."),
    click.option("--fold", metavar="NAME", help="Judge the labels of one fold. Default: of every fold."),
    click.option("--out-of-sample", is_flag=True,
                 help="Judge each label by models that did not train on it: of a protocol's folds, or with --parts of "
                 "the training rows held out in turn."),
    click.option("--parts", type=click.IntRange(2, 20), metavar="N",
                 help="Parts of --out-of-sample for a protocol without folds. Default: 4."),
    click.option("--score", metavar="NAME",
                 help="Order by this score: mean, aum, loss, forgetting, last; with --out-of-sample self-confidence, "
                 "'normalized margin', entropy-weighted. Default: the first of these."),
    click.option("--workers", type=click.IntRange(min=1), metavar="N",
                 help="Worker processes that train. Default: one for each CPU core, or for each GPU."),
    click.option("--weights", metavar="WORD|FILE", help="Initial weights, as for run. Default: the recipe's."),
    DEVICE,
)  # fmt: skip


@dataclass(frozen=True)
class Search:
    """What to look for wrong labels with; None stands for the default.

    Attributes:
        out, page: the files to write, at least one.
        parts: of the training rows, held out in turn.
        noise: the noise level.
        fold: the only fold.
        Else as the options.
    """

    out: Path | None
    page: Path | None
    top: int
    seeds: int
    noise: float | None
    fold: str | None
    out_of_sample: bool
    parts: int | None
    score: str | None
    workers: int | None
    weights: str | None
    device: str

    @property
    def asked(self) -> bool:
        """Whether wrong labels are looked for at all."""
        return self.out is not None or self.page is not None


def search(
    name: str, methods: tuple[str, ...], runs: Path, profile: str | None, synthetic: bool, data_root: Path, how: Search
) -> None:
    """Trains the models that are missing, and writes which training labels they doubt."""
    from ....protocols import catalog
    from ....protocols.designs.held_out import held_out
    from ...planning.grid import RunRequest

    protocol = catalog.find(name)
    if how.parts and (not how.out_of_sample or protocol.folds):
        why = "goes with --out-of-sample" if not how.out_of_sample else f"{protocol.name} has folds of its own"
        raise BadInput(f"--parts {how.parts}: {why}; leave it out")
    _check_paths(how)
    if not synthetic:
        prepare_own_data(name, data_root, default_workers("cpu"))
    derived = how.out_of_sample and not protocol.folds
    asked = held_out(protocol, how.parts or 4).name if derived else name
    if derived and name.endswith(catalog.SUFFIX):
        asked = f"{name}:{asked.partition(':')[2]}"
    request = RunRequest(asked, methods or (DEFAULT_METHOD,), seeds=how.seeds, profile=profile, synthetic=synthetic)
    _search(_placed(request, runs, data_root, how), how)


def _placed(request: RunRequest, runs: Path, data_root: Path, how: Search) -> RunRequest:
    levels = () if how.noise is None else (how.noise,)
    request = replace(request, levels=levels, folds=() if how.fold is None else (how.fold,))
    return replace(request, out=runs, data_root=data_root, device=how.device, weights=how.weights)


def _search(request: RunRequest, how: Search) -> None:
    from ....results.records.cache import load_cached
    from ...models.suspects import as_csv, check_trials, find_suspects, scores_of
    from ...planning.grid import check_writable, make_grid
    from ...trial_state import outcome, unfinished

    scores = scores_of(how.out_of_sample)
    if how.score and how.score not in scores:
        raise BadInput(f"--score {how.score}: one of {', '.join(scores)}")
    grid = make_grid(request)
    check_trials(grid.trials)
    check_writable(request.out)
    run_grid(grid, unfinished(grid.trials, load_cached(request.out)[0]), EngineOptions(workers=how.workers))
    for trial in grid.trials:
        if (found := outcome(trial))["state"] != "done":
            click.echo(f"not used: {trial.label}: {found['state']}: {found['reason']}", err=True)
    with doing("ranking labels"):
        data = grid.data or _open(grid)
        ranked = find_suspects(grid.trials, data, out_of_sample=how.out_of_sample, by=how.score or scores[0])
        content = as_csv(ranked, data)
    if how.out:
        _write(how.out, content)
        click.echo(f"wrote {how.out}: {_counted(ranked)}, the most suspicious first", err=True)
    if how.page:
        _write_page(how.page, ranked, data, grid, how)
    _tell(ranked, grid, how)


def _open(grid: Grid) -> Data:
    from ....protocols.loading import open_data

    job = grid.job
    return open_data(job.protocol, job.profile, job.source, job.data_root, partial=job.partial)


def _write(path: Path, content: bytes) -> None:
    from ....protocols.files import write_atomic

    try:
        write_atomic(path, content)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror or error}; choose another path") from error


def _write_page(path: Path, ranked: Suspects, data: Data, grid: Grid, how: Search) -> None:
    from ....results.contact_sheet.sheet import write_sheet
    from ...models.suspects import candidates

    protocol = grid.job.protocol
    with doing("drawing the page"):
        chosen = candidates(ranked, data, grid.trials, most=how.top)
        title, subtitle = f"{base_name(protocol)}: labels to look at", _judges(grid, how)
        names = protocol.names if protocol.kind == "single" else ()
        try:
            write_sheet(
                path, chosen, title=title, subtitle=subtitle, names=names, decisions=f"{path.stem}-decisions.csv"
            )
        except OSError as error:
            raise BadInput(f"--page {path}: {error.strerror or error}; choose another path") from error
    click.echo(
        f"wrote {path}: pictures of the {len(chosen):,} most suspicious labels; it stays on this machine", err=True
    )


def base_name(protocol: Protocol) -> str:
    """The name of a protocol, without the parts that are held out."""
    from ....protocols.designs.held_out import base_of

    return base_of(protocol).name


def _judges(grid: Grid, how: Search) -> str:
    """Who judged the labels, in words."""
    models = "1 model" if len(grid.trials) == 1 else f"{len(grid.trials)} models"
    when = "that did not train on them" if how.out_of_sample else "while they trained on them"
    return f"{', '.join(grid.methods)}: {models}, profile {grid.job.profile}; labels judged by models {when}"


def _tell(ranked: Suspects, grid: Grid, how: Search) -> None:
    """Says what was judged, what was not, and what comes next."""
    own = grid.job.protocol.own
    rows = len(set(ranked.sample_id.tolist()))
    click.echo(f"{_judges(grid, how)}", err=True)
    where = "test rows of every fold" if how.out_of_sample and not _is_derived(grid) else "training rows"
    click.echo(
        f"judged: {len(ranked):,} labels of {rows:,} pictures, the {where} of profile {grid.job.profile} that are not "
        "verified; no others",
        err=True,
    )
    if own and how.page:
        typed = shlex.quote(own.file)
        click.echo(
            f"look at the page, download the decisions, then: fernoise-bench data apply {how.page.stem}-decisions.csv "
            f"--protocol {typed} --out corrected.csv",
            err=True,
        )


def _is_derived(grid: Grid) -> bool:
    return base_name(grid.job.protocol) != grid.job.protocol.name


def _counted(ranked: Suspects) -> str:
    return f"{len(ranked):,} label{'s' * (len(ranked) != 1)}"


def _check_paths(how: Search) -> None:
    """Raises BadInput for a file that cannot be written, before anything is trained."""
    for option, path, suffix in (("--out", how.out, ".csv"), ("--page", how.page, ".html")):
        if path is None:
            continue
        if path.suffix.lower() != suffix:
            raise BadInput(f"{option} {path}: name it with {suffix} at the end")
        if path.is_dir() or not path.absolute().parent.is_dir():
            what = "it is a folder" if path.is_dir() else f"{path.parent} is no folder"
            raise BadInput(f"{option} {path}: {what}; choose another path")
    if how.out and how.out.exists() and not how.out.read_bytes()[: len(HEAD)] == HEAD:
        raise BadInput(
            f"--out {how.out}: a file that is no table of suspicious labels is there; remove it or name another"
        )
