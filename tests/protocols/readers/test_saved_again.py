"""Tables that pandas or a spreadsheet saved again: whole numbers with a point, unnamed columns, other line ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers import affectnet, bp4d, cremad, disfa, emotionet, rafdb
from fernoise_bench.protocols.readers.cremad_votes import read_responses
from fernoise_bench.protocols.readers.listing import Listing
from fernoise_bench.protocols.readers.text_lines import read_lines, whole

from ..miniatures import affectnet as mini_affectnet
from ..miniatures import bp4d as mini_bp4d
from ..miniatures import cremad as mini_cremad
from ..miniatures import disfa as mini_disfa
from ..miniatures import emotionet as mini_emotionet
from ..miniatures import rafdb as mini_rafdb

NO_NUMBERS = [(text, None) for text in ("3.5", "3.05", "-1", "+3", "", ".0", "3e0", "x", "9" * 10, "3.0 ")]
VOTES = "processedResults/tabulatedVotes.csv"
Case = tuple[Callable[[Path], Listing], Callable[[Path], Path], str]
COPIES: dict[str, Case] = {
    "rafdb": (rafdb.read, mini_rafdb.write_official, "EmoLabel/list_patition_label.txt"),
    "affectnet": (affectnet.read, mini_affectnet.write_csv, "Manually_Annotated_file_lists/training.csv"),
    "bp4d": (bp4d.read, mini_bp4d.write_au_occ, "AUCoding/AU_OCC/F001_T1.csv"),
    "disfa": (disfa.read, mini_disfa.write_img, "ActionUnit_Labels/SN001/SN001_au1.txt"),
    "emotionet": (emotionet.read, mini_emotionet.write_2020, mini_emotionet.FILE_2020),
    "cremad": (cremad.read, mini_cremad.write, VOTES),
}


def change(path: Path, make: Callable[[str], str]) -> None:
    path.write_bytes(make(path.read_bytes().decode()).encode())


def same(found: Listing, before: Listing) -> bool:
    names = ("path", "labels", "group", "part", "checks")
    return all(np.array_equal(getattr(found, name), getattr(before, name)) for name in names)


def with_points(text: str) -> str:
    """Whole numbers that are cells as 5.0; of a header none."""
    header, _, rest = text.partition("\n")
    rows = text if re.search(r"\d", header.split(",")[0]) and "," not in header[4:] else rest
    changed = re.sub(r"(^|[ ,])(\d+)(?=[,\r\n])", r"\1\2.0", rows, flags=re.MULTILINE)
    return changed if rows is text else f"{header}\n{changed}"


@pytest.mark.parametrize(
    ("text", "number"),
    [("3", 3), ("3.0", 3), ("3.00", 3), ("007", 7), ("9" * 9, 999_999_999), *NO_NUMBERS],
)
def test_whole_numbers(text: str, number: int | None) -> None:
    assert whole(text) == number


@pytest.mark.parametrize("name", COPIES)
def test_whole_numbers_with_a_point_are_the_same(name: str, tmp_path: Path) -> None:
    read, write, table = COPIES[name]
    before = read(write(tmp_path))
    change(tmp_path / table, with_points)
    assert ".0" in (tmp_path / table).read_text()
    assert same(read(tmp_path), before)


@pytest.mark.parametrize("name", COPIES)
def test_lines_may_end_in_cr_alone(name: str, tmp_path: Path) -> None:
    read, write, table = COPIES[name]
    before = read(write(tmp_path))
    change(tmp_path / table, lambda text: text.replace("\r\n", "\n").replace("\n", "\r"))
    assert same(read(tmp_path), before)
    change(tmp_path / table, lambda text: text.removesuffix("\r")[:-1] + ",")
    with pytest.raises(BadInput, match="truncated"):
        read(tmp_path)


def test_lines_that_end_in_cr_are_numbered(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa,b\rc,d\r\r")
    found = list(read_lines(tmp_path / "a.csv", "again"))
    assert [(line.number, line.text) for line in found] == [(1, b"a,b\n"), (2, b"c,d\n")]
    (tmp_path / "a.csv").write_bytes(b"a,b\r" + b"c" * (1 << 17))
    with pytest.raises(BadInput, match=r"line 2: more than 65,536 bytes in one line"):
        list(read_lines(tmp_path / "a.csv", "again"))


def test_a_header_line_of_disfa_is_left_out(tmp_path: Path) -> None:
    table = COPIES["disfa"][2]
    before = disfa.read(mini_disfa.write_img(tmp_path))
    change(tmp_path / table, lambda text: re.sub(r"^2,\d", "2,nan", f"frame,intensity\n{text}", flags=re.MULTILINE))
    found = disfa.read(tmp_path)
    assert np.array_equal(found.path, before.path)
    (empty,) = (one for one in found.checks if one.what == "intensities without a number, unknown")
    assert (empty.found, empty.where) == (1, f"{table}, line 3")
    (tmp_path / table).write_text("frame,intensity\n")
    with pytest.raises(BadInput, match="a header, but no frame after it"):
        disfa.read(tmp_path)


@pytest.mark.parametrize("header", ["Unnamed: 0,", "Unnamed: 0.1,Unnamed: 0,", ",Unnamed: 0,"])
def test_the_unnamed_column_of_crema_d_as_pandas_names_it(header: str, tmp_path: Path) -> None:
    before = cremad.read(mini_cremad.write(tmp_path))
    names, *rows = (tmp_path / VOTES).read_text().splitlines()
    rows = rows if header.count(",") == 1 else [f"{number},{row}" for number, row in enumerate(rows)]
    (tmp_path / VOTES).write_text("\n".join([names.replace('"",', header, 1), *rows]) + "\n")
    assert same(cremad.read(tmp_path), before)


def test_a_missing_unnamed_column_is_named_in_the_error(tmp_path: Path) -> None:
    change(mini_cremad.write(tmp_path) / VOTES, lambda text: text.replace('"",', '"key",', 1))
    with pytest.raises(BadInput, match="no column without a name in the header"):
        cremad.read(tmp_path)


@pytest.mark.parametrize("file", ["finishedResponses.csv", "finishedEmoResponses.csv"])
def test_sessions_and_questions_with_a_point_are_found(file: str, tmp_path: Path) -> None:
    mini_cremad.write_responses(mini_cremad.write_tables(tmp_path))
    before = read_responses(tmp_path)
    change(tmp_path / file, with_points)
    found = read_responses(tmp_path)
    assert before is not None
    assert found is not None
    assert (len(found), found.late) == (len(before), before.late)
    assert np.array_equal(found.label, before.label)


@pytest.mark.parametrize(("box", "again"), [("1,2,6,5", "1.0,2.00,6.0,5.0"), (",,,", "nan,,NaN,nan")])
def test_a_face_is_the_same_however_its_box_is_written(box: str, again: str, tmp_path: Path) -> None:
    table = mini_affectnet.write_csv(tmp_path) / COPIES["affectnet"][2]
    lines = table.read_text().splitlines()
    name, *_, landmarks, code, valence, arousal = lines[1].split(",")
    lines[1] = f"{name},{box},{landmarks},{code},{valence},{arousal}"
    lines.append(f"{name},{again},{landmarks},{(int(code) + 1) % 8},{valence},{arousal}")
    table.write_text("\n".join(lines) + "\n")
    with pytest.raises(BadInput, match=rf"line {len(lines)}: .* is listed here and in line 2 with the same face box"):
        affectnet.read(tmp_path)
