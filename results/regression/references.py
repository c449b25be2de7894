"""References of regression checks on disk: one JSON file a suite, the reasons for its numbers included."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...protocols.errors import BadInput, printable
from ...protocols.files import read_json, write_atomic
from ..records.schema import is_number
from .compare import CHECKED, SCORE, Reference, Series, rounded

SHIPPED = Path(__file__).parent / "reference_numbers"
FORMAT = 1
EntryName = tuple[str, str]


@dataclass(frozen=True)
class References:
    """The references of a suite.

    Attributes:
        protocols: fingerprint of each protocol when its references were written.
        entries: by protocol and method.
        history: every update, the oldest first: its reason, its date, what it wrote, and the versions it ran with.
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
    if not os.path.lexists(path):
        return NONE
    try:
        plain = read_json(path)
    except BadInput as error:
        raise BadInput(f"{path}: not references of a check ({_why(error.__cause__)}); restore the file") from error
    try:
        if plain["format"] != FORMAT:
            raise BadInput(
                f"{path}: format {plain['format']}, this version reads {FORMAT}; write it anew with --update"
            )
        entries = {_pair(name): _entry(content) for name, content in plain["entries"].items()}
        return References(_words(plain["protocols"]), entries, tuple(map(_note, plain["history"])))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        if isinstance(error, BadInput):
            raise
        raise BadInput(f"{path}: not references of a check ({_why(error)}); restore the file") from error


def _why(error: BaseException | None) -> str:
    return f"{type(error).__name__}: {printable(str(error))}"


def save(folder: Path, suite: str, references: References) -> None:
    """Writes the references of a suite, one series a line, so that a change of one reads as such."""
    entries = {"/".join(pair): _plain(entry) for pair, entry in references.entries.items()}
    content = {"format": FORMAT, "history": references.history, "protocols": references.protocols, "entries": entries}
    write_atomic(path_of(folder, suite), (_lines(content) + "\n").encode())


def _pair(name: str) -> EntryName:
    protocol, _, method = _word(name).partition("/")
    return protocol, method


def _word(text: object) -> str:
    """Text that says no more than it shows."""
    if not isinstance(text, str) or printable(text) != text:
        raise ValueError(f"{str(text)!r} is no name")
    return text


def _words(plain: Mapping[str, str]) -> dict[str, str]:
    return {_word(name): _word(text) for name, text in plain.items()}


def _note(plain: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(plain["reason"], str):
        raise ValueError("an update without its reason")
    return {**plain, "versions": _words(plain["versions"])}


def _entry(plain: Mapping[str, Any]) -> Reference:
    """A reference whose numbers fit together; ValueError, TypeError or KeyError where they do not."""
    seeds = tuple({_word(name): _series(values) for name, values in trace.items()} for trace in plain["seeds"])
    reach = {name: _reach(values) for name, values in plain["reach"].items()}
    if len(seeds) < len(CHECKED):
        raise ValueError(f"an entry of {len(seeds)} seeds, a check runs {len(CHECKED)}")
    for trace in seeds:
        if not trace.get(SCORE) or trace[SCORE][-1] is None:
            raise ValueError(f"a seed without its score, '{SCORE}'")
        short = [name for name, series in trace.items() if len(reach.get(name, ())) < len(series)]
        if short:
            raise ValueError(f"a reach shorter than its series: {', '.join(short)}")
    return Reference(_word(plain["digest"]), seeds, reach)


def _series(values: list[Any]) -> Series:
    return tuple(None if value is None else _finite(value) for value in values)


def _reach(values: list[Any]) -> tuple[float, ...]:
    reach = tuple(map(_finite, values))
    if min(reach, default=0.0) < 0:
        raise ValueError("a reach below 0")
    return reach


def _finite(value: Any) -> float:
    if not is_number(value):
        raise ValueError(f"{printable(str(value))} is no number")
    return float(value)


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
