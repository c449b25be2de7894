"""The command line `fernoise-bench`. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import itertools
import os
import re
import sys
import traceback
from typing import Any

import click

from ...protocols.activity import heard
from ...protocols.errors import BadInput, printable
from ..engines.signals import Stopped
from .check import check
from .conformance import conformance
from .data import data
from .diff import diff
from .doctor import doctor
from .evidence.claims import claims
from .evidence.label_errors import label_errors
from .evidence.meta import meta
from .figure import figure
from .models import export, predict
from .options.output import spell_out_what_cannot_be_encoded
from .options.waiting import Waiting
from .report import report
from .results import status, table
from .run import plan, run
from .runs import runs
from .show import list_everything, show

_LONGEST = 4_000  # letters of an error message, which may quote a name or a user's own code
_EMPTY = re.compile(r"--[a-z-]+=\s*")  # an option without its value
_TEMPORARY = re.compile(r"\.([^/]+)\.[0-9a-f]{16}\.tmp$")  # name of a file that is being written


class Commands(click.Group):
    """The commands in the order of a user's work; BadInput and OSError become one line and exit code 2."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order in which they were added."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words name; BadInput for an empty value, as of a shell's variable that is not set."""
        for before, word in itertools.pairwise(["", *args]):
            if not word.strip() or _EMPTY.fullmatch(word):
                name = word.rstrip("=") if word.strip() else before if before.startswith("-") else ""
                raise BadInput(f"{name or 'an argument'}: its value is empty; give one, or leave it out")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; exits with 2 for BadInput, with 128 and the signal's number after a signal."""
        try:
            with Waiting() as waiting, heard(waiting):
                return super().invoke(ctx)
        except BadInput as error:
            click.echo(f"fernoise-bench: {printable(str(error)[:_LONGEST])}", err=True)
            sys.exit(2)
        except KeyboardInterrupt as error:
            click.echo("interrupted: run it again to continue where it stopped", err=True)
            sys.exit(error.exit_code if isinstance(error, Stopped) else 130)

    def main(self, *arguments: Any, **more: Any) -> Any:
        """Runs the command line. Click itself ends the program without a message when its output pipe is closed."""
        spell_out_what_cannot_be_encoded()
        try:
            return super().main(*arguments, **more)
        except OSError as error:
            message = printable(_message_for(error))
            _discard_output()
            click.echo(f"fernoise-bench: {message}", err=True)
            sys.exit(2)


def _message_for(error: OSError) -> str:
    """One line for an error of the operating system that no command handles: the path, the reason, what to do."""
    reason = error.strerror or f"{type(error).__name__}: {error}"
    if any(frame.f_code is click.echo.__code__ for frame, _ in traceback.walk_tb(error.__traceback__)):
        return f"the output cannot be written: {reason}; redirect it to another file or device"
    if error.filename is None:
        return f"{reason}; check the free disk space, and that the folders named can be read and written"
    path = _TEMPORARY.sub(r"\1", str(error.filename))
    return f"{path}: {reason}; check that it can be read and written, or name another path"


def _discard_output() -> None:
    """Discards printed text that cannot be written; Python would try to write it again when it exits."""
    try:
        sys.stdout.flush()
    except OSError:
        with open(os.devnull, "wb") as null:
            os.dup2(null.fileno(), sys.stdout.fileno())


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="fernoise-bench", message="%(package)s %(version)s")
def main() -> None:
    """Benchmark methods for facial expression and action unit recognition with noisy labels.

    \b
    fernoise-bench table fer2013-real
    fernoise-bench show cocuring
    fernoise-bench run --protocol ferplus-sym --method elr,gce --synthetic
    """


for command in (
    *(run, plan, status, list_everything, show, table, label_errors, figure, claims, meta, report, diff, runs),
    *(predict, export, check, conformance, data, doctor),
):
    main.add_command(command)
