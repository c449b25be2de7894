"""`check`: compare every method with stored reference numbers."""

from __future__ import annotations

import contextlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput
from ..engines.options import default_workers
from .options.common import separated
from .options.terminal import print_tables

if TYPE_CHECKING:
    from ...results.regression.references import References
    from ..progress import Progress
    from ..regression import Plan

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.option(
    "--suite", type=click.Choice(["smoke", "small"]), default="smoke", show_default=True,
    help="Size of the checks: smoke takes seconds for each method, small about a minute.",
)  # fmt: skip
@click.option(
    "--method", "methods", multiple=True, metavar="NAME", callback=separated,
    help="Check only this method. Can be repeated, or several with commas. Default: all.",
)  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail for methods without a reference too, which nothing is compared for.")
@click.option("--junit", type=_FILE, metavar="FILE", help="Write the results as JUnit XML.")
@click.option("--markdown", type=_FILE, metavar="FILE", help="Append a summary to a file, as in $GITHUB_STEP_SUMMARY.")
@click.option("--update", is_flag=True, help="Write the references instead of comparing with them; needs --reason.")
@click.option(
    "--widen", is_flag=True,
    help="Count as rounding what this CPU computes of the same code; needs --reason.",
)  # fmt: skip
@click.option("--reason", default="", metavar="TEXT", help="Why the numbers change; stored with the references.")
@click.option(
    "--references", type=_FOLDER, metavar="DIR",
    help="Folder of the references; use one of your own for methods of your own. Default: those of fernoise-bench.",
)  # fmt: skip
@click.option(
    "--workers", type=click.IntRange(min=1), help="Number of worker processes. Default: one for each CPU core."
)
@click.option("--out", type=_FOLDER, metavar="DIR", help="Keep the trials in this folder. Default: delete them.")
def check(
    suite: str, methods: tuple[str, ...], strict: bool, junit: Path | None, markdown: Path | None, update: bool,
    widen: bool, reason: str, references: Path | None, workers: int | None, out: Path | None,
) -> None:  # fmt: skip
    """Compare every method with stored reference numbers.

    Runs the methods on small protocols. Exit code 1 on a regression, with --strict also for a method without a
    reference.

    \b
    fernoise-bench check
    fernoise-bench check --method elr,gce --suite small --junit results.xml
    fernoise-bench check --method gce --update --reason 'a new loss'
    """
    _check_options(strict=strict, update=update, widen=widen, reason=reason)
    from ...results.regression import references as check_references
    from ..planning.grid import check_writable
    from ..regression import make_plan, scratch

    folder = references or check_references.SHIPPED
    known = check_references.load(folder, suite)
    plan = make_plan(suite, methods)
    if references and not update and known is check_references.NONE:
        path = check_references.path_of(folder, suite)
        raise BadInput(f"--references {references}: no {path.name} there; write it with --update --reason TEXT")
    if out is not None:
        check_writable(out)
    for file in filter(None, (junit, markdown)):
        _check_writable_file(file)
    with contextlib.ExitStack() as stack:
        trials = out or Path(stack.enter_context(scratch()))
        workers = workers or default_workers("cpu")
        if update or widen:
            _write_references(plan, known, reason, folder, trials, workers, widens=widen)
        else:
            sys.exit(_check(plan, known, trials, workers, junit, markdown, strict))


def _check_options(*, strict: bool, update: bool, widen: bool, reason: str) -> None:
    """Raises BadInput for options that do not go together."""
    writing = "--widen" if widen else "--update"
    if update and widen:
        raise BadInput("--update writes the numbers anew, --widen keeps them: use one of the two")
    if (update or widen) and not any(letter.isprintable() and not letter.isspace() for letter in reason):
        raise BadInput(f"{writing} needs --reason TEXT: why the numbers change; it is stored with the references")
    if reason and not (update or widen):
        raise BadInput("--reason belongs to --update and --widen; leave it out to compare")
    if strict and (update or widen):
        raise BadInput(f"--strict belongs to comparing; leave it out to write references with {writing}")


def _check(
    plan: Plan, known: References, trials: Path, workers: int, junit: Path | None, markdown: Path | None, strict: bool
) -> int:  # fmt: skip
    """Runs the checks, prints and writes the findings, and returns the exit code."""
    from ...results.regression import report as check_report
    from ...results.regression.compare import CHECKED
    from ..regression import check, cpus, notes

    began = time.monotonic()
    name = plan.suite.name
    with _progress(plan, len(CHECKED)) as progress:
        findings = check(plan, known, trials, workers, progress)
    unguarded = check_report.unguarded(findings)
    for warning in unguarded:
        click.echo(f"warning: {warning}", err=True)
    remarks = (*notes(plan, known), *unguarded)
    print_tables(check_report.table(name, findings, remarks), "github")
    if markdown:
        _write(markdown, check_report.markdown(name, findings, remarks, strict), "a")
    if junit:
        seconds = time.monotonic() - began
        _write(junit, check_report.junit(name, findings, seconds, cpus(plan, known), strict), "w")
    return int(check_report.failed(findings, strict))


def _write_references(
    plan: Plan, known: References, reason: str, folder: Path, trials: Path, workers: int, *, widens: bool
) -> None:
    """Runs the checks, and writes their numbers as the references, or widens what counts as rounding of these."""
    from ...results.regression import references as check_references
    from ...results.regression.compare import CHECKED
    from ..regression import update, widen

    suite = plan.suite
    runs = len(CHECKED) if widens else suite.seeds + len(CHECKED) * len(suite.perturbations)
    with _progress(plan, runs) as progress:
        renewed = (widen if widens else update)(plan, known, reason, trials, workers, progress)
    path = check_references.path_of(folder, suite.name)
    now = check_references.load(folder, suite.name)  # another update may have written meanwhile
    renewed = now.with_changes(known, renewed)
    try:
        check_references.save(folder, suite.name, renewed)
    except OSError as error:
        raise BadInput(f"--references {folder}: {path.name} cannot be written ({error.strerror or error})") from error
    done = "widened" if widens else "written"
    click.echo(f"{path}: {len(plan.pairs)} of {len(renewed.entries)} references {done}: {reason}")


def _progress(plan: Plan, runs: int) -> contextlib.closing[Progress]:
    from ..progress import Progress

    return contextlib.closing(Progress(len(plan.pairs) * runs, plan.epochs))


def _check_writable_file(path: Path) -> None:
    """Raises BadInput for a file that cannot be written, before anything is trained; leaves no new file."""
    is_new = not path.exists()
    _write(path, "", "a")
    if is_new:
        path.unlink()


def _write(path: Path, text: str, mode: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise BadInput(f"{path}: cannot be written ({error.strerror or error}); choose another path") from error
