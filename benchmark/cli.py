"""The command line: `fernoise-bench`. Commands import what they need when they run, so that help is quick."""

from __future__ import annotations

import sys
from typing import Any

import click

from ..protocols.errors import BadInput, printable
from .cli_check import check
from .cli_claims import claims
from .cli_data import data
from .cli_diff import diff
from .cli_doctor import doctor
from .cli_figure import figure
from .cli_report import report
from .cli_results import status, table
from .cli_run import plan, run
from .cli_show import list_everything, show
from .stopping import Stopped


class Commands(click.Group):
    """Commands in the order of a user's work; BadInput becomes one line and exit code 2."""

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
