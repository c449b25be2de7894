"""The part of `label-errors` that looks for wrong labels: trains, ranks, and writes a table and a page to look at."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....protocols.activity import doing
from ....protocols.errors import BadInput, printable
from ...engines.options import EngineOptions, default_workers
from ..data import prepare_own_data
from ..options.common import DEVICE, add_options, writable, write_file
from ..run import run_grid

if TYPE_CHECKING:
    from ....protocols.loading import Data
    from ....results.analysis.suspects import Suspects
    from ...planning.grid import Grid, RunRequest
    from ...trial import Trial
    from ..options.records import Chosen

DEFAULT_METHOD = "supervised"
SHOWN = 1_000  # pictures on a page

search_options = add_options(
    click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.csv",
                 help="Look for wrong labels: train what --runs lacks, and write a line for each training label, the "
                 "most suspicious first."),
    click.option("--page", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE.html",
                 help="Look for wrong labels, and write a page with the pictures of the most suspicious ones."),
    click.option("--top", type=click.IntRange(min=1), default=SHOWN, show_default=True, metavar="N",
                 help="Labels on the page."),
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
                 help="Order the table by this score, which chooses what the page shows: mean, aum, loss, forgetting, "
                 "last; of action units mean, last; with --out-of-sample self-confidence, 'normalized margin', "
                 "entropy-weighted. Default: the first of these."),
    click.option("--workers", type=click.IntRange(min=1), metavar="N",
                 help="Worker processes that train. Default: one for each CPU core, or what the GPUs have room for."),
    click.option("--partial", is_flag=True, help="Accept data that differ from the published set."),
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
    partial: bool
    weights: str | None
    device: str

    @property
    def asked(self) -> bool:
        """Whether wrong labels are looked for at all."""
        return self.out is not None or self.page is not None


def search(
    name: str,
    methods: tuple[str, ...],
    chosen: Chosen,
    data_root: Path,
    how: Search,
) -> None:
    """Trains the models that are missing, and writes which training labels they doubt."""
    from ....protocols import catalog
    from ....protocols.designs.held_out import PARTS, held_out, suffix_of
    from ...planning.grid import RunRequest

    protocol = catalog.find(name)
    if how.parts and (not how.out_of_sample or protocol.folds):
        why = "goes with --out-of-sample" if not how.out_of_sample else f"{protocol.name} has folds of its own"
        raise BadInput(f"--parts {how.parts}: {why}; leave it out")
    _check_paths(how)
    synthetic = bool(chosen.synthetic)
    if not synthetic:
        prepare_own_data(name, data_root, default_workers("cpu"))
    derived = how.out_of_sample and not protocol.folds
    asked = name + suffix_of(held_out(protocol, how.parts or PARTS).name) if derived else name
    request = RunRequest(asked, methods or (DEFAULT_METHOD,), seeds=how.seeds, profile=chosen.profile)
    request = replace(request, synthetic=synthetic, recipe=chosen.recipe or "protocol", partial=how.partial)
    levels = () if how.noise is None else (how.noise,)
    request = replace(request, levels=levels, folds=() if how.fold is None else (how.fold,), out=chosen.runs[0])
    _search(replace(request, data_root=data_root, device=how.device, weights=how.weights), how)


def _search(request: RunRequest, how: Search) -> None:
    from ....results.records.cache import load_cached
    from ...models.suspects import as_csv, check_trials, find_suspects, scores_of
    from ...planning.grid import check_writable, make_grid
    from ...trial_state import outcome, unfinished

    grid = make_grid(request)
    scores = scores_of(how.out_of_sample, grid.job.protocol.kind)
    if how.score and how.score not in scores:
        raise BadInput(f"--score {how.score}: one of {', '.join(scores)}")
    check_trials(grid.trials)
    check_writable(request.out)
    run_grid(grid, unfinished(grid.trials, load_cached(request.out)[0]), EngineOptions(workers=how.workers))
    state = {trial.id: outcome(trial) for trial in grid.trials}
    done = [trial for trial in grid.trials if state[trial.id]["state"] == "done"]
    for trial in grid.trials:
        if trial not in done:
            told = state[trial.id]
            click.echo(f"not used: {trial.label}: {told['state']}: {printable(str(told['reason']))}", err=True)
    if not done:
        raise BadInput("no trial was finished: there are no models to judge the labels")
    with doing("ranking labels"):
        data = grid.faces()
        ranked = find_suspects(done, data, out_of_sample=how.out_of_sample, by=how.score or scores[0])
        content = as_csv(ranked, data)
    judges = _judges(done, grid, how)
    if how.out:
        write_file(how.out, content)
        click.echo(f"wrote {how.out}: {_counted(ranked)}, the most suspicious first", err=True)
    if how.page:
        _write_page(how.page, ranked, data, done, judges, how.top)
    _tell(ranked, done, judges, how)
    sys.exit(0 if len(done) == len(grid.trials) else 1)


def _write_page(path: Path, ranked: Suspects, data: Data, done: Sequence[Trial], judges: str, most: int) -> None:
    from ....protocols.designs.held_out import base_of
    from ....results.contact_sheet.sheet import write_sheet
    from ...models.suspects import candidates

    protocol = base_of(data.protocol)
    with doing("drawing the page"):
        chosen = candidates(ranked, data, done, most=most)
        names = protocol.names if protocol.kind == "single" else ()
        title, decisions = f"{protocol.name}: labels to look at", f"{path.stem}-decisions.csv"
        with writable(path, "--page"):
            write_sheet(path, chosen, title=title, subtitle=judges, names=names, decisions=decisions)
    click.echo(
        f"wrote {path}: pictures of the {len(chosen):,} most suspicious labels; it stays on this machine", err=True
    )


def _judges(done: Sequence[Trial], grid: Grid, how: Search) -> str:
    """Who judged the labels, in words; and which fold or part has no model."""
    methods = ", ".join(dict.fromkeys(trial.method.name for trial in done))
    models = "1 model" if len(done) == 1 else f"{len(done)} models"
    when = "that did not train on them" if how.out_of_sample else "while they trained on them"
    told = f"{methods}: {models}, profile {grid.job.profile}; labels judged by models {when}"
    lacking = {trial.fold for trial in grid.trials if trial.fold} - {trial.fold for trial in done}
    whose = ", ".join(sorted(each for each in lacking if each))
    return (
        f"{told}; no finished model for {whose}, whose labels are not judged" if lacking and how.out_of_sample else told
    )


def _tell(ranked: Suspects, done: Sequence[Trial], judges: str, how: Search) -> None:
    """Says what was judged, what was not, and what comes next."""
    from ....protocols.designs.held_out import suffix_of

    protocol, profile = done[0].job.protocol, done[0].job.profile
    rows = len(set(ranked.sample_id.tolist()))
    click.echo(judges, err=True)
    folds = ", ".join(dict.fromkeys(trial.fold for trial in done if trial.fold))
    tested = how.out_of_sample and not suffix_of(protocol.name)
    where = f"test rows of {folds}" if tested else "training rows"
    copies = ", and are no copies of pictures trained on" if how.out_of_sample else ""
    click.echo(
        f"judged: {len(ranked):,} labels of {rows:,} pictures, the {where} of profile {profile} that are not "
        f"verified{copies}; no others",
        err=True,
    )
    if protocol.own is None or not how.page:
        return
    if protocol.own.column("annotator"):
        click.echo("data apply cannot correct this table: its labels are single annotators'", err=True)
        return
    decisions, file = shlex.quote(f"{how.page.stem}-decisions.csv"), shlex.quote(protocol.own.file)
    click.echo(
        f"look at the page, download the decisions, then: fernoise-bench data apply {decisions} "
        f"--protocol {file} --out corrected.csv",
        err=True,
    )


def _counted(ranked: Suspects) -> str:
    return f"{len(ranked):,} label{'s' * (len(ranked) != 1)}"


def _check_paths(how: Search) -> None:
    """Raises BadInput for a file that cannot be written, before anything is trained."""
    from ...models.suspects import HEADERS

    for option, path, suffix in (("--out", how.out, ".csv"), ("--page", how.page, ".html")):
        if path is None:
            continue
        if path.suffix.lower() != suffix:
            raise BadInput(f"{option} {path}: name it with {suffix} at the end")
        if path.is_dir() or not path.absolute().parent.is_dir():
            what = "it is a folder" if path.is_dir() else f"{path.parent} is no folder"
            raise BadInput(f"{option} {path}: {what}; choose another path")
    heads = [",".join(each).encode() for each in HEADERS]
    if how.out and how.out.exists() and how.out.read_bytes().partition(b"\n")[0] not in heads:
        what = "a file that is no table of suspicious labels, or has been added to, is there"
        raise BadInput(f"--out {how.out}: {what}; remove it or name another")
    if how.page and how.page.exists() and b'content="fernoise-bench ' not in how.page.read_bytes()[:4096]:
        raise BadInput(f"--page {how.page}: a page that is no list of suspicious labels is there; name another")
