"""Tables that are none, or have other separators or decimal marks: the line says so, and its command mends it."""

from __future__ import annotations

import gzip
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fernoise_bench.protocols.readers import affectnet, bp4d, disfa, emotionet, fer2013, openface, rafdb

from ..miniatures import affectnet as mini_affectnet
from ..miniatures import bp4d as mini_bp4d
from ..miniatures import disfa as mini_disfa
from ..miniatures import emotionet as mini_emotionet
from ..miniatures import ferplus as mini_ferplus
from ..miniatures import openface as mini_openface
from ..miniatures import rafdb as mini_rafdb
from .test_look_around import ferplus, refusal

PATHS = ["a/1.jpg", "a/2.jpg"]


def read_openface(root: Path) -> object:
    return openface.read_for(root, "rafdb", PATHS)


def write_openface(root: Path) -> Path:
    return mini_openface.write_named(root, "rafdb", PATHS)


Case = tuple[Callable[[Path], object], Callable[[Path], Path], str]
TABLES: list[Case] = [
    (ferplus, mini_ferplus.write_tables, "fer2013.csv"),
    (ferplus, mini_ferplus.write_tables, "fer2013new.csv"),
    (affectnet.read, mini_affectnet.write_csv, "Manually_Annotated_file_lists/training.csv"),
    (bp4d.read, mini_bp4d.write_au_occ, "AUCoding/AU_OCC/F001_T1.csv"),
    (disfa.read, mini_disfa.write_img, "ActionUnit_Labels/SN001/SN001_au1.txt"),
    (emotionet.read, mini_emotionet.write_2020, mini_emotionet.FILE_2020),
    (read_openface, write_openface, "rafdb.csv"),
    (rafdb.read, mini_rafdb.write_official, "EmoLabel/list_patition_label.txt"),
]
NAMES = [table.rpartition("/")[2] for _, _, table in TABLES]


def mended(message: str, root: Path, read: Callable[[Path], object], starts: str, ends: str = "") -> None:
    """Runs the command between two texts of a message and reads again."""
    command = message[message.index(starts) + len(starts) :].removesuffix(ends)
    subprocess.run(command, shell=True, check=True, capture_output=True)
    read(root)


@pytest.mark.parametrize(("read", "write", "table"), TABLES, ids=NAMES)
def test_semicolons_instead_of_commas_or_blanks(
    read: Callable[[Path], object], write: Callable[[Path], Path], table: str, tmp_path: Path
) -> None:
    root = write(tmp_path / "my set")
    path = root / table
    separator = b" " if path.suffix == ".txt" and "EmoLabel" in table else b","
    path.write_bytes(path.read_bytes().replace(b";", b"/").replace(separator, b";"))
    message = refusal(read, root)
    assert message.startswith(f"{path}, line 1: ")
    edit = "'s/,/./g; s/;/,/g; s/\\t/,/g'" if separator == b"," else "'s/[;,]/ /g'"
    assert message.endswith(f"; its fields are separated by semicolons: sed -i {edit} '{path}' mends that")
    mended(message, root, read, "semicolons: ", " mends that")


def test_decimal_commas(tmp_path: Path) -> None:
    path = write_openface(tmp_path) / "rafdb.csv"
    text = path.read_text()
    header, *rows = text.splitlines()
    place = header.replace(" ", "").split(",").index("confidence")
    cells = rows[0].split(",")
    split = ",".join([*cells[:place], "0,98", *cells[place + 1 :]])
    path.write_text("\n".join([header, split, *rows[1:], ""]))
    more = f"{len(cells) + 1} fields instead of {len(cells)} (a decimal comma, as in 0,5 for 0.5, separates two fields)"
    assert refusal(read_openface, tmp_path).startswith(f"{path}, line 2: {more}; ")
    path.write_text("\n".join([header, split.replace("0,98", '"0,98"'), *rows[1:], ""]))
    what = "confidence is '0,98', not a number from 0 to 1 (a decimal comma; write a point); "
    assert refusal(read_openface, tmp_path).startswith(f"{path}, line 2: {what}")


@pytest.mark.parametrize(("read", "write", "table"), TABLES, ids=NAMES)
def test_an_archive_under_the_name_of_a_table(
    read: Callable[[Path], object], write: Callable[[Path], Path], table: str, tmp_path: Path
) -> None:
    root = write(tmp_path / "a")
    path = root / table
    whole = path.read_bytes()
    path.write_bytes(gzip.compress(whole))
    message = refusal(read, root)
    assert message == (
        f"{path}: an archive (.gz) under the name of a table; unpack it: mv {path} {path}.gz && gunzip {path}.gz"
    )
    mended(message, root, read, "unpack it: ")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(path.name, whole)
    expected = f"mv {path} {path}.zip && unzip {path}.zip -d {path.parent}"
    assert refusal(read, root) == f"{path}: an archive (.zip) under the name of a table; unpack it: {expected}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", whole)
    remedy = "open it and save it as CSV"
    assert refusal(read, root) == f"{path}: an Excel workbook under the name of a table; {remedy}"
    path.write_bytes(b"\n<!DOCTYPE html>\n<html>Sign in</html>\n")
    remedy = "so the download failed; fetch the file again with a browser"
    assert refusal(read, root) == f"{path}: no table but a web page, {remedy}"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 7\n")
    pull = f"in a clone of its repository, git -C {path.parent} lfs pull fetches it"
    assert refusal(read, root) == f"{path}: no table but a Git LFS stub; {pull}"


def test_other_lines_keep_their_remedy(tmp_path: Path) -> None:
    root = mini_ferplus.write_tables(tmp_path / "a")
    (root / "fer2013.csv").write_text("emotion,Usage\n")
    assert refusal(ferplus, root).endswith(f"; {fer2013.FETCH_FER2013}")
