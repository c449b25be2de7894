"""The order of RAF-DB's classes: copies in which they are numbered from 0, or in another order, look like the owners'.

A part is refused if its class counts are RAF-DB's but for their order: exactly, or, of 1,000 rows or more, if the class
shares sorted by size are RAF-DB's (within 2 % of all rows) and those of the individual classes are not (they differ by
10 % of all rows or more). One class may be missing, as where the first of labels from 0 was taken away. Fewer rows and
other shares (a balanced subset) are no contradiction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from ..errors import BadInput
from ..labels import RAFDB_CLASSES
from .text_lines import Line, coded, shown

ASK = "whdeng.cn/RAF/model1.html"
FETCH = f"fetch the file again from {ASK}"
COUNTS = {"train": (1290, 281, 717, 4772, 1982, 705, 2524), "test": (329, 74, 160, 1185, 478, 162, 680)}
CODES = {code: code - 1 for code in range(1, 8)}
"""The class of each of the owners' codes."""

_MIN_ROWS = 1000
_FROM_0 = {0: -1, **CODES}
_WORD = {"train": "training", "test": "test"}
# The class of each alphabetical id.
_ALPHABETICAL = np.array([RAFDB_CLASSES.index(name) for name in sorted(RAFDB_CLASSES)])


def labels_of(rows: Sequence[tuple[Line, str]]) -> list[int]:
    """The class of each row of a list with codes 1 to 7.

    Raises:
        BadInput: another label; where labels are 0 to 6 the message has the command that adds 1 to each.
    """
    codes = [coded(word, _FROM_0) for _, word in rows]
    for (line, word), code in zip(rows, codes, strict=True):
        if code is None or (code < 0 and max(_known(codes)) == max(_FROM_0.values())):
            raise line.error(f"label {shown(word)}, not 1 to 7")
        if code < 0:
            raise line.error(f"label {shown(word)}, so labels count from 0 and the owners' from 1", _add_1(line))
    return _known(codes)


def _known(codes: Sequence[int | None]) -> list[int]:
    return [code for code in codes if code is not None]


def _add_1(line: Line) -> str:
    """What to do about labels from 0; of a list with blanks, whose last field is the label, the command."""
    if line.separator == ",":
        return "add 1 to each"
    path, new = quote(str(line.path)), quote(f"{line.path}.from-1")
    return f"add 1 to each: awk '{{print $1, $2 + 1}}' {path} > {new} && mv {new} {path}"


def refuse_codes(base: Path, parts: Sequence[str], folders: Mapping[str, Sequence[str]]) -> None:
    """Raises BadInput for a folder in train/ and the like that is none of 1 to 7.

    Args:
        base: the folder of the parts.
        parts: names of the parts.
        folders: the folders in each part.
    """
    known = tuple(map(str, CODES))
    from_0 = [part for part in parts if "0" in folders[part] and known[-1] not in folders[part]]
    if from_0:
        loops = f"for part in {' '.join(from_0)}; do for class in 6 5 4 3 2 1 0; do"
        move = '[ ! -d "$part/$class" ] || mv "$part/$class" "$part/$((class + 1))"'
        command = f"cd {quote(str(base))} && {loops} {move}; done; done"
        what = "class folder '0' and no '7', so labels count from 0 and the owners' from 1"
        raise BadInput(f"{base / from_0[0] / '0'}: {what}; rename 6 to 7, then 5 to 6 and so on to 0 to 1: {command}")
    for part in parts:
        if wrong := next((name for name in folders[part] if name not in known), None):
            raise BadInput(f"{base / part / wrong}: class folder {shown(wrong)}, not 1 to 7; rename it or move it away")


def refuse_other_order(place: Path, labels: Mapping[str, Sequence[int]]) -> None:
    """Raises BadInput for a part whose classes are not in the owners' order.

    Args:
        place: the data set's folder, for the message.
        labels: the classes of all rows of each part, "train" and "test".
    """
    for part, classes in labels.items():
        published, found = np.array(COUNTS[part]), np.bincount(np.array(classes, np.int64), minlength=7)
        if not _is_permuted(found, published):
            continue
        worst = int(abs(found - published).argmax())
        counts = f"{found[worst]:,} {_WORD[part]} rows have label {worst + 1} ({RAFDB_CLASSES[worst]})"
        alphabetical = np.bincount(_ALPHABETICAL, found, minlength=7)
        fits = "; they fit the alphabetical order, 1 anger, 2 disgust ... 7 surprise"
        fits = fits if _distance(alphabetical, published) < 0.02 else ""
        order = ", ".join(f"{number} {name}" for number, name in enumerate(RAFDB_CLASSES, 1))
        what = f"the class counts are RAF-DB's but for their order ({counts}, published {published[worst]:,})"
        remedy = f"number them as the owners do, or ask for the owners' files at {ASK}"
        raise BadInput(f"{place}: class ids in another order than the owners' ({order}): {what}{fits}; {remedy}")


def _is_permuted(found: NDArray[np.int64], published: NDArray[np.int64]) -> bool:
    """Whether counts are the published ones in another order, possibly without one class."""
    if np.array_equal(np.sort(found), np.sort(published)):
        return not np.array_equal(found, published)
    there = np.flatnonzero(found)
    if found.sum() < _MIN_ROWS or len(there) < len(published) - 1:
        return False
    if _distance(found[there], published[there]) < 0.10:
        return False
    some = np.sort(found[there])
    return any(_distance(some, np.sort(each)) <= 0.02 for each in combinations(published.tolist(), len(there)))


def _distance(found: NDArray[np.float64] | NDArray[np.int64], published: NDArray[np.int64]) -> float:
    """The distance of class shares, as the share of rows to relabel."""
    return float(abs(found / found.sum() - published / published.sum()).sum() / 2)
