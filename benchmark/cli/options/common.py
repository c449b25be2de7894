"""Options and helpers that several commands share."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from ....protocols.errors import BadInput

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

DEFAULT_DATA_ROOT = Path("data")
PROFILES = click.Choice(["paper", "transfer", "small", "smoke"])


def separated(context: click.Context, parameter: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """The names of a repeated option whose values may hold several, with commas between."""
    return tuple(name for value in values for name in _separated(value))


def _separated(value: str) -> list[str]:
    path, of_file, class_name = value.rpartition(".py:")
    if of_file and "," not in class_name and Path(f"{path}.py").is_file():  # the folder's name may have a comma
        return [value]
    return [name.strip() for name in value.split(",")]


def above_data_set(context: click.Context, parameter: click.Parameter, root: Path) -> Path:
    """The folder of data sets, also where one data set's own folder was named, which is told on standard error."""
    if root == DEFAULT_DATA_ROOT or not os.path.isdir(root):  # False, too, where it cannot be looked at
        return root
    from ....protocols.catalog import PROTOCOLS

    named = root if root.name else root.resolve()
    data_sets = {"openface", *(name for protocol in PROTOCOLS.values() for name in protocol.data)}
    if named.name not in data_sets or os.path.exists(root / named.name):
        return root
    click.echo(f"--data-root {root}: that is the folder of {named.name} itself; using {named.parent}", err=True)
    return named.parent


METHODS_SHOWN = click.option(
    "--method", "methods", multiple=True, metavar="NAME", callback=separated,
    help="Show this method only: NAME, NAME:VARIANT or file.py:Class. Can be repeated, or several with commas.",
)  # fmt: skip


def rivals_option(text: str) -> Decorator[Any]:
    """`--against`, which takes one method or several."""
    return click.option(
        "--against", multiple=True, metavar="METHOD", callback=separated,
        help=f"{text} Can be repeated, or several with commas: one table each.",
    )  # fmt: skip


DATA_ROOT = click.option(
    "--data-root", type=click.Path(path_type=Path), envvar="FERNOISE_DATA", default=DEFAULT_DATA_ROOT,
    show_default=True, callback=above_data_set, metavar="DIR",
    help="Folder of data sets in their published layout (environment variable FERNOISE_DATA).",
)  # fmt: skip
RESULTS_FOLDER = click.option(
    "--out", type=click.Path(path_type=Path), default=Path("fernoise-runs"), show_default=True, metavar="DIR",
    help="Folder for the results.",
)  # fmt: skip
DEVICE = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
    help="Device to compute on; auto takes CUDA where there is a CUDA device.",
)  # fmt: skip
WORKERS = click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Number of worker processes."
)
PROFILE = click.option(
    "--profile", type=PROFILES, help="Size of the protocol. Default: paper, or small with --synthetic."
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")


def format_option(*formats: str) -> Decorator[Any]:
    """`--format`, the first of the formats being the default."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True, help="Output format."
    )


def add_options(*options: Decorator[Any]) -> Decorator[F]:
    """A decorator that gives a command several options, in the order of its help."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def print_json(value: object) -> None:
    """Prints plain data as JSON."""
    click.echo(json.dumps(value, indent=1))


def write_file(path: Path, content: bytes, option: str = "--out") -> None:
    """Writes a file that an option names, atomically; BadInput where that is not possible."""
    from ....protocols.files import write_atomic

    with writable(path, option):
        write_atomic(path, content)


@contextlib.contextmanager
def writable(path: Path, option: str = "--out") -> Iterator[None]:
    """Writing of a file that an option names: what the disk refuses becomes BadInput."""
    try:
        yield
    except OSError as error:
        raise BadInput(f"{option} {path}: {error.strerror or error}; choose another path") from error


def warn_of_damage(messages: Iterable[str]) -> None:
    """Names damaged trials on standard error."""
    for message in messages:
        click.echo(f"damaged: {message}", err=True)
