"""`list` and `show`: protocols and methods, and every number of each with its source."""

from __future__ import annotations

import inspect
import sys
import textwrap

import click

from ...protocols.errors import BadInput, unknown
from .options.common import JSON, PROFILE, print_json
from .options.terminal import folded, hanging, print_grid, terminal_width

CardRows = list[tuple[str, str, str]]


@click.command("list")
@click.argument("what", type=click.Choice(["protocols", "methods"]), required=False)
@JSON
def list_everything(what: str | None, as_json: bool) -> None:
    """List the protocols and the methods, and those that are reported only.

    \b
    fernoise-bench list
    fernoise-bench list methods --json
    """
    from ...protocols import catalog

    found: dict[str, dict[str, str]] = {}
    if what != "methods":
        found["protocols"] = {name: catalog.find(name).title for name in catalog.names()}
    if what != "protocols":
        found["methods"] = _methods()
        found["reported_only"] = _reported_only()
    if as_json:
        print_json(found)
        return
    for group, names in found.items():
        click.echo(f"{group.replace('_', ' ')}:")
        width = max(map(len, names))
        for name, about in names.items():
            click.echo(hanging(f"  {name:<{width}}  ", about))


def _methods() -> dict[str, str]:
    """The first line of the documentation of every method and variant."""
    from ..method_summary import outline
    from ..registry import names

    found = {}
    for method, target in names().items():
        summary = outline(target)
        found[method] = summary.about
        found |= {f"{method}:{variant}": about for variant, about in summary.variants.items()}
    return found


def _reported_only() -> dict[str, str]:
    """Why there is no method of these names to run."""
    from ...results.papers.methods import reported_only

    return {name: f"{each.venue} {each.year}: {each.why}" for name, each in reported_only().items()}


class ByName(click.Group):
    """A group whose commands are kinds of things; a name without its kind is that of the one thing called so."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command of a kind; of a name alone, that of its kind."""
        if args[0] not in self.commands and not args[0].startswith("-"):
            args = [_kind_of(args[0]), *args]
        return super().resolve_command(ctx, args)


def _kinds(name: str) -> dict[str, bool]:
    """By kind, whether there is a thing of this name."""
    from ...protocols.catalog import SUFFIX, known
    from ...results.papers.reported import TABLE_IDS
    from ..registry import names

    protocol = name.endswith(SUFFIX) or known(name) is not None
    method = ".py" in name or name.partition(":")[0].replace("-", "_") in names()
    return {"protocol": protocol, "method": method, "table": name in TABLE_IDS}


def _kind_of(name: str) -> str:
    """The kind of the thing of this name; BadInput for none, and for several."""
    kinds = [kind for kind, there in _kinds(name).items() if there]
    if len(kinds) > 1:
        commands = ", or ".join(f"fernoise-bench show {kind} {name}" for kind in kinds)
        raise BadInput(f"'{name}' is a {' and a '.join(kinds)}: {commands}")
    if kinds:
        return kinds[0]
    from ...protocols.catalog import PROTOCOLS
    from ...results.papers.figures import DRAWINGS, FIGURES
    from ...results.papers.reported import TABLE_IDS
    from ..registry import names

    if name in FIGURES or name in DRAWINGS:
        raise BadInput(f"'{name}' is a figure: fernoise-bench figure {name} draws it")
    if any(name in protocol.data for protocol in PROTOCOLS.values()):
        raise BadInput(f"'{name}' is a data set: fernoise-bench data verify {name} tells about your copy")
    error = unknown(
        "protocol, method or table", name, [*PROTOCOLS, *names(), *TABLE_IDS, "protocol", "method", "table"]
    )
    if "did you mean" in str(error):
        raise error
    raise BadInput(f"unknown protocol, method or table '{name}': fernoise-bench list prints the names")


