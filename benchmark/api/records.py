"""Stored trials for scripts and notebooks: chosen by their properties, and as a data frame."""

from __future__ import annotations

import math
import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from ...protocols.errors import BadInput, unknown
from ...results.records.joined import joined
from ...results.records.names import named_methods
from ...results.records.record import RULES, Record
from ...results.records.reference_leaderboard import as_shipped

if TYPE_CHECKING:
    import pandas as pd

DEFAULT_RUNS = Path("fernoise-runs")

Names = str | Collection[str] | None
Numbers = float | Collection[float] | None

_FILTERS = ("protocol", "profile", "source", "recipe", "status", "fold")


class Records(Sequence[Record]):
    """Trials that were read from disk, in the order of their folders.

    Args:
        records: the trials.
        folders: the output folders they were read from.
        notices: what a reader must be told of them.
        damaged: a message for each damaged trial, which is not among them.
    """

    def __init__(
        self,
        records: Iterable[Record],
        folders: Sequence[Path] = (),
        notices: Sequence[str] = (),
        damaged: Sequence[str] = (),
    ) -> None:
        self._records = tuple(records)
        self.folders = tuple(folders)
        self.notices = tuple(notices)
        self.damaged = tuple(damaged)

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records)

    @overload
    def __getitem__(self, place: int) -> Record: ...
    @overload
    def __getitem__(self, place: slice) -> Records: ...
    def __getitem__(self, place: int | slice) -> Record | Records:
        return self._with(self._records[place]) if isinstance(place, slice) else self._records[place]

    def __repr__(self) -> str:
        """One line, then one for each protocol and setting."""
        if not self._records:
            return "Records: no trials"
        lines = [f"Records: {_counted(len(self), 'trial')}"]
        for (protocol, profile, source), mine in _grouped(self._records).items():
            methods = _counted(len({record.method for record in mine}), "method")
            seeds = _counted(len({record.identity.seed for record in mine}), "seed")
            states = Counter(record.state for record in mine)
            lost = "".join(f", {count} {state}" for state, count in states.items() if state != "done")
            ships = ", shipped" if all(record.shipped for record in mine) else ""
            lines.append(f"  {protocol}, {profile} profile, {source} faces: {methods}, {seeds}{ships}{lost}")
        return "\n".join(lines)

    def select(
        self,
        *,
        protocol: Names = None,
        method: Names = None,
        profile: Names = None,
        source: Names = None,
        recipe: Names = None,
        seed: Numbers = None,
        noise: Numbers = None,
        fold: Names = None,
        status: Names = None,
        shipped: bool | None = None,
    ) -> Records:
        """The trials that have one of the given values in every property named; None: any value.

        Args:
            protocol: as "ferplus-sym".
            method: as users type it, with the variant: "co-teaching", "recot:no-tlr", "mine.py:Mine".
            profile: "paper", "transfer", "small" or "smoke".
            source: "real" or "generated".
            recipe: "protocol" or "native".
            seed: the trial's.
            noise: the nominal level, as 0.4.
            fold: the part tested on, as "part1".
            status: "done", "diverged", "failed", "interrupted" or "running".
            shipped: whether it ships with fernoise-bench.

        Raises:
            BadInput: no trial has a value that was given; the message names the most similar ones there are.
        """
        given = dict(zip(_FILTERS, (protocol, profile, source, recipe, status, fold), strict=True))
        found = list(self._records)
        for what, wanted in given.items():
            found = _having(found, self._records, what, _several(wanted))
        if method is not None:
            names = named_methods(_several(method) or (), {record.method for record in self._records}, "these records")
            found = [record for record in found if record.method in names]
        for what, numbers in (("seed", seed), ("noise", noise)):
            found = _with_number(found, self._records, what, numbers)
        return self._with(record for record in found if shipped in (None, record.shipped))

    def to_frame(self) -> pd.DataFrame:
        """A pandas data frame with a row for each trial; what a trial does not have is NaN or None.

        Columns: protocol, protocol_version, profile, source, recipe, method (with its variant), seed, draw, noise
        (nominal), noise_realised, fold, status, metric, then the metric on test in percent by each selection rule
        (last, last_five, validation, oracle), then how well the last epoch's probabilities fit the reference labels of
        the test rows (nll, brier, ece) and the shares of annotators' votes (votes_kl, votes_nll, votes_brier,
        votes_ece), as `results.metrics` computes them, epochs, seconds (of the processor on a CPU, of the clock on a
        GPU), processor_seconds (NaN on a GPU), memory_mb (peak), device, digest (of the method's code), shipped, key
        (of comparability: only trials of one key share a table), folder.
        """
        import pandas as pd

        return pd.DataFrame([_row(record) for record in self._records], columns=list(_COLUMNS))

    def _with(self, records: Iterable[Record]) -> Records:
        return Records(records, self.folders, self.notices, self.damaged)


