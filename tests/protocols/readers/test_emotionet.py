"""EmotioNet: every layout, the choices, and what is counted."""

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers import emotionet
from fernoise_bench.protocols.readers.emotionet import read
from fernoise_bench.protocols.readers.emotionet_labels import read_labels
from fernoise_bench.protocols.readers.listing import Check, Listing

from ..miniatures import emotionet as mini
from ..miniatures.emotionet import AUTOMATIC, FILE_2020, MANUAL

COUNT = len(MANUAL)


def check(listing: Listing, what: str) -> Check:
    (found,) = (check for check in listing.checks if check.what == what)
    return found


def check_rows(listing: Listing, part: str, numbers: tuple[int, ...]) -> None:
    rows = np.flatnonzero(listing.part == part)
    assert [Path(path).name for path in listing.path[rows]] == [mini.name(n) for n in numbers]
    assert listing.labels[rows].tolist() == [mini.labels(n) for n in numbers]
    assert listing.group[rows].tolist() == [mini.name(n)[:-4] for n in numbers]
    assert all((listing.root / path).is_file() for path in listing.path)


def refusal(root: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def replace(path: Path, old: str, new: str, count: int = 1) -> None:
    assert old.encode() in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), count))


# --- layouts

LAYOUTS: list[tuple[Callable[[Path], Path], tuple[int, ...], tuple[int, ...], str]] = [
    (mini.write_2020, MANUAL, (), f"{FILE_2020}, pictures in optimization_set/*"),
    (mini.write_2020_in_labels, MANUAL, (), f"{FILE_2020}, pictures in imgs"),
    (mini.write_older, MANUAL, (), "EmotioNet_FACS.csv, pictures in images"),
    (mini.write_automatic, (), AUTOMATIC, "dataFile_NNNN.txt, pictures in IMAGES/*"),
    (mini.write_both, MANUAL, AUTOMATIC, f"{FILE_2020} + dataFile_NNNN.txt, pictures in IMAGES/*, optimization_set/*"),
    (mini.write_image_lists, (), AUTOMATIC, "image_list_*.csv, pictures in images/*"),
]


@pytest.mark.parametrize(("write", "manual", "automatic", "layout"), LAYOUTS)
def test_reads_every_layout(
    tmp_path: Path, write: Callable[[Path], Path], manual: tuple[int, ...], automatic: tuple[int, ...], layout: str
) -> None:
    listing = read(write(tmp_path))
    assert listing.dataset == "emotionet"
    assert listing.layout == layout
    assert listing.names == tuple(f"AU{au}" for au in mini.AUS)
    assert len(listing) == len(manual) + len(automatic)
    check_rows(listing, "manual", manual)
    check_rows(listing, "automatic", automatic)
    assert listing.labels.dtype == np.int8
    assert set(np.unique(listing.labels)) == {-1, 0, 1}
    assert listing.frame.tolist() == [-1] * len(listing)
    assert np.isnan(listing.box).all()
    assert listing.box.shape == (len(listing), 4)
    assert listing.path.dtype.kind == listing.group.dtype.kind == listing.part.dtype.kind == "U"
    assert listing.partial


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_line_ends_and_quotes_do_not_matter(tmp_path: Path, end: str, quote: str) -> None:
    check_rows(read(mini.write_2020(tmp_path, end=end, quote=quote)), "manual", MANUAL)
    check_rows(read(mini.write_automatic(tmp_path, end)), "automatic", AUTOMATIC)


def test_a_url_with_a_quote_at_its_end_only(tmp_path: Path) -> None:
    mini.write_2020(tmp_path, quote="")
    for number in MANUAL:
        replace(tmp_path / FILE_2020, f"{mini.name(number)},", f"{mini.name(number)}',")
    check_rows(read(tmp_path), "manual", MANUAL)


def test_columns_are_found_by_name(tmp_path: Path) -> None:
    mini.write_2020(tmp_path)
    rows = mini.manual_rows(aus=list(range(60, 0, -1)))
    swapped = [",".join([cells[1], *cells[2:], cells[0]]) for cells in (row.split(",") for row in rows)]
    mini.write_lines(tmp_path / FILE_2020, swapped)
    check_rows(read(tmp_path), "manual", MANUAL)


