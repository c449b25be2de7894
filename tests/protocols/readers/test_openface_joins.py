"""OpenFace rows whose pictures are named by an unusual column or by nothing, and files that are odd among many."""

from pathlib import Path

import pytest

from fernoise_bench.protocols.readers.openface import read, what_is_there

from ..miniatures import openface as mini
from .test_openface import LABELS, PATHS, UNKNOWN, check, listing, refusal

REVERSED = range(len(PATHS) - 1, -1, -1)


def write_reversed(root: Path, column: str) -> None:
    """Rows with names, in another order than the pictures'."""
    rows = [mini.image_row(number, PATHS[number]) for number in REVERSED]
    mini.write(root / "rafdb.csv", [mini.image_header(column), *rows])


@pytest.mark.parametrize("column", ["File", "Filename", "Image Name", "ImagePath", "img_name", "File_Path"])
def test_a_column_of_names_is_known_in_any_case(tmp_path: Path, column: str) -> None:
    write_reversed(tmp_path, column)
    found = read(tmp_path, listing())
    assert found.labels.tolist() == LABELS
    assert found.layout == "rafdb.csv, by file name, FaceLandmarkImg"


@pytest.mark.parametrize("column", ["input", "image_id", "Unnamed: 0", "it's"])
def test_names_under_another_head_are_never_passed_over(tmp_path: Path, column: str) -> None:
    """Matched by order, these rows would get the labels of other pictures."""
    write_reversed(tmp_path, column)
    message = refusal(tmp_path)
    assert message.startswith(f"{tmp_path}/rafdb.csv, line 2: column ")
    assert "which may name the picture; if it does: echo 'file_column = " in message
    (tmp_path / "fernoise.toml").write_text(f'file_column = "{column}"\n')
    assert read(tmp_path, listing()).labels.tolist() == LABELS


def test_rows_with_neither_names_nor_frames_are_refused(tmp_path: Path) -> None:
    """Whoever joined the files of FaceLandmarkImg chose the order: of a list, of numbers or of a file system."""
    mini.write_unnamed(tmp_path, "rafdb", PATHS)
    assert refusal(tmp_path) == (
        f"{tmp_path}/rafdb.csv: rows with neither file names nor frame numbers, so that nothing says which picture "
        "each is of; add a column of file names, or put one CSV per picture into rafdb/"
    )


@pytest.mark.parametrize("before", ["", "/home/jane/AffectNet/"])
@pytest.mark.parametrize("face", [True, False], ids=["found in both", "found in the other alone"])
def test_a_part_that_is_not_listed_lends_no_labels(tmp_path: Path, before: str, face: bool) -> None:
    """A copy with the training pictures alone, and output for both parts: val_set/images/7.jpg is another face."""
    paths = [f"train_set/images/{number}.jpg" for number in (7, 8, 9)]
    rows = [mini.image_row(number, before + path) for number, path in enumerate(paths) if number or face]
    rows.append(mini.image_row(4, f"{before}val_set/images/7.jpg"))
    mini.write(tmp_path / "rafdb.csv", [mini.image_header("file"), *rows])
    found = read(tmp_path, listing(paths))
    assert found.labels.tolist() == [mini.labels(0) if face else UNKNOWN, mini.labels(1), mini.labels(2)]
    assert check(found, "rows of pictures that are not listed").found == 1


def test_the_same_row_again_is_one_row(tmp_path: Path) -> None:
    mini.write_named(tmp_path, "rafdb", PATHS)
    table = tmp_path / "rafdb.csv"
    table.write_text(table.read_text() + table.read_text().splitlines()[2] + "\n")
    assert read(tmp_path, listing()).labels.tolist() == LABELS


@pytest.mark.parametrize("content", [b"", b"frame,AU01_r\n1,0.5\n", b"\xff\xfe\0", None])
def test_one_file_of_many_that_cannot_be_read_is_unknown_and_named(tmp_path: Path, content: bytes | None) -> None:
    mini.write_folder(tmp_path, "rafdb", PATHS)
    path = tmp_path / "rafdb" / Path(PATHS[2]).with_suffix(".csv")
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    found = read(tmp_path, listing())
    assert found.labels.tolist() == [*LABELS[:2], UNKNOWN, *LABELS[3:]]
    counted = check(found, "files that cannot be read, unknown")
    assert counted.found == 1
    assert counted.where.startswith(str(path))


def test_files_of_which_most_cannot_be_read_are_refused(tmp_path: Path) -> None:
    mini.write_folder(tmp_path, "rafdb", PATHS)
    for path in PATHS[:3]:
        (tmp_path / "rafdb" / path).with_suffix(".csv").write_bytes(b"")
    assert refusal(tmp_path).endswith("the file is empty; run OpenFace on the pictures again")


def test_a_run_over_the_folder_in_the_place_of_one_file_per_picture(tmp_path: Path) -> None:
    mini.write_sequence(tmp_path, "rafdb", PATHS)
    (tmp_path / "rafdb").mkdir()
    (tmp_path / "rafdb.csv").rename(tmp_path / "rafdb/aligned.csv")
    command = f"mv {tmp_path}/rafdb/aligned.csv {tmp_path}/rafdb.csv"
    assert refusal(tmp_path).endswith(f"if its rows are the pictures: {command}")


@pytest.mark.parametrize("name", ["RAFDB", "RAF-DB.csv", "rafdb.CSV"])
def test_output_under_another_spelling_is_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir() if name == "RAFDB" else (tmp_path / name).touch()
    assert f", but {tmp_path}/{name} is there: mv {tmp_path}/{name} {tmp_path}/rafdb" in refusal(tmp_path)


def test_where_output_was_looked_for(tmp_path: Path) -> None:
    home = tmp_path / "openface"
    looked = f"there is no {home}/rafdb.csv and no folder {home}/rafdb"
    assert what_is_there(tmp_path, "rafdb") == looked
    (tmp_path / "rafdb").mkdir()  # the data set itself is no output
    home.mkdir()
    assert what_is_there(tmp_path, "rafdb") == f"{looked}; that folder is empty"
    (home / "processed").mkdir()
    assert what_is_there(tmp_path, "rafdb") == f"{looked}; found there: processed/"
    (home / "RAF-DB.csv").touch()
    assert what_is_there(tmp_path, "rafdb") == (
        f"{looked}, but {home}/RAF-DB.csv is there: mv {home}/RAF-DB.csv {home}/rafdb.csv"
    )
