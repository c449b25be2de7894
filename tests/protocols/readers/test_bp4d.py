"""BP4D: every layout, what a copy lacks, and labels that cannot be."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import BP4D_AUS, BP4D_PARTS
from fernoise_bench.protocols.readers import bp4d
from fernoise_bench.protocols.readers.bp4d import read
from fernoise_bench.protocols.readers.bp4d_coded_frames import SPANS
from fernoise_bench.protocols.readers.listing import Check, Listing

from ..miniatures import bp4d as miniature

ROWS = [(subject, task, frame) for (subject, task) in sorted(miniature.SOME) for frame in miniature.SOME[subject, task]]
PART = {subject: part for part, subjects in BP4D_PARTS for subject in subjects}


def expected_labels(value: Callable[..., int] = miniature.value) -> np.ndarray:
    as_label = {0: -1, 1: 1, 9: 0}
    return np.array([[as_label[value(*row, au)] for au in miniature.AUS] for row in ROWS], np.int8)


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def check(listing: Listing, what: str) -> Check:
    (found,) = (one for one in listing.checks if one.what == what)
    return found


def same(first: Listing, second: Listing) -> bool:
    fields = ("path", "frame", "labels", "group", "part")
    equal = all(np.array_equal(getattr(first, name), getattr(second, name)) for name in fields)
    return equal and first.checks == second.checks and first.layout == second.layout


# --- what was published


def test_the_published_spans() -> None:
    sizes = {key: last - first + 1 for key, (first, last) in SPANS.items()}
    assert len(sizes) == 328
    assert sum(sizes.values()) == 146_847
    assert (min(sizes.values()), max(sizes.values())) == (90, 768)
    assert max(first for first, _ in SPANS.values()) == 2440
    parts = [sum(n for (who, _), n in sizes.items() if who in subjects) for _, subjects in BP4D_PARTS]
    assert parts == [50_631, 50_182, 46_034]
    assert SPANS["M018", "T8"] == (1, 201)


# --- layouts


@pytest.mark.parametrize(
    ("write", "layout", "names"),
    [
        (miniature.write_au_occ, "AUCoding/AU_OCC, Sequences, frame offset 0", "Sequences/F001/T3/0001.jpg"),
        (miniature.write_3d_release, "AUCoding, Sequences(2D+3D), frame offset 0", "Sequences(2D+3D)/F001/T3/0001.jpg"),
        (miniature.write_fera2015, "AUCoding/AUCoding, ., frame offset 0", "F001/T3/1.jpg"),
        (miniature.write_from_0, "AUCoding/AU_OCC, Sequences, frame offset -1", "Sequences/F001/T3/0000.jpg"),
    ],
)
def test_reads_every_layout(tmp_path: Path, write: Callable[[Path], Path], layout: str, names: str) -> None:
    listing = read(write(tmp_path))
    assert (listing.dataset, listing.layout, listing.root) == ("bp4d", layout, tmp_path)
    assert listing.names == BP4D_AUS
    assert np.array_equal(listing.labels, expected_labels())
    assert listing.labels.dtype == np.int8
    assert {-1, 0, 1} == set(np.unique(listing.labels))
    assert listing.group.tolist() == [subject for subject, _, _ in ROWS]
    assert listing.part.tolist() == [PART[subject] for subject, _, _ in ROWS]
    assert names in listing.path.tolist()
    assert all((tmp_path / path).is_file() for path in listing.path)
    assert (listing.frame == -1).all()
    assert listing.frame.dtype == np.int64
    assert listing.box.shape == (len(ROWS), 4)
    assert np.isnan(listing.box).all()


def test_three_and_four_digits_side_by_side(tmp_path: Path) -> None:
    paths = read(miniature.write_au_occ(tmp_path)).path.tolist()
    assert "Sequences/F002/T2/001.jpg" in paths
    assert "Sequences/F001/T3/0001.jpg" in paths
    assert "Sequences/F001/T1/2440.jpg" in paths


def test_pictures_match_whatever_their_extension(tmp_path: Path) -> None:
    miniature.write_au_occ(tmp_path)
    picture = tmp_path / "Sequences/F001/T1/2440.jpg"
    picture.rename(picture.with_suffix(".JPEG"))
    (picture.parent / "._2440.jpg").touch()
    assert read(tmp_path).path[0] == "Sequences/F001/T1/2440.JPEG"


def test_the_choice_among_several_folders(tmp_path: Path) -> None:
    miniature.write_au_occ(tmp_path)
    miniature.write_3d_release(tmp_path)
    assert read(tmp_path).layout == "AUCoding/AU_OCC, Sequences, frame offset 0"
    (tmp_path / "fernoise.toml").write_text('labels = "AUCoding"\npictures = "Sequences(2D+3D)"\n')
    assert read(tmp_path).layout == "AUCoding, Sequences(2D+3D), frame offset 0"
    (tmp_path / "fernoise.toml").write_text('pictures = "../elsewhere"\n')
    assert "pictures = '../elsewhere' must be one of 'Sequences'" in refusal(tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_files_does_not_matter(tmp_path: Path, seed: int) -> None:
    miniature.write_au_occ(tmp_path / "straight")
    coded = list(miniature.SOME.items())
    random.Random(seed).shuffle(coded)
    shuffled = {key: random.Random(seed).sample(list(frames), len(frames)) for key, frames in coded}
    miniature.write_labels(tmp_path / "shuffled/AUCoding/AU_OCC", shuffled)
    digits = {key: (3, 4)[turn % 2] for turn, key in enumerate(miniature.SOME)}
    for key, frames in shuffled.items():
        miniature.write_pictures(tmp_path / "shuffled/Sequences", {key: frames}, [digits[key]])
    assert same(read(tmp_path / "straight"), read(tmp_path / "shuffled"))


def with_row_numbers(folder: Path, header: list[str]) -> None:
    """Rewrites label files as pandas saves a table: a column of row numbers in front for each cell of a header."""
    for file in folder.iterdir():
        first, *rows = file.read_text().splitlines()
        rows = [",".join([*[str(n)] * len(header), row]) for n, row in enumerate(rows)]
        file.write_text("\n".join([",".join([*header, first]), *rows, ""]))


@pytest.mark.parametrize(
    "header", [[""], ["Unnamed: 0"], ["index"], ["", "Unnamed: 0"], ["Unnamed: 0.1", "Unnamed: 0"]]
)
@pytest.mark.parametrize("own", ["plain", "quoted"])
def test_row_numbers_in_front_are_no_frame_numbers(complete: Path, own: str, header: list[str]) -> None:
    miniature.write_labels(complete / "AUCoding/AU_OCC", header=own)
    before = read(complete)
    with_row_numbers(complete / "AUCoding/AU_OCC", header)
    after = read(complete)
    assert np.array_equal(after.labels, expected_labels())
    assert np.array_equal(after.path, before.path)
    assert not after.partial
    found = check(after, "label files with row numbers in front, left out")
    assert (found.found, found.where) == (10, "AUCoding/AU_OCC/F001_T1.csv")


def test_columns_in_front_that_may_be_the_frame_number_are_refused(complete: Path) -> None:
    with_row_numbers(complete / "AUCoding/AU_OCC", ["second"])
    message = refusal(complete)
    assert "line 1: 2 columns before the first action unit ('second', '0')" in message
    assert "remove the columns that are not the frame number" in message


def test_row_numbers_in_place_of_frame_numbers_are_refused(complete: Path) -> None:
    file = complete / FILE
    first, *rows = file.read_text().splitlines()
    rows = [",".join([str(n), *row.split(",")[1:]]) for n, row in enumerate(rows)]
    file.write_text("\n".join([",".join(["", *first.split(",")[1:]]), *rows, ""]))
    assert f"{file}: the column '' counts rows from 0, and there is no column of frame numbers" in refusal(complete)


# --- a copy against what was published


@pytest.fixture
def complete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that is as published, the spans being those of the miniature."""
    spans = {key: (frames[0], frames[-1]) for key, frames in miniature.SOME.items()}
    monkeypatch.setattr(bp4d, "SPANS", spans)
    return miniature.write_au_occ(tmp_path)


