"""The text of a first TOML file: what was guessed, why, and what else can be said."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path

from ..errors import BadInput, printable
from ..files import write_atomic
from ..own_files import BOX
from .definition import protocol_of_toml
from .guess import FOLDS, Guess, guess, relative, side_of

_SINGLE = ("reference", "verified", "subject", "split", "fold", "annotator", "votes")


def write_first(file: Path, source: Path, taken: Collection[str] = ()) -> tuple[str, ...]:
    """Writes a TOML file for a folder or table, and returns what was guessed, a line each.

    Args:
        file: to write.
        source: the folder or table.
        taken: names of published protocols, which the file's does not get, in small letters.

    Raises:
        BadInput: the file exists or is no .toml, or as `guess`.
    """
    if file.suffix != ".toml":
        raise BadInput(f"{file}: name a file that ends in .toml")
    if file.exists():
        raise BadInput(f"{file}: is there already; remove it first, or name another file")
    found = guess(source)
    try:
        content = "\n".join(lines(found, file, taken)).encode() + b"\n"
    except UnicodeEncodeError as error:
        what = f"a name that is not UTF-8 ({printable(error.object[max(0, error.start - 20) : error.end])})"
        raise BadInput(f"--from {source}: {what}, which the file cannot hold; rename the folder or column") from error
    write_atomic(file, content)
    try:
        protocol_of_toml(file)
    except BadInput as error:
        file.unlink()
        raise BadInput(f"--from {source}: its names do not fit into a protocol ({error}); rename them") from error
    told = [f"{what}: {why}" for what, why in found.why.items() if why]
    if not found.parts:
        told.append(f"split: {_by_folds(found)}")
    if found.unused:
        told.append(f"not used: the columns {', '.join(found.unused)}")
    return tuple(map(printable, told))


def lines(found: Guess, file: Path, taken: Collection[str] = ()) -> Iterator[str]:
    """The lines of the file, whose name is none of those taken, in small letters.

    Names of columns and folders are escaped in remarks too, where they could begin a line.
    """
    found = replace(found, why={what: printable(why) for what, why in found.why.items()})
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", file.stem).strip("-._") or "mine"
    name = f"my-{name}"[:64] if name.lower() in taken else name
    yield f"# A protocol of your own data, for: fernoise-bench run --protocol {printable(file.name)} --all-methods"
    yield f"# Check it with: fernoise-bench data verify {printable(file.name)}"
    yield "# Paths are relative to the folder of this file. docs/your-data.md explains every key."
    yield from ("", "[protocol]", f"name = {_quoted(name)}", "version = 1  # raise it when you change what is measured")
    kind, what = ("action units", "action units") if found.units else ("expressions", "classes")
    yield f"kind = {_quoted(kind)}"
    yield f"labels = {_list(found.labels)}  # {what}: {found.why['labels']}"
    yield from _data(found, file)
    side, why = side_of(found)
    yield from ("", "[pictures]", f"side = {side}  # pixels: {why}")
    yield '# copies = "leave out"  # drops exact copies from training and validation'
    yield '# unreadable = "leave out"  # instead of stopping at a picture that cannot be decoded'
    yield from _split(found)
    yield from _noise(found)
    yield from (
        "",
        "[recipe]",
        f"# name = {_quoted('recot-pooled' if found.units else 'cocuring')}  # or another paper's",
    )
    yield "# epochs = 40  # any field that `show protocol` lists can be replaced"
    yield from (
        "",
        "# [profile.small]",
        "# train = 4000  # rows; a [profile.small.recipe] replaces fields at this size",
    )


def _data(found: Guess, file: Path) -> Iterator[str]:
    yield from ("", "[data]")
    if found.table is None:
        yield f"pictures = {_quoted(relative(found.pictures, file))}  # class folders"
        return
    yield f"table = {_quoted(relative(found.table, file))}"
    yield f"pictures = {_quoted(relative(found.pictures, file))}  # {found.why['pictures']}"
    if found.units:
        if found.present_from is not None:
            what = f"the smallest value of a unit that is present: {found.why['present_from']}"
            yield f"present_from = {found.present_from:g}  # {what}"
        else:
            yield "# present_from = 1  # the smallest value of a unit that is present: 2 for intensities"
        yield '# unknown = ["", "9", "999"]  # cells of units that are not coded'
    elif found.ignore:
        yield f"ignore = {_list(found.ignore)}  # labels of rows that are left out"
    else:
        yield '# ignore = ["other"]  # labels of rows that are left out'
    yield from ("", "[data.columns]")
    yield f"path = {_quoted(found.columns['path'])}  # {found.why['path']}"
    if "given" in found.columns and not found.units:
        yield f"given = {_quoted(found.columns['given'])}  # {found.why['given']}"
    for what in _SINGLE:
        if what in found.columns:
            yield f"{what} = {_quoted(found.columns[what])}"
        elif what in ("reference", "verified", "subject"):
            yield f'# {what} = "…"  # {_MEANING[what]}'
    if BOX[0] in found.columns:
        yield f"box = {_list([found.columns[edge] for edge in BOX])}  # the face in the picture, in pixels"
    if found.units:
        yield from ("", "[data.columns.given]")
        yield from (f"{unit} = {_quoted(found.columns[f'given {unit}'])}" for unit in found.labels)
    elif found.values:
        yield from ("", "[data.values]  # what stands in the table = class")
        yield from (f"{_quoted(text)} = {_quoted(label)}" for text, label in found.values.items())
    elif all(label.isdigit() for label in found.labels):
        yield from (
            "",
            "# [data.values]  # name the classes in protocol.labels, and say what the numbers mean",
            '# 0 = "happiness"',
        )


_MEANING = {
    "reference": "labels to judge by; methods never see them",
    "verified": "1 for rows whose labels are known to be right; some methods need them",
    "subject": "who is in the picture, so that nobody is in training and test",
}


def _split(found: Guess) -> Iterator[str]:
    yield from ("", "[split]")
    if found.parts:
        for part in ("train", "validation", "test"):
            if part in found.parts:
                why = found.why.get("test" if part == "test" else "split", "")
                yield f"{part} = {_list(found.parts[part])}{_remark(why)}"
    elif found.folds:
        yield f"folds = {_list(found.folds)}  # {printable(_by_folds(found))}"
    else:
        yield f"folds = {FOLDS}  # {printable(_by_folds(found))}"
        yield "seed = 0"
    if "validation" not in found.parts:
        yield "validation_share = 0.1  # of the training rows, by subject where subjects are known"
    if "subject" in found.columns:
        yield "# exclusive = false  # if the same subject may be in several parts"


def _by_folds(found: Guess) -> str:
    """Why there are folds, of data without parts."""
    if found.folds:
        return f"the names in column {found.columns['fold']}"
    how = "by subject" if "subject" in found.columns else "by row, since subjects are not known"
    return f"{FOLDS} folds {how}: {found.no_parts}"


def _noise(found: Guess) -> Iterator[str]:
    yield from ("", "[noise]", 'kind = "own"  # the errors that the given labels have')
    added = "flip" if found.units else "symmetric"
    yield f'# kind = "{added}"  # adds label noise, at these levels:'
    yield "# levels = [0.0, 0.2, 0.4]"


def _remark(text: str) -> str:
    return f"  # {text}" if text else ""


def _quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False)


def _list(texts: list[str]) -> str:
    return f"[{', '.join(map(_quoted, texts))}]"
