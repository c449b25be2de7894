"""Tables: the same rows from every format, and every way in which a table is none."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.own_data import tables
from fernoise_bench.protocols.own_data.class_folders import read_folders
from fernoise_bench.protocols.own_data.tables import read_table, spelled_plainly

HEADER = ["path", "given", "age"]
ROWS = [["a b.png", "happy", "31"], ["ü.png", "sad", ""], ["c,d.png", 'so "so"', "7"]]


def csv_text(separator: str = ",") -> str:
    quoted = [[f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row] for row in [HEADER, *ROWS]]
    return "\n".join(separator.join(row) for row in quoted) + "\n"


def write_csv(file: Path) -> Path:
    path = file.with_suffix(".csv")
    path.write_text(csv_text(), encoding="utf-8-sig")
    return path


def write_semicolons(file: Path) -> Path:
    path = file.with_suffix(".csv")
    path.write_text(csv_text(";").replace("\n", "\r\n"), encoding="utf-8")
    return path


def write_tabs(file: Path) -> Path:
    path = file.with_suffix(".tsv")
    path.write_text(csv_text("\t") + "\n", encoding="utf-8")
    return path


def write_json(file: Path) -> Path:
    path = file.with_suffix(".jsonl")
    rows = [dict(zip(HEADER, [*row[:2], int(row[2]) if row[2] else None], strict=True)) for row in ROWS]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_parquet(file: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = file.with_suffix(".parquet")
    columns = {name: [row[at] for row in ROWS] for at, name in enumerate(HEADER)}
    columns["age"] = [31.0, None, 7.0]  # as pandas writes whole numbers beside a missing one
    parquet.write_table(pyarrow.table(columns), path)
    return path


@pytest.mark.parametrize("write", [write_csv, write_semicolons, write_tabs, write_json, write_parquet])
def test_every_format_gives_the_same_rows(write, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    found = read_table(write(tmp_path / "table"), ["age", "path", "given"])
    assert list(found.columns) == ["age", "path", "given"]
    assert [list(row) for row in zip(*(found.columns[name] for name in HEADER), strict=True)] == ROWS


def test_a_row_is_found_again_by_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('path,given\n"a\nb.png",x\n\nc.png,y\n')
    found = read_table(file, ["path"])
    assert [found.place(row) for row in range(2)] == [f"{file}, line 3", f"{file}, line 5"]


def test_metadata_of_an_imagefolder_gives_paths_below_it_and_the_split(tmp_path: Path) -> None:
    for part, names in (("train", ("1.png", "x/2.png")), ("test", ("1.png",))):
        (tmp_path / part).mkdir()
        (tmp_path / part / "metadata.csv").write_text("file_name,label\n" + "".join(f"{n},sad\n" for n in names))
    found = read_table(tmp_path, ["file_name", "split"], path_column="file_name", split_column="split")
    assert found.columns == {
        "file_name": ["test/1.png", "train/1.png", "train/x/2.png"], "split": ["test", "train", "train"]
    }  # fmt: skip


def test_of_two_metadata_files_none_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    (tmp_path / "test/metadata.csv").write_text("file_name,label\n1.png,sad\n")
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "train/1.png", "label": "sad"}\n')
    with pytest.raises(BadInput, match=r"metadata.jsonl in it, and test/metadata.csv too; remove one"):
        read_table(tmp_path, ["file_name"], path_column="file_name")
    (tmp_path / "metadata.csv").write_text("file_name,label\n2.png,sad\n")
    (tmp_path / "test/metadata.csv").unlink()
    with pytest.raises(BadInput, match=r"metadata.csv and metadata.jsonl, of which only one can be read; remove one"):
        read_table(tmp_path, ["file_name"], path_column="file_name")


def test_what_spreadsheets_add_is_no_row(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_bytes(b"sep=;\r\npath;given\r\na.png;x\r\n;\r\nb.png;y\r\n;;;\r\n")
    found = read_table(file, ["path", "given"])
    assert found.columns == {"path": ["a.png", "b.png"], "given": ["x", "y"]}
    assert found.lines == [3, 5]


@pytest.mark.parametrize("kind", ["UTF-16LE", "UTF-16BE"])
def test_utf_16_without_its_mark(kind: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("path,given\na.png,x\n".encode(kind))
    with pytest.raises(BadInput, match=rf"in {kind}, not in UTF-8: iconv -f {kind} -t UTF-8 "):
        read_table(tmp_path / "t.csv", ["path"])


@pytest.mark.parametrize(
    ("text", "plain"), [("S1", "s1"), ("3.0", "3"), ("03", "3"), ("0", "0"), ("3.5", "3.5"), ("M\u0308", "m\u0308")]
)
def test_an_identifier_in_whatever_way_it_is_written(text: str, plain: str) -> None:
    assert spelled_plainly(text) == spelled_plainly(plain)
    assert spelled_plainly(text) == unicodedata.normalize("NFC", plain)


WRONG: Sequence[tuple[str, str, tuple[str, ...]]] = [
    ("t.csv", "path,givn\na.png,x\n", ("no column 'given'", "did you mean givn?", "[data.columns]")),
    ("t.csv", "path,given,given\na.png,x,y\n", ("two columns are called 'given'",)),
    ("t.csv", "path,given\na.png\n", ("line 2: 1 fields instead of 2",)),
    ("t.csv", "path,given\na.png,x,y\n", ("line 2: 3 fields instead of 2",)),
    ("t.csv", "path,given\n", ("no rows below the header",)),
    ("t.csv", "", ("the table is empty",)),
    ("t.csv", 'path,given\n"a.png,x\n', ("cannot be read as a table",)),
    ("t.csv", "path,given\na.png,\udcff\n", ("cannot be read as a table in UTF-8",)),
    (
        "t.csv",
        f"path,given\n{'a' * 200_000}.png,x\n",
        ("cannot be read as a table", "more than 65,536 characters in line 2"),
    ),
    ("t.jsonl", '{"path": "a.png", "given": "x"}\n[1]\n', ("line 2 is no object",)),
    ("t.jsonl", '{"path": "a.png", "given": ["x"]}\n', ("line 1: 'given' is a list or table",)),
    ("t.jsonl", '{"path": \n', ("cannot be read as JSON lines",)),
    ("t.jsonl", "[" * 100_000 + "\n", ("cannot be read as JSON lines",)),
    ("t.parquet", "no parquet", ("Parquet",)),
    ("t.xlsx", "no table", ("not one of .csv",)),
]


@pytest.mark.parametrize(("name", "text", "parts"), WRONG, ids=[str(number) for number in range(len(WRONG))])
def test_a_table_that_cannot_be_read_is_told_in_one_line(
    tmp_path: Path, name: str, text: str, parts: tuple[str, ...]
) -> None:
    file = tmp_path / name
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(BadInput) as caught:
        read_table(file, ["path", "given"])
    assert str(caught.value).startswith(str(file))
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_huge_table_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "LARGEST", 10)
    with pytest.raises(BadInput, match="more than a table of labels has"):
        read_table(write_csv(tmp_path / "t"), ["path"])


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(BadInput, match=r"Parquet needs pyarrow: pip install 'fernoise-bench\[parquet\]'"):
        read_table(tmp_path / "t.parquet", ["path"])


def test_a_missing_table_or_folder_without_metadata_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such table"):
        read_table(tmp_path / "t.csv", ["path"])
    with pytest.raises(BadInput, match=r"no metadata.csv or metadata.jsonl or metadata.parquet in it"):
        read_table(tmp_path, ["path"])


def test_class_folders_give_path_label_and_part(tmp_path: Path) -> None:
    for path in ("train/sad/1.png", "train/happy/sub/2.JPG", "train/happy/notes.txt", "val/sad/3.png", "x/sad/4.png"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    known = {"happy": "happy", "sad": "sad"}
    found = read_folders(tmp_path, ["train", "val"], known, ())
    assert found.columns == {
        "path": ["train/happy/sub/2.JPG", "train/sad/1.png", "val/sad/3.png"],
        "given": ["happy", "sad", "sad"],
        "split": ["train", "train", "val"],
    }
    one_tree = read_folders(tmp_path / "train", [], known, ())
    assert one_tree.columns["path"] == ["happy/sub/2.JPG", "sad/1.png"]
    with pytest.raises(BadInput, match=r"sad: no such class \(did you mean sadness\?\)"):
        read_folders(tmp_path, ["train"], {"happy": "happy", "sadness": "sadness"}, ())
    assert read_folders(tmp_path, ["train"], {"happy": "happy"}, ["sad"]).columns["given"] == ["happy"]
    with pytest.raises(BadInput, match="dev: no such folder"):
        read_folders(tmp_path, ["train", "dev"], known, ())
    with pytest.raises(BadInput, match="no pictures in class folders"):
        read_folders(tmp_path / "train/happy", [], {"sub": "sub"}, ["sub"])