def load_records(*folders: str | os.PathLike[str], reference: bool = False) -> Records:
    """The trials of some output folders; one that is in several counts once.

    What a reader must be told, and each damaged trial, is a warning, and stays in `notices` and `damaged`.

    Args:
        folders: output folders of `run`. None named: `fernoise-runs`, or, where that holds no trial, what ships with
            fernoise-bench, as the command line does it.
        reference: add what ships; without a folder: what ships alone.

    Raises:
        BadInput: a folder does not exist.
    """
    if any(isinstance(folder, list | tuple) for folder in folders):
        raise BadInput("load_records takes folders one by one, as in load_records('first', 'second')")
    places = [Path(folder) for folder in folders]
    for folder in places:
        if not folder.is_dir():
            raise BadInput(f"{folder}: no such folder; name the output folder of a run")
    named = bool(places) or reference
    found = joined(places if named else [DEFAULT_RUNS], named=named, with_reference=reference)
    records = [as_shipped(record) for record in found.records] if found.reference_alone else found.records
    for message in (*found.notices, *(f"damaged: {each}" for each in found.damaged)):
        warnings.warn(message, stacklevel=2)
    return Records(records, places if named else [DEFAULT_RUNS], found.notices, found.damaged)


def _several(value: Names) -> tuple[str, ...] | None:
    return value if value is None else (value,) if isinstance(value, str) else tuple(value)


def _having(found: list[Record], every: Sequence[Record], what: str, wanted: tuple[str, ...] | None) -> list[Record]:
    """Those of the records found that have one of the wanted values; BadInput for one that none of all has."""
    if wanted is None:
        return found
    values = {record.folder: _property(record, what) for record in every}
    known = {value for value in values.values() if value is not None}
    for value in wanted:
        if value not in known:
            if value in map(str, known):
                raise BadInput(f"{what} '{value}' is a text; among these records it is a number: {value}")
            raise unknown(f"{what} among these records", str(value), known or {"none"})
    return [record for record in found if values[record.folder] in wanted]


def _property(record: Record, what: str) -> str | None:
    identity = record.identity
    if what == "protocol":
        return record.protocol
    if what in ("status", "fold"):
        return record.state if what == "status" else record.fold
    found: str = getattr(identity, what)
    return found


def _with_number(found: list[Record], every: Sequence[Record], what: str, wanted: Numbers) -> list[Record]:
    if wanted is None:
        return found
    values = {record.folder: record.level if what == "noise" else record.identity.seed for record in every}
    numbers = tuple(wanted) if isinstance(wanted, Collection) else (wanted,)
    for number in numbers:
        if number not in values.values():
            known = ", ".join(f"{value:g}" for value in sorted({v for v in values.values() if v is not None}))
            raise BadInput(f"unknown {what} {number} among these records: known: {known or 'none'}")
    return [record for record in found if values[record.folder] in numbers]


def _grouped(records: Iterable[Record]) -> dict[tuple[str, str, str], list[Record]]:
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.protocol, record.identity.profile, record.identity.source), []).append(record)
    return groups


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


_FITS = {
    **{what: (what, False) for what in ("nll", "brier", "ece")},
    **{f"votes_{what}": (what, True) for what in ("kl", "nll", "brier", "ece")},
}
_COLUMNS = (
    *("protocol", "protocol_version", "profile", "source", "recipe", "method", "seed", "draw", "noise"),
    *("noise_realised", "fold", "status", "metric", *RULES, *_FITS, "epochs", "seconds", "processor_seconds"),
    *("memory_mb", "device", "digest", "shipped", "key", "folder"),
)


def _row(record: Record) -> dict[str, Any]:
    """The values of `_COLUMNS`."""
    identity, environment, status = record.identity, record.environment, record.status
    on_cpu = environment.device.partition(",")[0].lower() == "cpu"  # with or without its vector instructions
    scores = {rule: record.headline(rule) for rule in RULES}
    return {
        "protocol": record.protocol,
        "protocol_version": identity.protocol.version,
        "profile": identity.profile,
        "source": identity.source,
        "recipe": identity.recipe,
        "method": record.method,
        "seed": identity.seed,
        "draw": identity.draw,
        "noise": _number(record.level),
        "noise_realised": _number(environment.noise.realised if environment.noise else None),
        "fold": record.fold,
        "status": record.state,
        "metric": environment.task.metric if environment.known else None,
        **{rule: math.nan if score is None else 100 * score for rule, score in scores.items()},
        **{name: _number(record.fit(what, votes=votes)) for name, (what, votes) in _FITS.items()},
        "epochs": len(record.epochs),
        "seconds": _number(status.seconds),
        "processor_seconds": _number(status.seconds if on_cpu else None),
        "memory_mb": _number(status.peak_memory_mb),
        "device": environment.device or None,
        "digest": identity.method.digest,
        "shipped": record.shipped,
        "key": identity.key,
        "folder": record.folder,
    }


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


__all__ = ["Records", "load_records"]