def test_pictures_match_whatever_the_extension(tmp_path: Path) -> None:
    mini.write_2020(tmp_path, folders="imgs")
    for path in (tmp_path / "imgs").iterdir():
        path.rename(path.with_suffix(".PNG"))
    listing = read(tmp_path)
    assert len(listing) == COUNT
    assert {Path(path).suffix for path in listing.path} == {".PNG"}


def test_original_urls_may_be_utf8(tmp_path: Path) -> None:
    mini.write_both(tmp_path)
    for path in (tmp_path / FILE_2020, tmp_path / mini.PACKAGE / "dataFile_0001.txt"):
        replace(path, "photo.jpg", "größe-写真.jpg")
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert len(read(tmp_path)) == COUNT + len(AUTOMATIC)


def test_the_order_of_files_on_disk_does_not_matter(tmp_path: Path) -> None:
    mini.write_both(tmp_path / "first")
    mini.write_pictures(tmp_path / "first", MANUAL[:2], "again")
    files = [path for path in (tmp_path / "first").rglob("*") if path.is_file()]
    first = read(tmp_path / "first")
    for seed in range(3):
        random.Random(seed).shuffle(files)
        root = tmp_path / str(seed)
        for file in files:
            copy = root / file.relative_to(tmp_path / "first")
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
        other = read(root)
        assert first.path.tolist() == other.path.tolist()
        assert first.labels.tolist() == other.labels.tolist()
        assert [check.found for check in first.checks] == [check.found for check in other.checks]


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    mini.write_2020(tmp_path / "elsewhere", folders="imgs")
    (tmp_path / "root").mkdir()
    shutil.move(tmp_path / "elsewhere" / FILE_2020, tmp_path / "root")
    (tmp_path / "root" / "imgs").symlink_to(tmp_path / "elsewhere" / "imgs")
    (tmp_path / "elsewhere" / "imgs" / "round").symlink_to(tmp_path / "root")
    check_rows(read(tmp_path / "root"), "manual", MANUAL)


def test_hidden_files_are_no_pictures(tmp_path: Path) -> None:
    mini.write_2020(tmp_path, folders="imgs")
    (tmp_path / "imgs" / f"._{mini.name(0)}").write_bytes(b"")
    listing = read(tmp_path)
    assert not any("._" in path for path in listing.path)
    assert check(listing, "pictures with a name used before").ok


def test_which_file_and_line_a_row_came_from(tmp_path: Path) -> None:
    mini.write_both(tmp_path)
    rows = read_labels([tmp_path / FILE_2020, *sorted(tmp_path.rglob("dataFile_*.txt"))])
    assert [path.name for path in rows.files] == [FILE_2020, "dataFile_0001.txt", "dataFile_0002.txt"]
    assert rows.file.tolist() == [0] * 6 + [1] * 5 + [2] * 3
    assert rows.line.tolist() == [2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 1, 2, 3]
    assert rows.place(11).endswith("dataFile_0002.txt, line 1")
    assert rows.names == read(tmp_path).group.tolist()


# --- choices


def test_the_2020_file_comes_before_the_older_one(tmp_path: Path) -> None:
    mini.write_2020(tmp_path)
    mini.write_lines(tmp_path / "EmotioNet_FACS.csv", mini.manual_rows(MANUAL[:2]))
    assert len(read(tmp_path)) == COUNT
    (tmp_path / "fernoise.toml").write_text('manual = "EmotioNet_FACS.csv"\n')
    assert len(read(tmp_path)) == 2


def test_the_folder_of_pictures_can_be_chosen(tmp_path: Path) -> None:
    mini.write_2020(tmp_path, folders="raw/{folder}")
    mini.write_pictures(tmp_path, MANUAL, "aligned")
    listing = read(tmp_path)
    again = check(listing, "pictures with a name used before")
    assert (again.expected, again.found) == (0, COUNT)
    assert again.where == f"raw/N_0000000001/{mini.name(0)} and aligned/{mini.name(0)}"
    (tmp_path / "fernoise.toml").write_text('pictures = "raw"\n')
    listing = read(tmp_path)
    assert check(listing, "pictures with a name used before").ok
    assert all(path.startswith("raw/") for path in listing.path)


