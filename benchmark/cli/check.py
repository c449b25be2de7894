"""`check`: is every method still what it was?"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ...protocols.errors import BadInput
from ..engines.select import default_workers

if TYPE_CHECKING:
    from ...results.regression.references import References
    from ..progress import Progress
    from ..regression import Plan


@click.command()
@click.option(
    "--suite",
    type=click.Choice(["smoke", "small"]),
    default="smoke",
    show_default=True,
    help="Seconds a method, or a minute.",
)
@click.option("--method", "methods", multiple=True, metavar="NAME", help="Only this one; repeat it. Default: all.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write JUnit XML.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Add a summary to a file, as in $GITHUB_STEP_SUMMARY.",
)
@click.option("--update", is_flag=True, help="Write the references instead of comparing; asks for --reason.")
@click.option("--reason", default="", metavar="TEXT", help="Why the numbers change; the references keep it.")
@click.option(
    "--references",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Folder of references; default: those that ship. A lab's own methods want one of their own.",
)
@click.option("--workers", type=click.IntRange(min=1), help="Processes; default: the cores.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Keep the trials there.")
def check(
    suite: str, methods: tuple[str, ...], junit: Path | None, markdown: Path | None, update: bool, reason: str,
    references: Path | None, workers: int | None, out: Path | None,
) -> None:  # fmt: skip
    """Run every method on small protocols and compare with references; exit code 1 on a regression."""
    if update and not any(letter.isprintable() and not letter.isspace() for letter in reason):
        raise BadInput("--update: say why the numbers change, with --reason TEXT; the references keep it")
    if reason and not update:
        raise BadInput("--reason belongs to --update; leave it out to compare")
    from ...results.regression import references as check_references
    from ..planning.grid import check_writable
    from ..regression import make_plan, scratch

    folder = references or check_references.SHIPPED
    known = check_references.load(folder, suite)
    plan = make_plan(suite, methods)
    if references and not update and known is check_references.NONE:
        path = check_references.path_of(folder, suite)
        raise BadInput(f"--references {references}: no {path.name} there; write it once with --update --reason TEXT")
    if out is not None:
        check_writable(out)
    for file in filter(None, (junit, markdown)):
        _check_place(file)
    with contextlib.ExitStack() as stack:
        place = out or Path(stack.enter_context(scratch()))
        workers = workers or default_workers("cpu")
        if update:
            _update(plan, known, reason, folder, place, workers)
        else:
            sys.exit(_check(plan, known, place, workers, junit, markdown))


def _check(
    plan: Plan, known: References, place: Path, workers: int, junit: Path | None, markdown: Path | None
) -> int:  # fmt: skip
    """Compares, prints and writes; the exit code."""
    from ...results.regression import report as check_report
    from ...results.regression.compare import CHECKED
    from ...results.tables.render import render
    from ..regression import check, notes

    began = time.monotonic()
    name = plan.suite.name
    with _progress(plan, len(CHECKED)) as listen:
        findings = check(plan, known, place, workers, listen)
    told = notes(plan, known)
    click.echo(render(check_report.table(name, findings, told), "github"), nl=False)
    if markdown:
        _write(markdown, check_report.markdown(name, findings, told), "a")
    if junit:
        _write(junit, check_report.junit(name, findings, time.monotonic() - began), "w")
    return int(check_report.failed(findings))


def _update(plan: Plan, known: References, reason: str, folder: Path, place: Path, workers: int) -> None:
    from ...results.regression import references as check_references
    from ...results.regression.compare import CHECKED
    from ..regression import update

    suite = plan.suite
    with _progress(plan, suite.seeds + len(CHECKED) * len(suite.echoes)) as listen:
        renewed = update(plan, known, reason, place, workers, listen)
    path = check_references.path_of(folder, suite.name)
    try:
        check_references.save(folder, suite.name, renewed)
    except OSError as error:
        raise BadInput(f"--references {folder}: {path.name} cannot be written ({error.strerror or error})") from error
    click.echo(f"{path}: {len(plan.pairs)} of {len(renewed.entries)} references written: {reason}")


@contextlib.contextmanager
def _progress(plan: Plan, runs: int) -> Iterator[Progress]:
    from ..progress import Progress

    progress = Progress(len(plan.pairs) * runs, plan.epochs)
    try:
        yield progress
    finally:
        progress.close()


def _check_place(path: Path) -> None:
    """BadInput for a file that cannot be written, before anything is trained; nothing is left behind."""
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
        raise BadInput(f"{path}: cannot be written ({error.strerror or error}); choose another place") from error
