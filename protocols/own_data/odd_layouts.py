"""Layouts of a user's data that would be read as something they are not, each with the command that mends it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from types import MappingProxyType

from ..errors import BadInput, printable
from ..readers.folders import contents
from ..readers.text_lines import shown, whole
from .class_folders import MOST_CLASSES, PICTURES, is_picture
from .tables import TEXTS, spelled_plainly

PART_NAMES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("train", "training"), "train"),
        **dict.fromkeys(("val", "valid", "validation", "dev", "publictest", "eval", "evaluation"), "validation"),
        **dict.fromkeys(("test", "testing", "privatetest", "holdout", "held-out", "held_out"), "test"),
    }
)
"""Names of folders and in columns, in small letters -> the part that they usually mean."""
_EXPRESSIONS = frozenset(
    (
        "neutral", "anger", "angry", "happiness", "happy", "sadness", "sad", "surprise", "surprised", "fear", "fearful",
        "disgust", "disgusted", "contempt",
    )
)  # fmt: skip
_NONE = re.compile(
    r"nan|#?n/a|<na>|null|none|-|\?|unknown|uncertain|un(label|annotat)l?ed|no[_ ]?label|nf|(not a|no|non)[-_ ]?face",
    re.IGNORECASE,
)
_MINUS_ONE = re.compile(r"-1(\.0+)?")
# As Windows, Finder, iCloud and browsers name copies of a folder.
_COPY = re.compile(r"(.+?)(?: - (?:copy|kopie|copie|copia)(?: \(\d+\))?| copy(?: \d+)?| ?\(\d+\)| \d+)", re.IGNORECASE)
_LISTED = re.compile(rf"\S+({'|'.join(map(re.escape, PICTURES))})[ \t]+\S", re.IGNORECASE)
_OPENFACES = re.compile(r"AU\d\d_[rc]")
# A table of the pictures in folders of people, each with folders of expressions.
_AS_TABLE = (
    "(echo path,label,subject; cd {folder} && find . -type f | sed -nE 's#^\\./(([^/]+)/([^/]+)/.+)$#\\1,\\3,\\2#p') > "
    "{table}"
)
_FOUND_FACES = (
    "awk -F, 'NR == 1 {{for (i = 1; i <= NF; i++) if ($i ~ /^ *{column} *$/) c = i; print}} NR > 1 && $c > 0' "
    "{table} > {new}"
)


def refuse_headless(table: Path, header: Sequence[str]) -> None:
    """Raises BadInput for a table whose first line is a row: read as names of columns it would be lost."""
    if table.suffix.lower() not in TEXTS or not header:
        return
    if _LISTED.match(header[0]):
        columns = _columns(len(header[0].split()))
        new = quote(str(table.with_name(f"{table.stem}-with-names.csv")))
        command = f"(echo {columns}; sed -E 's/[[:blank:]]+/,/g' {quote(str(table))}) > {new}"
        what = "its fields are separated by blanks, and no line has the names of columns"
        raise BadInput(f"--from {table}: {what}: {command}")
    if any(map(is_picture, header)):
        command = f"sed -i '1i {_columns(len(header))}' {quote(str(table))}"
        what = f"the first line, {shown(','.join(header))}, is a row, and none has the names of columns"
        raise BadInput(f"--from {table}: {what}; correct them in: {command}")


def _columns(count: int) -> str:
    return ",".join(["path", "label", *(f"column{number}" for number in range(3, count + 1))])


def refuse_folders(source: Path, tops: Sequence[str], classes: Sequence[str]) -> None:
    """Raises BadInput for class folders that are none, or not only that.

    These lie one folder down, in one folder or in one for each person; have the parts in them; are copies of others, or
    two spellings of one class; or are more than classes are.
    """
    inside = {name: contents(source / tops[0] / name)[1] for name in classes if (source / tops[0] / name).is_dir()}
    if len(classes) == 1 and tops == [""] and inside.get(classes[0]):
        down = source / classes[0]
        what = f"{down} is the only folder with pictures in it, and has the folders {', '.join(inside[classes[0]][:4])}"
        raise BadInput(f"--from {source}: {printable(what)}; if these are the classes or parts: --from {down}")
    below = {name.lower() for names in inside.values() for name in names}
    if below & _EXPRESSIONS and not {name.lower() for name in classes} & _EXPRESSIONS:
        what = f"the folders {', '.join(classes[:3])} hold folders of expressions, so they may be people"
        if tops == [""]:
            command = _AS_TABLE.format(folder=quote(str(source)), table=quote(str(source / "labels.csv")))
            raise BadInput(f"--from {source}: {printable(what)}; make a table and begin with it: {command}")
        remedy = "make a table with the columns path, label, subject and split, and begin with it"
        raise BadInput(f"--from {source}: {printable(what)}; {remedy}")
    if tops == [""]:
        _refuse_parts_inside(source, inside)
    _refuse_same(source, tops, classes)
    if len(classes) > MOST_CLASSES:
        what = f"{len(classes):,} different folders with pictures ({', '.join(classes[:3])}), more than classes have"
        remedy = "write the file by hand, see docs/your-data.md, or, where they are people, begin with a table"
        raise BadInput(f"--from {source}: {printable(what)}; {remedy}")


def _refuse_parts_inside(source: Path, inside: Mapping[str, Sequence[str]]) -> None:
    """Raises BadInput for class folders that hold the parts, whose split would be lost."""
    parts = sorted({name for names in inside.values() for name in names if name.lower() in PART_NAMES})
    meant = {PART_NAMES[name.lower()] for name in parts}
    if "train" not in meant or len(meant) < 2:
        return
    first = next(name for name, names in inside.items() if set(names) & set(parts))
    found = " ".join(f"*/{quote(part)}" for part in parts)
    move = 'mkdir -p "${folder#*/}" && mv "$folder" "${folder#*/}/${folder%/*}"'
    command = f"cd {quote(str(source))} && for folder in {found}; do {move}; done"
    what = (
        f"class folders hold the parts, as {first}/{parts[0]}, but the order is part, then class ({parts[0]}/{first})"
    )
    raise BadInput(f"--from {source}: {printable(what)}; this turns them round: {command}")


def _refuse_same(source: Path, tops: Sequence[str], classes: Sequence[str]) -> None:
    """Raises BadInput for a class folder that is a copy of another, or another spelling of its name."""
    by_name: dict[str, str] = {}
    for name in sorted(classes, key=lambda name: name != spelled_plainly(name)):
        if (other := by_name.setdefault(spelled_plainly(name), name)) != name:
            here = next(top for top in tops if (source / top / name).is_dir())
            what = f"the folders {other} and {name} are one class in two spellings"
            remedy = f"rename {source / here / name} to {other}, or move its pictures there"
            raise BadInput(f"--from {source}: {printable(f'{what}; {remedy}')}")
    for name in classes:
        match = _COPY.fullmatch(name)
        if match and (other := by_name.get(spelled_plainly(match[1]), "")):
            what = f"the folder {name} looks like a copy of {other}"
            remedy = "move it away, or, if it is a class of its own, rename it"
            raise BadInput(f"--from {source}: {printable(f'{what}; {remedy}')}")


def refuse_faces_not_found(table: Path, cells: Mapping[str, Mapping[str, int]]) -> None:
    """Raises BadInput for OpenFace's output with rows without a face, whose action units are zeros and no labels."""
    if not any(_OPENFACES.fullmatch(name) for name in cells):  # the confidence of a person says nothing of a face
        return
    for column in ("success", "confidence"):
        name = next((name for name in cells if name.lower() == column), "")
        failed = sum(count for cell, count in cells.get(name, {}).items() if re.fullmatch(r"0+(\.0*)?", cell))
        if failed:
            new = table.with_name(f"{table.stem}-found.csv")
            command = _FOUND_FACES.format(column=name, table=quote(str(table)), new=quote(str(new)))
            what = f"in {failed:,} rows OpenFace found no face ({name} is 0), and their action units are zeros"
            raise BadInput(f"--from {table}: {what}; leave these rows out: {command}")