def test_a_complete_copy_is_not_partial(complete: Path) -> None:
    listing = read(complete)
    assert not listing.partial
    assert not any(one.where for one in listing.checks)
    expected = {one.what: one.expected for one in listing.checks}
    assert expected == {
        "sequences with labels": 10,
        "sequences coded over the published frames": 10,
        "coded frames": 62,
        "coded frames, part1": 24,
        "coded frames, part2": 22,
        "coded frames, part3": 16,
        "first and last coded frames with a picture": 20,
        "coded frames with a picture": 62,
    }


def test_a_subset_is_partial_and_says_by_how_much(tmp_path: Path) -> None:
    listing = read(miniature.write_au_occ(tmp_path))
    assert listing.partial
    assert check(listing, "sequences with labels") == Check(
        "sequences with labels", 328, 10, "AUCoding/AU_OCC: no F001_T2.csv"
    )
    assert check(listing, "coded frames") == Check(
        "coded frames", 146_847, 62, "AUCoding/AU_OCC/F001_T1.csv: frames 2440-2445, published 2440-2992"
    )
    assert check(listing, "coded frames, part3").expected == 46_034


def test_a_missing_label_file(complete: Path) -> None:
    (complete / "AUCoding/AU_OCC/M018_T8.csv").unlink()
    listing = read(complete)
    assert check(listing, "sequences with labels").where == "AUCoding/AU_OCC: no M018_T8.csv"
    assert check(listing, "coded frames, part2").found == 16
    assert "M018" not in listing.group


