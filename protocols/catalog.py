"""All protocols, by name: those published, those of other packages by entry point, those of users by file."""

from __future__ import annotations

import functools
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from .base import Protocol
from .definitions.action_units import AU_PROTOCOLS
from .definitions.expressions import EXPRESSION_PROTOCOLS
from .designs.held_out import held_out, split_name
from .errors import BadInput, unknown
from .own_data.definition import protocol_of_toml

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in (*AU_PROTOCOLS, *EXPRESSION_PROTOCOLS)}
ENTRY_POINTS = "fernoise_bench.protocols"
SUFFIX = ".toml"


def find(name: str) -> Protocol:
    """The protocol of a name, or of a TOML file.

    Raises:
        BadInput: an unknown name, with the most similar ones; a version that is not there; a file or another package's
            protocol that is not valid.
    """
    if name.endswith(SUFFIX):
        return protocol_of_file(Path(name))
    if derived := split_name(name):
        return held_out(find(derived[0]), derived[1])
    found = known(name)
    if found is None and Path(file := f"{name}{SUFFIX}").is_file():
        raise BadInput(f"'{name}' is not a protocol here; name its TOML file: {file}")
    if found is None:
        raise unknown("protocol", name, names())
    return found


def known(name: str) -> Protocol | None:
    """The protocol of NAME or, as in titles, NAME@VERSION; None for one that is not known, BadInput as `find`."""
    if derived := split_name(name):
        whole = find(derived[0]) if derived[0].endswith(SUFFIX) else known(derived[0])
        return None if whole is None else held_out(whole, derived[1])
    others = _others()
    if name in PROTOCOLS or name in others:
        return PROTOCOLS[name] if name in PROTOCOLS else _loaded(others[name])
    base, _, version = name.rpartition("@")
    found = known(base) if base else None
    if found is not None and version != str(found.version):
        raise BadInput(f"{name}: there is no version {version} of {base} here, only {base}@{found.version}")
    return found


def names() -> tuple[str, ...]:
    """The names of all protocols, those of other packages last."""
    return (*PROTOCOLS, *(name for name in _others() if name not in PROTOCOLS))


def protocol_of_file(path: Path) -> Protocol:
    """The protocol that a TOML file defines. Its paths are relative to the folder of the file; nothing else is read.

    Raises:
        BadInput: a file that is missing or not valid, or a name that a published protocol has.
    """
    found = protocol_of_toml(path)
    if found.name.lower() in {name.lower() for name in PROTOCOLS}:  # folders of results may not tell cases apart
        raise BadInput(f"{path}: protocol.name = '{found.name}' is a published protocol's: choose another name")
    return found


@functools.cache
def _others() -> dict[str, EntryPoint]:
    """The entry points of other packages, by the name of the protocol."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _loaded(point: EntryPoint) -> Protocol:
    """The protocol of an entry point, which names a Protocol or the path of a TOML file."""
    try:
        found = point.load()
    except (ImportError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise BadInput(f"protocol {point.name}: {point.value} does not load ({what}); repair its package") from error
    if isinstance(found, str | Path):
        found = protocol_of_file(Path(found))
    if not isinstance(found, Protocol) or found.name != point.name:
        what = "a Protocol of that name, or the path of its TOML file"
        raise BadInput(f"protocol {point.name}: {point.value} is not {what}; repair its package")
    return found
