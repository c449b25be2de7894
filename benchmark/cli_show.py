"""`list` and `show`: what there is, and every number of a protocol or a method with its source."""

from __future__ import annotations

import json
import textwrap
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..protocols.base import Protocol
    from .registry import MethodSpec

Rows = list[tuple[str, str, str]]


@click.command("list")
@click.argument("what", type=click.Choice(["protocols", "methods"]), required=False)
@click.option("--json", "as_json", is_flag=True)
def list_everything(what: str | None, as_json: bool) -> None:
    """Names of the protocols and the methods."""
    from ..protocols.catalog import PROTOCOLS

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
    from . import registry

    found = {}
    for method in registry.all_base():
        cls = method.load()
        found[method.name] = (cls.__doc__ or "").strip().splitlines()[0]
        for name, variant in cls.variants.items():
            found[f"{method.name}:{name}"] = variant.about
    return found


@click.group()
def show() -> None:
    """A protocol's card, or a method's hyper-parameters."""


@show.command("method")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True)
def show_method(name: str, as_json: bool) -> None:
    """Every hyper-parameter of a method with its value and source."""
    from . import registry

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
@click.option("--profile", type=click.Choice(["paper", "small", "smoke"]), default="paper", show_default=True)
@click.option("--json", "as_json", is_flag=True)
def show_protocol(name: str, profile: str, as_json: bool) -> None:
    """The card of a protocol: what is measured, and the recipe with the source of each value."""
    from ..protocols import catalog

    protocol = catalog.find(name)
    rows = [*protocol_rows(protocol), *recipe_rows(protocol, profile)]
    if as_json:
        click.echo(_as_json(rows))
        return
    click.echo(
        f"{protocol.name} v{protocol.version}  {protocol.title}  (fingerprint {protocol.fingerprint(profile)})\n"
    )
    click.echo(_as_table(rows))


def method_rows(method: MethodSpec) -> Rows:
    """(name, value, source) of each hyper-parameter."""
    return [
        (f.name, _plain(getattr(method.params, f.name)), f.metadata.get("source", "unstated"))
        for f in fields(method.params)
    ]


def protocol_rows(protocol: Protocol) -> Rows:
    """(name, value, remark) of what a protocol measures."""
    about = dict(protocol.about)
    rows = [
        ("labels", ", ".join(protocol.names), about.pop("classes", "")),
        ("data", ", ".join(protocol.data), ""),
        ("noise", protocol.noise, about.pop("noise", "")),
        ("noise seed", f"{protocol.noise_seed} + draw", ""),
        ("levels", ", ".join(map(str, protocol.levels)) or "none", ""),
        (
            "metric",
            protocol.metric,
            "mean over AUs; 0 where undefined; known entries" if protocol.metric == "f1" else "",
        ),
    ]
    rows += [
        (f"test part {name}", f"{len(subjects)} subjects", " ".join(subjects)) for name, subjects in protocol.parts
    ]
    if protocol.rates:
        rates = ", ".join(f"{name} {rate:g}" for name, rate in zip(protocol.names, protocol.rates, strict=True))
        rows.append(("base rates", rates, ""))
    return rows + [(name, text, "") for name, text in about.items()]


def recipe_rows(protocol: Protocol, profile: str) -> Rows:
    """(name, value, source) of each number of a profile's recipe and sizes, without what the recipe does not use."""
    chosen = protocol.profile(profile)
    recipe, augmentation = chosen.recipe, chosen.recipe.augmentation
    unused = {"sources", "augmentation"}
    unused |= {"momentum"} if recipe.optimizer != "sgd" else set()
    unused |= {"decay"} if recipe.schedule == "constant" else set()
    unused |= {"verified_per_batch"} if recipe.sampler != "fixed" else set()
    unused |= {"erase_area"} if not augmentation.erase else set()
    sources = dict(recipe.sources)
    rows = []
    for owner, item in (("", recipe), ("augmentation.", augmentation), ("size.", chosen.size)):
        for f in fields(item):
            if f.name not in unused:
                name = f"{owner}{f.name}"
                rows.append((name, _plain(getattr(item, f.name)), _source(sources, name)))
    left_out = [name for name in sources if not any(part in row[0] for part in name.split(", ") for row in rows)]
    return rows + [(name, "left out", sources[name]) for name in left_out]


def _source(sources: dict[str, str], name: str) -> str:
    """The source of a field; one entry may stand for several ("schedule, decay")."""
    for names, source in sources.items():
        owner, _, rest = names.rpartition(".")
        if name in [f"{owner}.{part.strip()}" if owner else part.strip() for part in rest.split(",")]:
            return source
    return "ours: the size of this profile" if name.startswith("size.") else "unstated: ours"


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _as_table(rows: Rows) -> str:
    from tabulate import tabulate

    # Wrapped here: tabulate's own wrapping turns the text "False" into True.
    wrapped = [[_wrapped(text, width) for text, width in zip(row, (40, 50, 80), strict=True)] for row in rows]
    return str(tabulate(wrapped, ("what", "value", "source"), tablefmt="github", disable_numparse=True))


def _wrapped(text: str, width: int) -> str:
    return "\n".join(textwrap.wrap(text, width))


def _as_json(rows: Rows) -> str:
    return json.dumps([dict(zip(("name", "value", "source"), row, strict=True)) for row in rows], indent=1)