def test_a_gap_in_a_span(complete: Path) -> None:
    file = complete / "AUCoding/AU_OCC/F001_T1.csv"
    rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join(rows[:3] + rows[4:]))
    found = check(read(complete), "sequences coded over the published frames")
    assert (found.expected, found.found) == (10, 9)
    assert found.where == "AUCoding/AU_OCC/F001_T1.csv: frames 2440-2445 with gaps, published 2440-2445"


@pytest.mark.parametrize("how", ["missing", "dead link"])
def test_a_frame_without_a_picture_is_left_out_and_counted(complete: Path, how: str) -> None:
    picture = complete / "Sequences/F001/T1/2442.jpg"
    whole = read(complete)
    picture.unlink()
    if how == "dead link":
        picture.symlink_to(complete / "nowhere.jpg")
    listing = read(complete)
    assert listing.partial
    assert check(listing, "coded frames with a picture") == Check(
        "coded frames with a picture", 62, 61, "Sequences/F001/T1: no picture 2442 for coded frame 2442"
    )
    assert check(listing, "first and last coded frames with a picture").ok
    kept = whole.path != "Sequences/F001/T1/2442.jpg"
    assert np.array_equal(listing.path, whole.path[kept])
    assert np.array_equal(listing.labels, whole.labels[kept])


def test_a_sequence_without_pictures(complete: Path) -> None:
    (complete / "Sequences/F001/T1").rename(complete / "away")
    listing = read(complete)
    assert check(listing, "coded frames with a picture").found == 56
    assert len(listing) == 56


# --- nothing usable


def test_no_labels(tmp_path: Path) -> None:
    message = refusal(tmp_path / "bp4d")
    assert f"BP4D: nothing usable in {tmp_path / 'bp4d'}" in message
    assert "F001_T1.csv in AUCoding/AU_OCC" in message
    assert "Binghamton" in message
    assert "--synthetic" in message


def test_no_pictures(tmp_path: Path) -> None:
    miniature.write_labels(tmp_path / "AUCoding/AU_OCC")
    assert "no folder of pictures such as F001/T1 in Sequences/, Sequences(2D+3D)/" in refusal(tmp_path)
    (tmp_path / "fernoise.toml").write_text('pictures = "Sequences"\n')
    assert "no folder of pictures such as F001/T1 in Sequences/;" in refusal(tmp_path).replace(")", "")


# --- labels that cannot be

FILE = "AUCoding/AU_OCC/F001_T1.csv"


def change(root: Path, number: int, edit: Callable[[list[str]], list[str]], end: str = "\n") -> Path:
    """Edits the cells of a line, counted from 1, of one label file."""
    file = miniature.write_au_occ(root) / FILE
    rows = file.read_text().splitlines()
    rows[number - 1] = ",".join(edit(rows[number - 1].split(",")))
    file.write_text("\n".join(rows) + end)
    return root


def cell(column: int, word: str) -> Callable[[list[str]], list[str]]:
    return lambda cells: [*cells[:column], word, *cells[column + 1 :]]


