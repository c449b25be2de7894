"""Ways to damage the bytes of a file. Pure: bytes in, bytes out."""

from __future__ import annotations

import functools
import os
import pickle
import random
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np

Damage = Callable[[bytes], bytes]
MARK = "fernoise-was-here"


class Executed:
    """Unpickling one makes a folder called MARK where the process is."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (MARK,)


def noise(size: int) -> bytes:
    """The same random bytes every time."""
    return random.Random(0).randbytes(size)


def middle(part: bytes) -> Damage:
    """Puts bytes into the middle."""
    return lambda content: content[: len(content) // 2] + part + content[len(content) // 2 :]


def last_number(number: str) -> Damage:
    """Puts something in the place of the last number of the last line."""

    def change(content: bytes) -> bytes:
        text = content.rstrip()
        end = max(at for at, byte in enumerate(text) if byte in b"0123456789") + 1
        start = end
        while start and text[start - 1] in b"0123456789.":
            start -= 1
        return text[:start] + number.encode() + content[end:]

    return change


def first_field(name: str) -> Damage:
    """Puts something in the place of the first field of the last line."""

    def change(content: bytes) -> bytes:
        head, _, line = content.rstrip().rpartition(b"\n")
        at = min((line.find(mark) for mark in (b",", b" ", b"\t") if mark in line), default=len(line))
        return head + b"\n" + name.encode() + line[at:] + b"\n"

    return change


def twice(line: int) -> Damage:
    """Writes a line twice."""

    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True)
        return b"".join([*lines, lines[line]]) if line < 0 else b"".join([lines[line], *lines])

    return change


BYTES: Mapping[str, Damage] = {
    "empty": lambda content: b"",
    "one byte": lambda content: content[:1],
    "cut in half": lambda content: content[: len(content) // 2],
    "NUL inside": middle(b"\0\0\0\0"),
    "all NUL": lambda content: bytes(len(content)),
    "random bytes": lambda content: noise(500),
    "not UTF-8": middle(b"\xff\xfe\xc0\xc1"),
    "a web page": lambda content: b"<!DOCTYPE html>\n<html><body>404: no such file</body></html>\n",
    "a pickle": lambda content: pickle.dumps(Executed()),
}
TEXT: Mapping[str, Damage] = {
    **BYTES,
    "UTF-16": lambda content: content.decode("latin-1").encode("utf-16"),
    "a huge number": last_number("9" * 400),
    "an endless number": last_number("1e999"),
    "a negative number": last_number("-7"),
    "not a number": last_number("nan"),
    "look-alike digits": last_number("１"),
    "a name out of the folder": first_field("../../../../etc/passwd"),
    "an absolute name": first_field("/etc/passwd"),
    "a look-alike name": first_field("trаin_00001.jpg"),
    "the first line twice": twice(0),
    "the last line twice": twice(-1),
    "a line without end": lambda content: content + b"9" * 5_000_000,
    "a quote that never closes": middle(b'"'),
}
JSON: Mapping[str, Damage] = {
    **BYTES,
    "a list": lambda content: b"[]",
    "a number": lambda content: b"7",
    "null": lambda content: b"null",
    "an empty object": lambda content: b"{}",
    "NaN": lambda content: b'{"state": NaN}',
    "nested too deep": lambda content: b"[" * 200_000,
    "a number too long": lambda content: b'{"state": ' + b"9" * 10_000 + b"}",
}


@functools.cache
def array_bomb() -> bytes:
    """An .npz of few bytes that unpacks to 3 GB."""
    buffer = BytesIO()
    with (
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("labels.npy", "w", force_zip64=True) as entry,
    ):
        header = {"descr": "<i8", "fortran_order": False, "shape": (375_000_000,)}
        np.lib.format.write_array_header_1_0(entry, header)
        for _ in range(300):
            entry.write(bytes(10_000_000))
    return buffer.getvalue()


def array_that_lies(name: str = "labels") -> bytes:
    """An .npz whose header states 8 TB and whose data is a few bytes."""
    entry = BytesIO()
    np.lib.format.write_array_header_1_0(entry, {"descr": "<i8", "fortran_order": False, "shape": (1_000_000_000_000,)})
    entry.write(b"12345678")
    return zipped({f"{name}.npy": entry.getvalue()})


def pickled_array() -> bytes:
    """An .npz with an array of objects, which is a pickle."""
    buffer = BytesIO()
    np.savez(buffer, labels=np.array([Executed()], dtype=object))
    return buffer.getvalue()


def zipped(entries: Mapping[str, bytes]) -> bytes:
    """A zip of some entries, named as they are."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


ARRAYS: Mapping[str, Damage] = {
    **BYTES,
    "last byte gone": lambda content: content[:-1],
    "half a directory": lambda content: content[:-30],
    "a byte turned over": lambda content: content[:60] + bytes([content[60] ^ 0xFF]) + content[61:],
    "a bomb": lambda content: array_bomb(),
    "a header that lies": lambda content: array_that_lies(),
    "objects": lambda content: pickled_array(),
    "no arrays": lambda content: zipped({}),
    "other entries": lambda content: zipped({"../../out.npy": b"x", "/etc/out.npy": b"x"}),
}
