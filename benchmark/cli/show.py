"""`list` and `show`: what there is, and every number of a protocol or a method with its source."""

from __future__ import annotations

import json
import textwrap

import click

CardRows = list[tuple[str, str, str]]


@click.command("list")
@click.argument("what", type=click.Choice(["protocols", "methods"]), required=False)
@click.option("--json", "as_json", is_flag=True)
def list_everything(what: str | None, as_json: bool) -> None:
    """Names of the protocols and the methods."""
    from ...protocols.catalog import PROTOCOLS

    found: dict[str, dict[str, str]] = {}
    if what != "methods":
        found["protocols"] = {name: protocol.title for name, protocol in PROTOCOLS.items()}
    if what != "protocols":
        found["methods"] = _methods()
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    for group, names in found.items():
        click.echo(f"{group}:")
        width = max(map(len, names))
        for name, about in names.items():
            click.echo(f"  {name:<{width}}  {about}".rstrip())


def _methods() -> dict[str, str]:
    """Every method and variant with the first line of its documentation."""
    from ..method_summary import outline
    from ..registry import names

    found = {}
    for method, target in names().items():
        told = outline(target)
        found[method] = told.about
        found |= {f"{method}:{variant}": about for variant, about in told.variants.items()}
    return found


@click.group()
def show() -> None:
    """A protocol's card, or a method's hyper-parameters."""


@show.command("method")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def show_method(name: str, as_json: bool) -> None:
    """Every hyper-parameter of a method with its value and source."""
    from .. import registry
    from ..cards import method_rows

    method = registry.find(name)
    rows = method_rows(method)
    if as_json:
        click.echo(_as_json(rows))
        return
    click.echo(f"{method.name}  needs {', '.join(sorted(method.needs))}\n")
    click.echo((method.load().__doc__ or "").strip() + "\n")
    click.echo(_as_table(rows))


@show.command("protocol")
@click.argument("name")
@click.option("--profile", type=click.Choice(["paper", "small", "smoke"]), help="Default paper; synthetic: small.")
@click.option("--synthetic", is_flag=True, help="Draw generated faces, and say how much noise came about on them.")
@click.option("--json", "as_json", is_flag=True)
def show_protocol(name: str, profile: str | None, synthetic: bool, as_json: bool) -> None:
    """The card of a protocol: what is measured, and the recipe with the source of each value."""
    from ...protocols import catalog
    from ..cards import noise_rows, protocol_rows, recipe_rows

    protocol = catalog.find(name)
    chosen = profile or ("small" if synthetic else "paper")
    rows = protocol_rows(protocol, chosen)
    rows += noise_rows(protocol, chosen) if synthetic else []
    rows += recipe_rows(protocol, chosen)
    if as_json:
        click.echo(_as_json(rows))
        return
    of_profile = f"fingerprint {protocol.fingerprint(chosen)}, {chosen} profile"
    click.echo(f"{protocol.name} v{protocol.version}  {protocol.title}  ({of_profile})\n")
    click.echo(_as_table(rows))


def _as_table(rows: CardRows) -> str:
    from tabulate import tabulate

    # Wrapped here: tabulate's own wrapping turns the text "False" into True.
    wrapped = [[_wrapped(text, width) for text, width in zip(row, (40, 50, 80), strict=True)] for row in rows]
    return str(tabulate(wrapped, ("what", "value", "source"), tablefmt="github", disable_numparse=True))


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


def _as_json(rows: CardRows) -> str:
    return json.dumps([dict(zip(("name", "value", "source"), row, strict=True)) for row in rows], indent=1)
