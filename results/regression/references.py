"""References of regression checks on disk: one JSON file for each suite, with the reasons for its updates."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ...protocols.errors import BadInput, printable
from ...protocols.files import read_content, write_atomic
from ..records.trial_files import is_printable
from .compare import CHECKED, SCORE, Reference, rounded

SHIPPED = Path(__file__).parent / "reference_numbers"
FORMAT = 1
EVERYTHING = "everything"  # what an update of all methods wrote
EntryName = tuple[str, str]


@dataclass(frozen=True)
class References:
    """The references of a suite.

    Attributes:
        protocols: fingerprint of each protocol when its references were written.
        entries: by protocol and method.
        history: every update, the oldest first: its reason, date, what it wrote, and the CPU and versions it ran with.
    """

    protocols: Mapping[str, str]
    entries: Mapping[EntryName, Reference]
    history: tuple[Mapping[str, Any], ...]

    def updated(
        self,
        protocols: Mapping[str, str],
        entries: Mapping[EntryName, Reference],
        gone: frozenset[EntryName],
        note: Mapping[str, Any],
    ) -> References:
        """The references with some replaced and some removed, and a note with the reason."""
        kept = {pair: entry for pair, entry in self.entries.items() if pair not in gone}
        return References(
            {**self.protocols, **protocols}, dict(sorted({**kept, **entries}.items())), (*self.history, note)
        )

    def with_changes(self, before: References, after: References) -> References:
        """These references with what one update made of others: the entries that it wrote or removed, and its note."""
        if self == before:
            return after
        written = {pair: entry for pair, entry in after.entries.items() if before.entries.get(pair) is not entry}
        gone = frozenset(before.entries.keys() - after.entries.keys())
        return self.updated(after.protocols, written, gone, after.history[-1])

    def cpus(self, methods: Sequence[str]) -> tuple[str, ...]:
        """The CPU kinds that the references of some methods were written on, each once; "" for one not recorded."""
        found = {}
        for note in self.history:
            wrote = note.get("wrote", EVERYTHING)
            for method in methods if wrote == EVERYTHING else wrote:
                found[method] = note.get("cpu", "")
        return tuple(sorted({found[method] for method in methods if method in found}))


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
    if not os.path.lexists(path):
        return NONE
    try:
        raw = read_content(path)
        format = msgspec.json.decode(raw, type=_Format).format
        found = msgspec.json.decode(raw, type=_File) if format == FORMAT else _File()
        _check(raw, found)
    except (ValueError, RuntimeError, MemoryError) as error:
        why = f"{type(error).__name__}: {printable(str(error))}"
        raise BadInput(f"{path}: not references of a check ({why}); restore the file") from error
    if format != FORMAT:
        raise BadInput(f"{path}: format {format}, this version reads {FORMAT}; write it again with --update")
    entries = {_pair(name): entry for name, entry in found.entries.items()}
    return References(found.protocols, entries, found.history)


class _Format(Struct):
    format: int


class _Note(Struct):
    reason: str
    versions: dict[str, str]
    wrote: str | tuple[str, ...] = EVERYTHING
    cpu: str = ""


class _File(Struct):
    protocols: dict[str, str] = {}
    entries: dict[str, Reference] = {}
    history: tuple[dict[str, Any], ...] = ()


def _check(raw: bytes, found: _File) -> None:
    """ValueError where the numbers of an entry do not fit together, or text holds control characters."""
    if not is_printable(raw.decode()):
        raise ValueError("a name holds control characters")
    msgspec.convert(found.history, tuple[_Note, ...])
    for entry in found.entries.values():
        if len(entry.seeds) < len(CHECKED):
            raise ValueError(f"an entry of {len(entry.seeds)} seeds, a check runs {len(CHECKED)}")
        if min((value for reach in entry.reach.values() for value in reach), default=0.0) < 0:
            raise ValueError("a reach below 0")
        for trace in entry.seeds:
            if not trace.get(SCORE) or trace[SCORE][-1] is None:
                raise ValueError(f"a seed without its score, '{SCORE}'")
            short = [name for name, series in trace.items() if len(entry.reach.get(name, ())) < len(series)]
            if short:
                raise ValueError(f"a reach shorter than its series: {', '.join(short)}")


def save(folder: Path, suite: str, references: References) -> None:
    """Writes the references of a suite, one series per line, so that diffs show which series changed."""
    entries = {"/".join(pair): _plain(entry) for pair, entry in references.entries.items()}
    content = {"format": FORMAT, "history": references.history, "protocols": references.protocols, "entries": entries}
    write_atomic(path_of(folder, suite), (_lines(content) + "\n").encode())


def _pair(name: str) -> EntryName:
    protocol, _, method = name.partition("/")
    return protocol, method


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