def _check_kind(name: str, kind: str) -> None:
    """Raises BadInput, with the right command, for the name of a thing of another kind."""
    kinds = _kinds(name)
    other = next((other for other, there in kinds.items() if there and not kinds[kind]), "")
    if other:
        raise BadInput(f"'{name}' is no {kind} but a {other}: fernoise-bench show {other} {name}")


@click.group(cls=ByName, subcommand_metavar="[protocol|method|table] NAME [OPTIONS]")
def show() -> None:
    """Describe a protocol, a method or a paper's table.

    The kind can be left out.

    \b
    fernoise-bench show fer2013-real
    fernoise-bench show cocuring:no-relabel
    fernoise-bench show recot-4
    """


@show.command("table")
@click.argument("name")
def show_table(name: str) -> None:
    """Print a paper's table as published, and known errors in it.

    Exit code 1 where it has a contradiction that is not marked as known.

    \b
    fernoise-bench show table recot-4
    fernoise-bench show cocuring-2
    """
    from ...results.papers.reported_check import check, checked_text

    _check_kind(name, "table")
    (checked,) = check((name,))
    click.echo(folded(checked_text(checked, terminal_width())), nl=False)
    if checked.problems:
        sys.exit(1)


@show.command("method")
@click.argument("name")
@JSON
def show_method(name: str, as_json: bool) -> None:
    """Print every hyper-parameter of a method with its value and source.

    \b
    fernoise-bench show method cocuring
    fernoise-bench show method recot:no-tlr --json
    fernoise-bench show docs/examples/my_method.py:MyMethod
    """
    from ..cards import method_rows
    from ..method_summary import describe

    _check_kind(name, "method")
    method = describe(name)
    rows = method_rows(method)
    if as_json:
        print_json(_as_dicts(rows))
        return
    click.echo(f"{method.name}  needs {', '.join(sorted(method.needs))}\n")
    click.echo(_wrapped(method.about) + "\n")
    _print_rows(rows)


@show.command("protocol")
@click.argument("name")
@PROFILE
@click.option("--synthetic", is_flag=True, help="Generate faces, and print the share of wrong labels among them.")
@JSON
def show_protocol(name: str, profile: str | None, synthetic: bool, as_json: bool) -> None:
    """Print what a protocol measures, and its training recipe with the source of each value.

    \b
    fernoise-bench show protocol ferplus-sym
    fernoise-bench show fer2013-real --profile small
    fernoise-bench show ferplus-annotator --synthetic
    """
    from ...protocols import catalog
    from ..cards import noise_rows, protocol_rows, recipe_rows

    _check_kind(name, "protocol")
    protocol = catalog.find(name)
    chosen = profile or ("small" if synthetic else "paper")
    rows = protocol_rows(protocol, chosen)
    rows += noise_rows(protocol, chosen) if synthetic else []
    rows += recipe_rows(protocol.profile(chosen).recipe)
    if as_json:
        print_json(_as_dicts(rows))
        return
    of_profile = f"fingerprint {protocol.fingerprint(chosen)}, {chosen} profile"
    click.echo(folded(f"{protocol.name} v{protocol.version}  {protocol.title}  ({of_profile})") + "\n")
    _print_rows(rows)


def _wrapped(text: str) -> str:
    """A documentation; in a terminal, its paragraphs have lines that fit."""
    width = terminal_width()
    if width is None:
        return text
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(textwrap.fill(each, width, break_on_hyphens=False) for each in paragraphs)


def _print_rows(rows: CardRows) -> None:
    # wrapped here, since tabulate's own wrapping turns the text "False" into True
    wrapped = [[textwrap.fill(text, width) for text, width in zip(row, (40, 50, 80), strict=True)] for row in rows]
    print_grid(("what", "value", "source"), rows if terminal_width() else wrapped)


def _as_dicts(rows: CardRows) -> list[dict[str, str]]:
    return [dict(zip(("name", "value", "source"), row, strict=True)) for row in rows]
