"""`list` and `show`: protocols and methods, and every number of each with its source."""

from __future__ import annotations

import textwrap

import click

from .options import JSON, PROFILE, print_json

CardRows = list[tuple[str, str, str]]


@click.command("list")
@click.argument("what", type=click.Choice(["protocols", "methods"]), required=False)
@JSON
def list_everything(what: str | None, as_json: bool) -> None:
    """List the protocols and the methods."""
    from ...protocols import catalog

    found: dict[str, dict[str, str]] = {}
    if what != "methods":
        found["protocols"] = {name: catalog.find(name).title for name in catalog.names()}
    if what != "protocols":
        found["methods"] = _methods()
    if as_json:
        print_json(found)
        return
    for group, names in found.items():
        click.echo(f"{group}:")
        width = max(map(len, names))
        for name, about in names.items():
            click.echo(f"  {name:<{width}}  {about}".rstrip())


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


@click.group()
def show() -> None:
    """Describe a protocol or a method."""


@show.command("method")
@click.argument("name")
@JSON
def show_method(name: str, as_json: bool) -> None:
    """Print every hyper-parameter of a method with its value and source."""
    from .. import registry
    from ..cards import method_rows

    method = registry.find(name)
    rows = method_rows(method)
    if as_json:
        print_json(_as_dicts(rows))
        return
    click.echo(f"{method.name}  needs {', '.join(sorted(method.needs))}\n")
    click.echo((method.load().__doc__ or "").strip() + "\n")
    click.echo(_as_table(rows))


@show.command("protocol")
@click.argument("name")
@PROFILE
@click.option("--synthetic", is_flag=True, help="Generate faces, and print the share of wrong labels among them.")
@JSON
def show_protocol(name: str, profile: str | None, synthetic: bool, as_json: bool) -> None:
    """Print what a protocol measures, and its training recipe with the source of each value."""
    from ...protocols import catalog
    from ..cards import noise_rows, protocol_rows, recipe_rows

    protocol = catalog.find(name)
    chosen = profile or ("small" if synthetic else "paper")
    rows = protocol_rows(protocol, chosen)
    rows += noise_rows(protocol, chosen) if synthetic else []
    rows += recipe_rows(protocol.profile(chosen).recipe)
    if as_json:
        print_json(_as_dicts(rows))
        return
    of_profile = f"fingerprint {protocol.fingerprint(chosen)}, {chosen} profile"
    click.echo(f"{protocol.name} v{protocol.version}  {protocol.title}  ({of_profile})\n")
    click.echo(_as_table(rows))


def _as_table(rows: CardRows) -> str:
    from tabulate import tabulate

    # wrapped here, since tabulate's own wrapping turns the text "False" into True
    wrapped = [[textwrap.fill(text, width) for text, width in zip(row, (40, 50, 80), strict=True)] for row in rows]
    return str(tabulate(wrapped, ("what", "value", "source"), tablefmt="github", disable_numparse=True))


def _as_dicts(rows: CardRows) -> list[dict[str, str]]:
    return [dict(zip(("name", "value", "source"), row, strict=True)) for row in rows]
