"""OpenFace output that is damaged, of other pictures, or without some numbers: refused in one line, or unknown."""

from collections.abc import Callable
from pathlib import Path

import pytest

from fernoise_bench.protocols.readers.openface import read

from ..miniatures import openface as mini
from .test_openface import LABELS, PATHS, UNKNOWN, check, listing, refusal


def changed(column: str, value: str) -> list[list[str]]:
    """Named rows with one cell of the second picture, on line 3, changed."""
    header = mini.image_header("file", "success")
    rows = [mini.image_row(number, path, "1") for number, path in enumerate(PATHS)]
    rows[1][header.index(column)] = value
    return [header, *rows]


# --- values without a number

NO_NUMBERS = [
    "nan",
    "-nan",
    "-nan(ind)",
    "nan(snan)",
    "1.#QNAN",
    "-1.#IND00",
    "inf",
    "-inf",
    "1.#INF",
    "",
    "NaN",
    "N/A",
]


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("column", ["confidence", "success"])
def test_a_row_without_a_number_is_unknown_and_counted(tmp_path: Path, column: str, value: str) -> None:
    mini.write(tmp_path / "rafdb.csv", changed(column, value))
    found = read(tmp_path, listing())
    assert found.labels.tolist() == [LABELS[0], UNKNOWN, *LABELS[2:]]
    odd = check(found, "rows with a value that is no number")
    assert (odd.found, odd.where) == (1, f"{tmp_path / 'rafdb.csv'}, line 3")


@pytest.mark.parametrize("value", NO_NUMBERS)
@pytest.mark.parametrize("kind", ["c", "r"])
def test_an_au_without_a_number_is_unknown_and_the_others_are_not(tmp_path: Path, kind: str, value: str) -> None:
    (tmp_path / "fernoise.toml").write_text('labels = "intensity"\n' if kind == "r" else "")
    mini.write_named(tmp_path, "rafdb", PATHS)
    expected = read(tmp_path, listing()).labels
    mini.write(tmp_path / "rafdb.csv", changed(f"AU12_{kind}", value))
    found = read(tmp_path, listing())
    expected[1, mini.AUS.index(12)] = 0
    assert found.labels.tolist() == expected.tolist()
    assert check(found, "rows with a value that is no number").found == 1


def test_a_row_without_a_name_among_others_is_of_no_picture(tmp_path: Path) -> None:
    mini.write(tmp_path / "rafdb.csv", changed("file", ""))
    found = read(tmp_path, listing())
    assert found.labels.tolist() == [LABELS[0], UNKNOWN, *LABELS[2:]]
    assert check(found, "rows of pictures that are not listed").found == 1


def test_files_of_file_managers_are_no_output(tmp_path: Path) -> None:
    mini.write_folder(tmp_path, "rafdb", PATHS)
    for name in ("._train_1_aligned.csv", "__MACOSX/train_1_aligned.csv", "desktop.ini", ".ipynb_checkpoints/a.csv"):
        path = tmp_path / "rafdb" / Path(PATHS[0]).parent / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0")
    assert read(tmp_path, listing()).labels.tolist() == LABELS


# --- errors


def test_no_output_says_where_openface_is(tmp_path: Path) -> None:
    (tmp_path / "root" / "rafdb").mkdir(parents=True)
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "root", tmp_path / "nowhere"):
        message = refusal(root)
        assert message.startswith(f"openface: nothing usable in {root} (no rafdb.csv, no folder rafdb")
        assert "github.com/TadasBaltrusaitis/OpenFace" in message


@pytest.mark.parametrize("count", [4, 6])
def test_other_lengths_do_not_line_up(tmp_path: Path, count: int) -> None:
    mini.write_sequence(tmp_path, "rafdb", [*PATHS, "z.jpg"][:count])
    assert f"rafdb.csv: {count} pictures here, 5 in rafdb, which are matched by order" in refusal(tmp_path)


def test_a_missing_frame_is_refused(tmp_path: Path) -> None:
    rows = [mini.sequence_row(frame, frame) for frame in (1, 2, 4)]
    mini.write(tmp_path / "rafdb.csv", [mini.sequence_header(), *rows])
    assert "rafdb.csv, line 4: frame 4 where 3 should follow" in refusal(tmp_path, listing(["a", "b", "c"]))


