"""References of regression checks on disk: one JSON file a suite, the reasons for its numbers included."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..protocols.errors import BadInput
from .check_compare import Reference, rounded
from .store import read_json, write_atomic

SHIPPED = Path(__file__).parent / "check"
FORMAT = 1
Pair = tuple[str, str]


@dataclass(frozen=True)
class References:
    """The references of a suite.

    Attributes:
        protocols: fingerprint of each protocol when its references were written.
        entries: by protocol and method.
        history: every update, the oldest first: its reason, its date, what it wrote, and the versions it ran with.
    """

    protocols: Mapping[str, str]
    entries: Mapping[Pair, Reference]
    history: tuple[Mapping[str, Any], ...]

    def updated(
        self,
        protocols: Mapping[str, str],
        entries: Mapping[Pair, Reference],
        gone: frozenset[Pair],
        note: Mapping[str, Any],
    ) -> References:
        """The references with some written anew and some taken out, and the note on why."""
        kept = {pair: entry for pair, entry in self.entries.items() if pair not in gone}
        return References(
            {**self.protocols, **protocols}, dict(sorted({**kept, **entries}.items())), (*self.history, note)
        )


NONE = References({}, {}, ())


def path_of(folder: Path, suite: str) -> Path:
    """The file of a suite's references."""
    return folder / f"{suite}.json"


def load(folder: Path, suite: str) -> References:
    """The references of a suite; none where there is no file.

    Raises:
        BadInput: a file that is damaged or of another format.
    """
    path = path_of(folder, suite)
    if not path.exists():
        return NONE
    plain = read_json(path)
    try:
        if plain["format"] != FORMAT:
            raise BadInput(
                f"{path}: format {plain['format']}, this version reads {FORMAT}; write it anew with --update"
            )
        entries = {_pair(name): _entry(content) for name, content in plain["entries"].items()}
        return References(plain["protocols"], entries, tuple(plain["history"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(
            f"{path}: not references of a check ({type(error).__name__}: {error}); restore the file"
        ) from error


def save(folder: Path, suite: str, references: References) -> None:
    """Writes the references of a suite, one series a line, so that a change of one reads as such."""
    entries = {"/".join(pair): _plain(entry) for pair, entry in references.entries.items()}
    content = {"format": FORMAT, "history": references.history, "protocols": references.protocols, "entries": entries}
    write_atomic(path_of(folder, suite), (_lines(content) + "\n").encode())


def _pair(name: str) -> Pair:
    protocol, _, method = name.partition("/")
    return protocol, method


def _entry(plain: Mapping[str, Any]) -> Reference:
    seeds = tuple({name: tuple(series) for name, series in trace.items()} for trace in plain["seeds"])
    if not seeds or not plain["reach"]:
        raise ValueError("an entry without numbers")
    reach = {name: tuple(map(float, series)) for name, series in plain["reach"].items()}
    if any(trace.keys() - reach.keys() for trace in seeds):
        raise ValueError("a series without its reach")
    return Reference(str(plain["digest"]), seeds, reach)


def _plain(entry: Reference) -> dict[str, Any]:
    seeds = [
        {name: [None if value is None else rounded(value) for value in series] for name, series in trace.items()}
        for trace in entry.seeds
    ]
    return {"digest": entry.digest, "reach": entry.reach, "seeds": seeds}


def _lines(value: Any, indent: str = "") -> str:
    """JSON with a line for each list of numbers."""
    deeper = indent + " "
    if isinstance(value, Mapping):
        parts = [f"{deeper}{json.dumps(str(key))}: {_lines(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(parts) + f"\n{indent}}}" if parts else "{}"
    if isinstance(value, (list, tuple)) and any(isinstance(item, Mapping) for item in value):
        return "[\n" + ",\n".join(f"{deeper}{_lines(item, deeper)}" for item in value) + f"\n{indent}]"
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