def test_image_lists_can_be_the_manual_part(tmp_path: Path) -> None:
    mini.write_image_lists(tmp_path)
    (tmp_path / "fernoise.toml").write_text('image_lists = "manual"\n')
    check_rows(read(tmp_path), "manual", AUTOMATIC)


def test_image_lists_made_from_files_that_are_there_are_not_read_twice(tmp_path: Path) -> None:
    mini.write_automatic(tmp_path)
    mini.write_lines(tmp_path / "image_list_00.csv", ["never read"])
    assert len(read(tmp_path)) == len(AUTOMATIC)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ('manual = "other.csv"', "manual = 'other.csv' is not in"),
        ('pictures = "../elsewhere"', "pictures = '../elsewhere' is not in"),
        ('pictures = "/"', "pictures = '/' is not in"),
        ('image_lists = "both"', "image_lists = 'both' must be one of 'automatic', 'manual'"),
        ("frames = 1", "unknown choice 'frames'"),
        ("pictures = 1", "pictures = 1 must be of type str"),
    ],
)
def test_choices_are_checked(tmp_path: Path, choice: str, message: str) -> None:
    (mini.write_2020(tmp_path) / "fernoise.toml").write_text(choice)
    assert message in refusal(tmp_path)


def test_two_manual_files_of_one_name_want_a_choice(tmp_path: Path) -> None:
    mini.write_2020(tmp_path)
    mini.write_lines(tmp_path / "old" / FILE_2020, mini.manual_rows())
    assert f'write manual = "{FILE_2020}" in fernoise.toml' in refusal(tmp_path)


# --- checks


def test_a_copy_as_published_is_not_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emotionet, "ROWS_2020", COUNT)
    monkeypatch.setattr(emotionet, "ROWS_AUTOMATIC", len(AUTOMATIC))
    listing = read(mini.write_both(tmp_path))
    assert not listing.partial
    assert [check.what for check in listing.checks] == [
        "manual label file",
        "manual rows",
        "manual rows with an empty AU",
        "manual rows of a picture listed before",
        "manual rows that contradict one before",
        "manual pictures on disk",
        "automatic rows",
        "automatic rows of a picture listed before",
        "automatic rows that contradict one before",
        "automatic rows of a picture with manual labels",
        "automatic pictures on disk",
        "pictures with a name used before",
    ]


def test_rows_are_compared_with_the_published_numbers(tmp_path: Path) -> None:
    listing = read(mini.write_both(tmp_path))
    rows = check(listing, "manual rows")
    assert (rows.expected, rows.found) == (24_600, COUNT)
    automatic = check(listing, "automatic rows")
    assert (automatic.expected, automatic.found) == ("950,000 or more", "8")


def test_a_manual_file_under_another_name_is_named_with_the_choice(tmp_path: Path) -> None:
    root = mini.write_both(tmp_path)
    other = (root / FILE_2020).rename(root / "EmotioNet_FACS_aws_2020_24600 (1).csv").name
    file = check(read(root), "manual label file")
    choice = f"manual = '{other}'"
    assert file.where == f"{other} is there: if it has these labels, write {choice} in fernoise.toml"
    (root / "fernoise.toml").write_text(choice)
    assert (read(root).part == "manual").any()


def test_the_older_file_has_no_published_number(tmp_path: Path) -> None:
    listing = read(mini.write_older(tmp_path))
    file = check(listing, "manual label file")
    assert (file.expected, file.found, file.ok) == (FILE_2020, "EmotioNet_FACS.csv", False)
    assert "manual rows" not in [check.what for check in listing.checks]


def test_dead_links_are_left_out_and_counted(tmp_path: Path) -> None:
    mini.write_both(tmp_path)
    for number in (1, 3, AUTOMATIC[6]):
        next(tmp_path.rglob(mini.name(number))).unlink()
    listing = read(tmp_path)
    check_rows(listing, "manual", (0, 2, 4, 5))
    check_rows(listing, "automatic", (*AUTOMATIC[:6], AUTOMATIC[7]))
    manual, automatic = (check(listing, f"{part} pictures on disk") for part in ("manual", "automatic"))
    assert (manual.expected, manual.found) == (6, 4)
    assert manual.where == f"{tmp_path / FILE_2020}, line 3: {mini.name(1)[:-4]}"
    assert (automatic.expected, automatic.found) == (8, 7)
    assert "dataFile_0002.txt, line 2: " in automatic.where


