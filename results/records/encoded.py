"""Records as bytes, without their epochs but the last: for the cache, and for the summaries beside bundles that ship.

What many trials have in common is encoded apart, to be decoded and kept once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
from msgspec import Struct
from msgspec.msgpack import Decoder, encode
from msgspec.structs import replace

from .record import Record, Score
from .schema import NOT_WRITTEN, Environment, EpochLine, Identity, Noise, Status, TeacherCost
from .subject_counts import Subjects

UNDECODABLE = (ValueError, LookupError, TypeError, AttributeError)

ReadEpochs = Callable[[], tuple[EpochLine, ...]]


class StoredEpochs(Sequence[EpochLine]):
    """A trial's epochs, read when first accessed; the last one, which is all most tables need, is already there.

    Args:
        read: reads all of them.
        count: how many there are, at least one.
        last: the last of them, encoded.
    """

    def __init__(self, read: ReadEpochs, count: int, last: bytes) -> None:
        self._read = read
        self._count = count
        self._encoded = last

    @cached_property
    def _lines(self) -> tuple[EpochLine, ...]:
        return self._read()

    @cached_property
    def _last(self) -> EpochLine:
        return _LINE.decode(self._encoded)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._lines == tuple(other)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> EpochLine: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[EpochLine]: ...
    def __getitem__(self, place: int | slice) -> EpochLine | Sequence[EpochLine]:
        return self._last if place == -1 else self._lines[place]

    def __iter__(self) -> Iterator[EpochLine]:
        return iter(self._lines)


class _Entry(Struct, array_like=True):
    """A record. What many trials have in common is encoded first, to be decoded and kept once.

    Attributes:
        environment: empty where the trial has not written it.
        own: the fields of the identity that differ between trials.
        subjects: names, and type, shape and bytes of their counts.
        last: empty without epochs.
    """

    identity: bytes
    environment: bytes
    own: dict[str, Any]
    noise: Noise | None
    teachers: tuple[TeacherCost, ...]
    status: Status
    scores: dict[str, Score | None]
    without: dict[str, Score | None]
    subjects: tuple[tuple[str, ...], str, tuple[int, ...], bytes] | None
    epochs: int
    last: bytes


_OWN = ("fold", "level", "draw", "seed", "teachers", "aux", "annotators")
_IDENTITY, _ENVIRONMENT = Decoder(Identity), Decoder(Environment)
_ENTRY, _LINE = Decoder(_Entry), Decoder(EpochLine)


def encode_record(record: Record) -> bytes:
    """The record as bytes; OverflowError where a number has more than 64 bits."""
    content, environment, found = record.identity.content, record.environment, record.subjects
    own = {name: content[name] for name in _OWN if name in content}
    shared = {name: part for name, part in content.items() if name not in own}
    none: dict[str, Any] = {"fold": None, "level": None, "teachers": {}, "aux": "", "annotators": ""}
    common = replace(record.identity, draw=0, seed=0, content=shared, **none)
    entry = _Entry(
        encode(common),
        encode(replace(environment, noise=None, teachers=())) if environment.known else b"",
        own,
        environment.noise,
        environment.teachers,
        record.status,
        dict(record.scores),
        dict(record.scores_without_copies),
        None if found is None else (found.names, found.counts.dtype.str, found.counts.shape, found.counts.tobytes()),
        len(record.epochs),
        encode(record.epochs[-1]) if record.epochs else b"",
    )
    return encode(entry)


def decode_record(inside: str, value: bytes, read: ReadEpochs, shared: dict[bytes, Any]) -> Record:
    """The record of a trial.

    Args:
        inside: the trial's folder below its output folder, with slashes.
        value: of `encode_record`.
        read: reads the trial's epochs.
        shared: parts that were decoded before, by their bytes; new ones are added.

    Raises:
        UNDECODABLE: other bytes.
    """
    entry = _ENTRY.decode(value)
    identity: Identity = _once(entry.identity, _IDENTITY, shared)
    environment: Environment = _once(entry.environment, _ENVIRONMENT, shared) if entry.environment else NOT_WRITTEN
    content = dict(sorted({**identity.content, **entry.own}.items()))  # in the order of the file
    subjects = None
    if entry.subjects:
        names, kind, shape, counts = entry.subjects
        subjects = Subjects(names, np.frombuffer(counts, kind).reshape(shape))
    return Record(
        inside,
        replace(identity, **entry.own, content=content),
        replace(environment, noise=entry.noise, teachers=entry.teachers),
        entry.status,
        StoredEpochs(read, entry.epochs, entry.last) if entry.epochs else (),
        entry.scores,
        entry.without,
        subjects,
    )


def _once(part: bytes, decoder: Decoder[Any], shared: dict[bytes, Any]) -> Any:
    if part not in shared:
        shared[part] = decoder.decode(part)
    return shared[part]
