"""Single pictures of a user's own data to look at: copies, damaged ones, doubtful labels, subjects in two parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np

from ..files import Array
from .labelled import Labelled
from .tables import csv_bytes

HEADER = ("path", "problem", "other", "given", "other label", "parts")


class Pair(NamedTuple):
    """A row whose picture equals that of another row, or only looks like it."""

    row: int
    other: int
    exact: bool


@dataclass(frozen=True)
class Suspect:
    """A picture to look at.

    Attributes:
        path: of the picture.
        problem: what is wrong.
        other: of a copy, the path of the other picture.
        given: its given label.
        other_label: of a copy, the given label of the other; of a verified row, the reference label.
        parts: its part or fold, and that of the other picture or of the subject where that is another.
    """

    path: str
    problem: str
    other: str = ""
    given: str = ""
    other_label: str = ""
    parts: str = ""


@dataclass(frozen=True)
class Suspects:
    """Makes suspects of rows.

    Attributes:
        names: classes or action units.
        rows: all rows.
        part: the part or fold of each row.
    """

    names: Sequence[str]
    rows: Labelled
    part: Array

    def of(self, row: int, problem: str, *, other_label: str = "", parts: Iterable[str] = ()) -> Suspect:
        """A row with a problem."""
        where = ", ".join(parts) or str(self.part[row])
        return Suspect(str(self.rows.path[row]), problem, "", self._text(self.rows.given[row]), other_label, where)

    def unlike_reference(self, row: int) -> Suspect:
        """A verified row whose given label is not the reference."""
        label = self._text(self.rows.reference[row])
        return self.of(row, "verified label differs from the reference", other_label=label)

    def copy(self, pair: Pair) -> Suspect:
        """A row that is a copy, or looks like one."""
        rows, problem = self.rows, "copy" if pair.exact else "near copy"
        if differ(rows, pair):
            problem = f"{problem} with another label"
        parts = dict.fromkeys([str(self.part[pair.row]), str(self.part[pair.other])])
        labels = self._text(rows.given[pair.row]), self._text(rows.given[pair.other])
        return Suspect(str(rows.path[pair.row]), problem, str(rows.path[pair.other]), *labels, ", ".join(parts))

    def _text(self, label: Array) -> str:
        """A class, or the known action units as "AU1=1 AU12=0"; "" for none."""
        if np.ndim(label) == 0:
            return self.names[int(label)] if label >= 0 else ""
        known = zip(self.names, label.tolist(), strict=True)
        return " ".join(f"{name}={int(sign > 0)}" for name, sign in known if sign)


def differ(rows: Labelled, pair: Pair) -> bool:
    """Whether both rows have a given label, of action units the same one, and these are not equal."""
    one, other = rows.given[pair.row], rows.given[pair.other]
    if rows.given.ndim == 1:
        return bool(one >= 0 and other >= 0 and one != other)
    return bool((one * other < 0).any())


def as_csv(suspects: Iterable[Suspect]) -> bytes:
    """A table with a line for each."""
    return csv_bytes([HEADER, *map(astuple, suspects)])