def test_repeated_rows_count_once(tmp_path: Path) -> None:
    mini.write_both(tmp_path)
    mini.write_lines(tmp_path / FILE_2020, [*mini.manual_rows(), mini.manual_rows()[2]])
    mini.write_lines(tmp_path / mini.PACKAGE / "dataFile_0003.txt", mini.text_rows(AUTOMATIC[:2]))
    listing = read(tmp_path)
    check_rows(listing, "manual", MANUAL)
    check_rows(listing, "automatic", AUTOMATIC)
    repeated = check(listing, "manual rows of a picture listed before")
    assert (repeated.found, repeated.where) == (1, f"{tmp_path / FILE_2020}, line 8: {mini.name(1)[:-4]}")
    assert check(listing, "automatic rows of a picture listed before").found == 2
    assert check(listing, "automatic rows that contradict one before").ok


def test_rows_that_contradict_each_other_are_left_out(tmp_path: Path) -> None:
    mini.write_2020(tmp_path)
    wrong = mini.manual_rows([4])[1].replace(",".join(mini.coded(4)), ",".join(mini.coded(5)))
    mini.write_lines(tmp_path / FILE_2020, [*mini.manual_rows(), wrong])
    listing = read(tmp_path)
    check_rows(listing, "manual", (0, 1, 2, 3, 5))
    contradiction = check(listing, "manual rows that contradict one before")
    assert (contradiction.found, contradiction.where.partition(", ")[2]) == (1, f"line 8: {mini.name(4)[:-4]}")


def test_a_picture_with_manual_labels_is_never_automatic(tmp_path: Path) -> None:
    mini.write_both(tmp_path)
    mini.write_lines(tmp_path / mini.PACKAGE / "dataFile_0003.txt", mini.text_rows(MANUAL[2:4]))
    listing = read(tmp_path)
    check_rows(listing, "automatic", AUTOMATIC)
    assert check(listing, "automatic rows of a picture with manual labels").found == 2
    assert len(set(listing.group.tolist())) == len(listing)


@pytest.mark.parametrize("word", ["", "nan", "-nan(ind)", "NULL"])
def test_rows_with_an_empty_au_are_left_out(tmp_path: Path, word: str) -> None:
    mini.write_2020(tmp_path)
    header, first, *rest = mini.manual_rows()
    cells = first.split(",")
    cells[2 + 12 - 1] = word
    mini.write_lines(tmp_path / FILE_2020, [header, ",".join(cells), *rest])
    listing = read(tmp_path)
    check_rows(listing, "manual", MANUAL[1:])
    empty = check(listing, "manual rows with an empty AU")
    assert (empty.found, empty.where) == (1, f"{tmp_path / FILE_2020}, line 2")
    assert check(listing, "manual rows").found == COUNT


def test_automatic_rows_with_an_empty_au_are_left_out(tmp_path: Path) -> None:
    mini.write_both(tmp_path)
    before = read(tmp_path)
    text = tmp_path / mini.PACKAGE / "dataFile_0002.txt"
    first, *rest = text.read_text().splitlines()
    fields = first.split("\t")
    fields[2 + 43 - 1] = ""
    mini.write_lines(text, ["\t".join(fields), *rest])
    listing = read(tmp_path)
    empty = check(listing, "automatic rows with an empty AU")
    assert (empty.found, empty.where) == (1, f"{text}, line 1")
    assert check(listing, "automatic rows") == check(before, "automatic rows")
    lost = fields[0].rpartition("/")[2].rpartition(".")[0]
    assert [name for name in before.group.tolist() if name != lost] == listing.group.tolist()


@pytest.mark.slow
def test_a_hundred_thousand_rows_list_in_seconds(tmp_path: Path) -> None:
    """A tenth of the automatic set, half of it without picture: at most a tenth of a minute."""
    count = 100_000
    mini.write_lines(tmp_path / "dataFile_0001.txt", mini.text_rows(range(count)))
    (tmp_path / "imgs").mkdir()
    for number in range(0, count, 10):
        (tmp_path / "imgs" / mini.name(number)).touch()
    start = time.perf_counter()
    listing = read(tmp_path)
    assert time.perf_counter() - start < 6
    assert len(listing) == count // 10
