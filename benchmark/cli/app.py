"""The command line: `fernoise-bench`. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import os
import re
import sys
import traceback
from typing import Any

import click

from ...protocols.errors import BadInput, printable
from ..engines.signals import Stopped
from .check import check
from .claims import claims
from .data import data
from .diff import diff
from .doctor import doctor
from .figure import figure
from .report import report
from .results import status, table
from .run import plan, run
from .show import list_everything, show

_TEMPORARY = re.compile(r"\.([^/]+)\.[0-9a-f]{16}\.tmp$")  # what a file is called until it is whole


class Commands(click.Group):
    """Commands in the order of a user's work; BadInput, or a place that fails, becomes one line and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order they were added."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        try:
            return super().invoke(ctx)
        except BadInput as error:
            click.echo(f"fernoise-bench: {printable(str(error))}", err=True)
            sys.exit(2)
        except KeyboardInterrupt as error:
            click.echo("interrupted: run it again to continue where it stopped", err=True)
            sys.exit(error.exit_code if isinstance(error, Stopped) else 130)

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Runs the command line; a closed pipe ends it in silence, which is click's to do."""
        try:
            return super().main(*arguments, **more)
        except OSError as error:
            told = printable(_failure(error))
            _drop_output()
            click.echo(f"fernoise-bench: {told}", err=True)
            sys.exit(2)


def _failure(error: OSError) -> str:
    """What of the system failed that no command has words of its own for: the place, the reason, what to do."""
    reason = error.strerror or f"{type(error).__name__}: {error}"
    if any(frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__)):
        return f"what is printed cannot be written: {reason}; send it elsewhere"
    if error.filename is None:
        return f"{reason}; see that there is room, and that what is named can be read and written"
    place = _TEMPORARY.sub(r"\1", str(error.filename))
    return f"{place}: {reason}; see that it can be read and written, or name another place"


def _drop_output() -> None:
    """Drops what was printed and cannot be written, or it would be tried again at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="fernoise-bench", message="%(package)s %(version)s")
def main() -> None:
    """Benchmark methods that learn facial expressions and action units from noisy labels.

    \b
    fernoise-bench run --protocol bp4d-3fold --all-methods --synthetic --profile smoke
    fernoise-bench table bp4d-3fold
    """


for command in (run, plan, status, list_everything, show, table, figure, claims, report, diff, check, data, doctor):
    main.add_command(command)