def is_no_label(text: str) -> bool:
    """Whether a label or the name of a class says that there is none."""
    return bool(_NONE.fullmatch(text))


def spellings(cells: Mapping[str, int]) -> tuple[Counter[str], dict[str, str], list[str]]:
    """The labels in a column, how each is written otherwise ("HAPPY": "happy", "1.0": "1"), and words for no label.

    Args:
        cells: each text in the column, and how often it is there. -1 is no label beside numbers from 0 to 2 or more;
            beside 0 and 1 it is the lowest of three.
    """
    found = Counter({text: count for text, count in cells.items() if text})
    numbers = max((number for text in found if (number := whole(text)) is not None), default=0)
    none = [text for text in found if is_no_label(text) or (numbers > 1 and _MINUS_ONE.fullmatch(text))]
    groups: dict[str, list[str]] = {}
    for text, _ in found.most_common():
        if text not in none:
            groups.setdefault(spelled_plainly(text), []).append(text)
    for plain, texts in groups.items():  # the most frequent one first, of numbers the whole one
        texts.sort(key=lambda text: text != plain or not text.isdigit())
    labels = Counter({texts[0]: sum(found[text] for text in texts) for texts in groups.values()})
    return labels, {text: texts[0] for texts in groups.values() for text in texts[1:]}, none
