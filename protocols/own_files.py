"""Where a user's own pictures and labels are, and how their table is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

Pairs = tuple[tuple[str, str], ...]
LAYOUT = "own data"  # as records tell where data come from
BOX = ("left", "top", "width", "height")


@dataclass(frozen=True)
class OwnFiles:
    """The files that a protocol of a user's own reads. What they contain is part of a trial's identity, by a digest;
    how they are named and written is not.

    Attributes:
        file: the TOML file, absolute; other paths are relative to its folder.
        table: a CSV, Parquet or JSON lines file, or a folder with metadata files; "" for class folders.
        pictures: the folder that the table's paths are relative to, or that holds the class folders.
        columns: what a column holds -> its name in the table. Of action units: "given AU1", "reference AU1".
        values: text in the table -> class.
        parts: text in the column of the split, or name of a folder -> "train", "validation" or "test".
        ignore: labels of rows that are left out.
        unknown: text of action units that are not coded.
        present_from: the smallest value of an action unit that is present; None: not said, for whole numbers from 1 on.
    """

    file: str
    table: str
    pictures: str
    columns: Pairs = ()
    values: Pairs = ()
    parts: Pairs = ()
    ignore: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ("", "9", "999")
    present_from: float | None = None

    @property
    def folder(self) -> Path:
        """The folder of the TOML file."""
        return Path(self.file).parent

    @property
    def table_path(self) -> Path:
        """The table, or the folder of class folders or metadata files."""
        return self.folder / (self.table or self.pictures)

    @property
    def root(self) -> Path:
        """The folder of the pictures."""
        return self.folder / self.pictures

    @property
    def threshold(self) -> float:
        """The smallest value of an action unit that is present."""
        return 1.0 if self.present_from is None else self.present_from

    def column(self, what: str) -> str:
        """The name of the column that holds something, or an empty string."""
        return dict(self.columns).get(what, "")

    def columns_of(self, what: str, names: Iterable[str]) -> dict[str, str]:
        """Action unit -> its column, of those that have one."""
        found = {name: self.column(f"{what} {name}") for name in names}
        return {name: column for name, column in found.items() if column}