@pytest.mark.parametrize("write", [mini.write_unnamed, mini.write_sequence])
def test_rows_without_names_are_refused_where_pictures_lie_in_several_folders(
    tmp_path: Path, write: Callable[[Path, str, list[str]], Path]
) -> None:
    """As many rows as pictures prove nothing: rows of one flat folder are in another order than class folders."""
    paths = [f"train/{code}/{Path(path).name}" for code, path in enumerate(PATHS, 1)]
    message = refusal(write(tmp_path, "rafdb", [Path(path).name for path in PATHS]), listing(paths))
    assert (
        "rafdb.csv: rows without file names, and the pictures of rafdb lie in 5 folders (train/1, train/2, …)"
        in message
    )
    assert "add a column of file names" in message
    assert read(mini.write_named(tmp_path, "rafdb", paths), listing(paths)).labels.tolist() == LABELS


@pytest.mark.parametrize("again", [PATHS[1], Path(PATHS[1]).with_suffix(".png").name])
def test_a_second_row_for_a_picture_is_refused(tmp_path: Path, again: str) -> None:
    mini.write_named(tmp_path, "rafdb", [*PATHS, again])
    message = refusal(tmp_path)
    assert "rafdb.csv, line 7: a second row for" in message
    assert "rafdb.csv, line 3)" in message


def test_a_second_row_for_a_frame_is_refused(tmp_path: Path) -> None:
    rows = [mini.sequence_row(1, 0), mini.sequence_row(2, 1), mini.sequence_row(2, 2)]
    mini.write(tmp_path / "rafdb.csv", [mini.sequence_header(), *rows])
    assert "rafdb.csv, line 4: a second row for frame 2" in refusal(tmp_path, listing(["a", "b"]))


def test_output_of_another_data_set_is_refused(tmp_path: Path) -> None:
    mini.write_named(tmp_path, "rafdb", ["x.jpg", "y.jpg"])
    assert "rafdb.csv: no row is of a picture of rafdb, not even 'x.jpg'" in refusal(tmp_path)


def test_output_that_hardly_matches_is_refused(tmp_path: Path) -> None:
    many = [f"{number}.jpg" for number in range(21)]
    mini.write_named(tmp_path, "rafdb", [*many[:2], "x.jpg", "y.jpg", "z.jpg"])
    said = refusal(tmp_path, listing(many))
    assert "only 2 of 21 pictures of rafdb have a row, and 3 rows are of others, the first 'x.jpg'" in said
    assert check(read(tmp_path, listing(many[:20])), "pictures with a row").found == 2


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("AU12_c", "2", "AU12_c is '2', not 0 or 1"),
        ("AU12_c", "0.50", "AU12_c is '0.50', not 0 or 1"),
        ("AU28_c", "-1", "AU28_c is '-1', not 0 or 1"),
        ("AU01_c", "none", "AU01_c is 'none', not 0 or 1"),
        ("confidence", "98", "confidence is '98', not a number from 0 to 1"),
        ("confidence", "nano", "confidence is 'nano', not a number from 0 to 1"),
        ("success", "2", "success is '2', not 0 or 1"),
    ],
)
def test_impossible_values_are_refused(tmp_path: Path, column: str, value: str, message: str) -> None:
    path = mini.write(tmp_path / "rafdb.csv", changed(column, value))
    assert f"{path}, line 3: {message}" in refusal(tmp_path)


def test_impossible_intensities_are_refused(tmp_path: Path) -> None:
    (tmp_path / "fernoise.toml").write_text('labels = "intensity"')
    mini.write(tmp_path / "rafdb.csv", changed("AU12_r", "5.5"))
    assert "line 3: AU12_r is '5.5', not a number from 0 to 5" in refusal(tmp_path)


def test_impossible_frames_are_refused(tmp_path: Path) -> None:
    mini.write(tmp_path / "rafdb.csv", [mini.sequence_header(), mini.sequence_row(0, 1)])
    assert "line 2: frame is '0', not a whole number from 1" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: b"", "the file is empty"),
        (lambda text: text.replace(b"AU28_c", b"AU28_x"), "line 1: no column AU28_c in the header"),
        (lambda text: text[:-4], "line 6: the file looks truncated, it stops within this line: AU45_c is ''"),
        (lambda text: text[:-20], "line 6: the file looks truncated, it stops within this line"),
        (lambda text: text.replace(b"0.5,", b"0.5,0.5,", 1), "line 2: 44 fields instead of 43"),
        (lambda text: text.replace(b"train_00010", b"train\0", 1), "line 3: byte 0x00, so this is no plain ASCII text"),
        (lambda text: text.decode().encode("utf-16"), "line 1: byte 0xff, so this is no plain ASCII text"),
        (lambda text: text.replace(b"\n", b"\n\n", 2), "line 2: an empty line between rows"),
        (lambda text: text.splitlines(keepends=True)[0], "0 pictures here, 5 in rafdb"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = mini.write_named(tmp_path, "rafdb", PATHS) / "rafdb.csv"
    path.write_bytes(damage(path.read_bytes()))
    assert message in refusal(tmp_path)