@pytest.mark.parametrize(
    ("number", "edit", "what"),
    [
        (3, cell(10, "7"), "AU10 is '7', not 0 (absent), 1 (present) or 9 (unknown)"),
        (3, cell(24, "1.5"), "AU24 is '1.5', not 0"),
        (4, cell(1, "-1"), "AU1 is '-1', not 0"),
        (4, cell(1, '"7"'), "AU1 is '7', not 0"),
        (3, cell(0, "x"), "frame 'x' is no frame number"),
        (3, cell(0, "9" * 5000), "is no frame number"),
        (3, cell(0, "2440"), "frame 2440 is also coded in an earlier line"),
        (5, lambda cells: cells[:-1], "99 fields instead of 100"),
        (1, cell(4, "x"), "no column for AU4 in the header"),
        (1, cell(5, "4"), "2 columns for AU4 in the header"),
        (1, lambda cells: ["2440", *"0" * 99], "no column for AU1 in the header"),
    ],
)
def test_a_line_that_cannot_be(tmp_path: Path, number: int, edit: Callable[[list[str]], list[str]], what: str) -> None:
    message = refusal(change(tmp_path, number, edit))
    assert f"{tmp_path / FILE}, line {number}: " in message
    assert what in message
    assert "unpack the label files again" in message


@pytest.mark.parametrize("word", ["", "nan", "-nan(ind)", "NaN"])
def test_a_label_without_a_number_is_unknown_and_counted(tmp_path: Path, word: str) -> None:
    """The other cells of the column are as pandas writes them beside it, with a decimal."""
    expected = expected_labels()
    expected[1, miniature.AUS.index(24)] = 0
    change(tmp_path, 3, cell(24, word))
    lines = [line.split(",") for line in (tmp_path / FILE).read_text().splitlines()]
    for line in [*lines[1:2], *lines[3:]]:
        line[24] += ".0"
    (tmp_path / FILE).write_text("".join(",".join(line) + "\n" for line in lines))
    listing = read(tmp_path)
    assert np.array_equal(listing.labels, expected)
    found = check(listing, "labels without a number, unknown")
    assert (found.expected, found.found, found.where) == (0, 1, FILE)


def test_a_file_cut_within_a_line(tmp_path: Path) -> None:
    message = refusal(change(tmp_path, 7, lambda cells: cells[:30], end=""))
    assert "line 7: the file looks truncated, it stops within this line: 30 fields" in message


def test_a_value_of_an_action_unit_nobody_uses_is_not_read(tmp_path: Path) -> None:
    assert np.array_equal(read(change(tmp_path, 3, cell(99, "7"))).labels, expected_labels())


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"0,1,2,4,6,7,10,12,14,15,17,23,24\n", "line 1: a header, but no coded frame after it"),
        ("0,1\n".encode("utf-16"), "line 1: byte 0xff, so this is no plain ASCII text"),
        (b"0,1\n\0\0\n", "line 2: byte 0x00"),
        (b"0,1,2,4,6,7,10,12,14,15,17,23,24\n\n1,0,0,0,0,0,0,0,0,0,0,0,0\n", "line 2: an empty line between rows"),
    ],
)
def test_a_file_that_is_no_table(tmp_path: Path, content: bytes, what: str) -> None:
    file = miniature.write_au_occ(tmp_path) / FILE
    content = content.replace(b"0,1\n\0", b"0,1,2,4,6,7,10,12,14,15,17,23,24\n\0")
    file.write_bytes(content)
    message = refusal(tmp_path)
    assert str(file) in message
    assert what in message


@pytest.mark.parametrize("name", ["F024_T1.csv", "F001_T9.csv", "M058_T6.csv"])
def test_a_sequence_that_is_not_in_the_set(tmp_path: Path, name: str) -> None:
    folder = miniature.write_au_occ(tmp_path) / "AUCoding/AU_OCC"
    (folder / name).touch()
    message = refusal(tmp_path)
    assert str(folder / name) in message
    assert "is no subject and task of BP4D" in message


def test_two_files_of_one_sequence(tmp_path: Path) -> None:
    folder = miniature.write_au_occ(tmp_path) / "AUCoding/AU_OCC"
    (folder / "f001_t1.csv").touch()
    assert "the same sequence as F001_T1.csv" in refusal(tmp_path)


def test_two_pictures_of_one_frame(tmp_path: Path) -> None:
    folder = miniature.write_au_occ(tmp_path) / "Sequences/F001/T3"
    (folder / "1.jpg").touch()
    assert f"{folder}: two pictures of number 1, '0001.jpg' and '1.jpg'" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("frame_offset = '0'", "must be of type int"),
        ("offset = 1", "unknown choice 'offset'; known: frame_offset, labels, pictures"),
    ],
)
def test_a_choice_that_is_none(tmp_path: Path, text: str, what: str) -> None:
    (miniature.write_au_occ(tmp_path) / "fernoise.toml").write_text(text)
    assert what in refusal(tmp_path)
