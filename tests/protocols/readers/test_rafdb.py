"""RAF-DB: every layout, what a copy lacks, labels that cannot be, and other authors' noisy lists."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.labels import RAFDB_CLASSES
from fernoise_bench.protocols.readers.listing import Check, Listing
from fernoise_bench.protocols.readers.rafdb import read, read_noisy_list

from ..miniatures import rafdb as miniature

TRAIN = [row for row in miniature.SOME if row[0].startswith("train")]
TEST = [row for row in miniature.SOME if row[0].startswith("test")]
LIST = Path("EmoLabel/list_patition_label.txt")
PICTURES = Path("Image/aligned")


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


def check(listing: Listing, what: str) -> Check:
    (found,) = (one for one in listing.checks if one.what == what)
    return found


def change(path: Path, old: str, new: str) -> Path:
    text = path.read_bytes().decode()
    assert old in text
    path.write_bytes(text.replace(old, new, 1).encode())
    return path


# --- layouts


@pytest.mark.parametrize("layout", miniature.LAYOUTS)
def test_every_layout_gives_the_same_rows(tmp_path: Path, layout: str) -> None:
    listing = read(miniature.LAYOUTS[layout](tmp_path))
    assert listing.layout == layout
    assert listing.names == RAFDB_CLASSES == (
        "surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral",
    )  # fmt: skip
    assert listing.group.tolist() == sorted(n for n, _ in TRAIN) + sorted(n for n, _ in TEST)
    codes = dict(miniature.SOME)
    assert listing.labels.tolist() == [codes[name] - 1 for name in listing.group]
    assert listing.labels.dtype == np.int64
    assert listing.part.tolist() == ["train"] * len(TRAIN) + ["test"] * len(TEST)
    assert all(
        (tmp_path / path).is_file() and name in path for path, name in zip(listing.path, listing.group, strict=True)
    )
    assert (listing.frame == -1).all()
    assert np.isnan(listing.box).all()
    assert listing.box.shape == (len(listing), 4)
    assert check(listing, "other files among the pictures").ok
    assert check(listing, "pictures missing, training").ok


def test_the_layouts_may_lie_one_folder_down_with_crlf_ends(tmp_path: Path) -> None:
    plain = read(miniature.write_official(tmp_path / "a"))
    nested = miniature.write_official(tmp_path / "b" / "basic", end="\r\n").parent
    assert read(nested).path.tolist() == [f"basic/{path}" for path in plain.path]
    assert read(nested).labels.tolist() == plain.labels.tolist()


def test_the_test_part_may_be_called_valid(tmp_path: Path) -> None:
    listing = read(miniature.write_class_folders(tmp_path, test="valid"))
    assert (listing.part == "test").sum() == len(TEST)
    assert "valid/" in listing.path[-1]


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_files_and_lines_never_matters(tmp_path: Path, seed: int) -> None:
    shuffled = random.Random(seed).sample(list(miniature.SOME), len(miniature.SOME))
    for number, write in enumerate((miniature.write_official, miniature.write_class_folders, miniature.write_kaggle)):
        first, second = read(write(tmp_path / f"a{number}")), read(write(tmp_path / f"b{number}", shuffled))
        for name in ("path", "labels", "group", "part"):
            assert getattr(first, name).tolist() == getattr(second, name).tolist()
        counts = [(one.what, one.found) for one in first.checks]
        assert counts == [(one.what, one.found) for one in second.checks]


def test_choices_name_the_layout_and_the_pictures(tmp_path: Path) -> None:
    miniature.write_class_folders(miniature.write_official(tmp_path))
    miniature.write_pictures(tmp_path / "Image" / "original", miniature.SOME, "")
    assert read(tmp_path).layout == "official"
    (tmp_path / "fernoise.toml").write_text('layout = "folders"')
    assert read(tmp_path).layout == "class-folders"
    (tmp_path / "fernoise.toml").write_text('images = "Image/original"')
    listing = read(tmp_path)
    assert listing.layout == "flat, pictures of Image/original"
    assert listing.path[0] == "Image/original/train_00001.jpg"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('layout = "zip"', "must be one of 'list', 'two-lists', 'folders'"),
        ('images = "../x"', "is not in"),
        ('images = "/tmp"', "is not in"),
        ('images = "nowhere"', "is not in"),
        ("image = 1", "unknown choice"),
    ],
)
def test_choices_that_cannot_be_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (miniature.write_official(tmp_path) / "fernoise.toml").write_text(text)
    assert says in refusal(lambda: read(tmp_path))


def test_an_unaligned_folder_is_not_taken_by_itself(tmp_path: Path) -> None:
    miniature.write_list(tmp_path / LIST, miniature.SOME)
    miniature.write_pictures(tmp_path / "Image" / "original", miniature.SOME, "")
    assert "none of their pictures" in refusal(lambda: read(tmp_path))


# --- what a copy lacks


def test_a_subset_is_partial_and_says_by_how_much(tmp_path: Path) -> None:
    listing = read(miniature.write_official(tmp_path))
    assert listing.partial
    assert check(listing, "training rows") == Check("training rows", 12_271, len(TRAIN))
    assert check(listing, "test rows") == Check("test rows", 3_068, len(TEST))
    assert check(listing, "class fear, training") == Check("class fear, training", 281, 3)
    assert check(listing, "class neutral, test") == Check("class neutral, test", 680, 2)


def test_a_copy_with_the_published_counts_is_complete(tmp_path: Path) -> None:
    counts = {"train": (1290, 281, 717, 4772, 1982, 705, 2524), "test": (329, 74, 160, 1185, 478, 162, 680)}
    codes = {part: np.repeat(np.arange(1, 8), count).tolist() for part, count in counts.items()}
    listed = [(f"train_{n:05d}", code) for n, code in enumerate(codes["train"], 1)]
    listed += [(f"test_{n:04d}", code) for n, code in enumerate(codes["test"], 1)]
    miniature.write_list(tmp_path / LIST, listed)
    (tmp_path / PICTURES).mkdir(parents=True)
    for name, _ in listed:
        (tmp_path / PICTURES / f"{name}_aligned.jpg").touch()
    listing = read(tmp_path)
    assert [one for one in listing.checks if not one.ok] == []
    assert len(listing) == 15_339
    (tmp_path / PICTURES / "test_3068_aligned.jpg").unlink()
    assert read(tmp_path).partial


@pytest.mark.parametrize("dead_link", [False, True])
def test_rows_without_a_picture_are_left_out_and_counted(tmp_path: Path, dead_link: bool) -> None:
    picture = miniature.write_official(tmp_path) / PICTURES / "train_00002_aligned.jpg"
    picture.unlink()
    if dead_link:
        picture.symlink_to(tmp_path / "nowhere.jpg")
    listing = read(tmp_path)
    assert len(listing) == len(miniature.SOME) - 1
    found = check(listing, "pictures missing, training")
    assert (found.found, found.where) == (1, f"{LIST}, line 2: train_00002")


def test_other_files_are_counted_and_never_rows(tmp_path: Path) -> None:
    miniature.write_official(tmp_path)
    for name in ("train_00001_aligned_flip.jpg", "notes.txt", "train_99999_aligned.jpg", "train_00001.jpg"):
        (tmp_path / PICTURES / name).touch()
    listing = read(tmp_path)
    assert len(listing) == len(miniature.SOME)
    assert listing.path[0].endswith("train_00001_aligned.jpg")
    found = check(listing, "other files among the pictures")
    assert (found.found, found.where) == (4, f"{PICTURES}/notes.txt")


@pytest.mark.parametrize("name", ["Thumbs.db", "desktop.ini", ".DS_Store", "._train_00001_aligned.jpg"])
@pytest.mark.parametrize("write", [miniature.write_official, miniature.write_class_folders])
def test_files_of_file_managers_are_nothing(tmp_path: Path, write: Callable[[Path], Path], name: str) -> None:
    before = read(write(tmp_path))
    for folder in (PICTURES, "train/1", "train", "."):
        if (tmp_path / folder).is_dir():
            (tmp_path / folder / name).touch()
    after = read(tmp_path)
    assert after.checks == before.checks
    assert np.array_equal(after.path, before.path)


def test_the_list_may_be_spelled_as_others_spell_it(tmp_path: Path) -> None:
    before = read(miniature.write_official(tmp_path))
    labels = tmp_path / "EmoLabel"
    (labels / "list_patition_label.txt").rename(labels / "list_partition_label.txt")
    after = read(tmp_path)
    assert after.layout == "official"
    assert np.array_equal(after.labels, before.labels)


def test_augmented_pictures_in_class_folders_are_no_rows(tmp_path: Path) -> None:
    root = miniature.write_class_folders(tmp_path)
    (root / "train" / "1" / "aug_0_train_00001_aligned.jpg").touch()
    listing = read(root)
    assert len(listing) == len(miniature.SOME)
    assert check(listing, "other files among the pictures").found == 1


def test_pictures_the_kaggle_table_lacks_are_other_files(tmp_path: Path) -> None:
    root = miniature.write_kaggle(tmp_path)
    change(root / "train_labels.csv", "train_00001_aligned.jpg,1\r\n", "")
    (root / "DATASET/test/1/test_0001_aligned.jpg").unlink()
    listing = read(root)
    assert "train_00001" not in listing.group
    assert check(listing, "other files among the pictures").where == "DATASET/train/1/train_00001_aligned.jpg"
    assert check(listing, "pictures missing, test").where == "test_labels.csv, line 2: test_0001"


# --- refusals


def test_an_absent_data_set_says_where_to_ask(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "nowhere"):
        message = refusal(lambda root=root: read(root))
        assert "whdeng.cn" in message
        assert "--synthetic" in message
        assert str(root) in message


@pytest.mark.parametrize(
    ("new", "says"),
    [
        ("train_00002.jpg 8", "label '8', not 1 to 7"),
        ("train_00002.jpg 0", "label '0', not 1 to 7"),
        ("train_00002.jpg x", "label 'x'"),
        ("train_00002.jpg", "1 fields"),
        ("train_00002.jpg 4 1", "3 fields"),
        ("train_2.jpg 4", "no RAF-DB name"),
        ("../train_00002.jpg 4", "no RAF-DB name"),
        ("/home/victor/train_00002.jpg 4", "no RAF-DB name"),
        ("train_00001.jpg 4", "is listed here and at"),
        ("train_00002.jpg\0 4", "byte 0x00"),
        ("train_0000é.jpg 4", "plain ASCII"),
        ("", "an empty line between rows"),
    ],
)
def test_damaged_lines_are_refused_by_file_line_and_value(tmp_path: Path, new: str, says: str) -> None:
    path = miniature.write_official(tmp_path) / LIST
    change(path, "train_00002.jpg 4", new)
    message = refusal(lambda: read(tmp_path))
    assert f"{path}, line 2: " in message
    assert says in message


def test_an_empty_or_cut_list_is_refused(tmp_path: Path) -> None:
    path = miniature.write_official(tmp_path) / LIST
    path.write_bytes(path.read_bytes()[:-3])
    assert "truncated" in refusal(lambda: read(tmp_path))
    path.write_bytes(b"")
    assert "the file is empty" in refusal(lambda: read(tmp_path))


def test_a_row_in_the_list_of_the_other_part_is_refused(tmp_path: Path) -> None:
    path = miniature.write_two_lists(tmp_path) / "EmoLabel" / "train_label.txt"
    change(path, "train_00002.jpg", "test_0002.jpg")
    assert "is no training picture" in refusal(lambda: read(tmp_path))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("train/1/train_00001", "train/1/test_9999", "a test picture in train/"),
        ("test/1/test_0001", "test/1/train_99999", "a training picture in test/"),
        ("train/1/train_00001", "train/2/train_00002", "is also train/"),
        ("train/1/train_00001", "train/8/train_00001", "class folder '8'"),
    ],
)
def test_pictures_in_the_wrong_folder_are_refused(tmp_path: Path, old: str, new: str, says: str) -> None:
    root = miniature.write_class_folders(tmp_path)
    target = root / f"{new}_aligned.jpg"
    target.parent.mkdir(exist_ok=True)
    (root / f"{old}_aligned.jpg").rename(target)
    assert says in refusal(lambda: read(root))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("train_00001_aligned.jpg,1", "train_00001_aligned.jpg,2", "has label 2 here and is DATASET/train/1/"),
        ("train_00001_aligned.jpg,1", "train_00002_aligned.jpg,4", "is listed here and in line"),
        ("train_00001_aligned.jpg,1", "train_00001_aligned.jpg,9", "label '9'"),
        ("train_00001_aligned.jpg,1", "train_00001_aligned.jpg,1,1", "3 fields instead of 2"),
        ("train_00001_aligned.jpg,1", "test_0001_aligned.jpg,1", "is no training picture"),
        ("image,label", "image,class", "no column label"),
    ],
)
def test_kaggle_tables_must_agree_with_the_folders(tmp_path: Path, old: str, new: str, says: str) -> None:
    root = miniature.write_kaggle(tmp_path)
    change(root / "train_labels.csv", old, new)
    message = refusal(lambda: read(root))
    assert "train_labels.csv, line " in message
    assert says in message


# --- noisy lists of other authors

MANY = miniature.rows(train=30)
TEST_OF_MANY = [(name, code) for name, code in MANY if name.startswith("test")]
NOISY = [(name, code % 7 + 1 if n % 10 == 0 else code) for n, (name, code) in enumerate(MANY)]


@pytest.fixture
def many(tmp_path: Path) -> Listing:
    return read(miniature.write_official(tmp_path, MANY))


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("style", "base"), [("scn", 0), ("eac", 1), ("ada-cm", 0)])
def test_noisy_lists_of_three_authors(tmp_path: Path, many: Listing, style: str, base: int, end: str) -> None:
    shuffled = random.Random(0).sample(NOISY, len(NOISY))
    noisy = read_noisy_list(miniature.write_noisy_list(tmp_path / "noise.txt", style, shuffled, end), many)
    assert noisy.base == base
    assert noisy.given.dtype == np.int64
    codes = dict(NOISY)
    assert noisy.given.tolist() == [codes[name] - 1 for name in many.group[many.part == "train"]]
    assert noisy.rate == pytest.approx(0.1)


def test_test_rows_of_a_list_are_counted_and_not_used(tmp_path: Path, many: Listing) -> None:
    path = miniature.write_noisy_list(tmp_path / "0.4noise_train1.txt", "eac", NOISY)
    tested = [(name, code % 7 + 1 if n == 0 else code) for n, (name, code) in enumerate(TEST_OF_MANY)]
    path.write_text(path.read_text() + "".join(f"{name}.jpg {code}\n" for name, code in tested))
    noisy = read_noisy_list(path, many)
    assert (noisy.test_rows, noisy.test_changed) == (14, 1)
    assert noisy.rate == pytest.approx(0.1)
    assert len(noisy.given) == 210


def test_paths_of_a_windows_machine_are_cut_to_the_base_name(tmp_path: Path, many: Listing) -> None:
    path = miniature.write_noisy_list(tmp_path / "noise.txt", "scn", NOISY)
    path.write_text(path.read_text().replace(miniature.AUTHOR, "C:\\My files\\RAF\\"))
    assert read_noisy_list(path, many).rate == pytest.approx(0.1)


def test_without_a_0_or_a_7_the_base_is_the_one_that_agrees(tmp_path: Path) -> None:
    listed = [(f"train_{n + 1:05d}", n % 4 + 2) for n in range(40)]
    listing = read(miniature.write_official(tmp_path, [*listed, *TEST]))
    for style, base in (("scn", 0), ("eac", 1)):
        path = miniature.write_noisy_list(tmp_path / style, style, listed)
        assert read_noisy_list(path, listing).base == base
    path = tmp_path / "open.txt"
    path.write_text("".join(f"{name}.jpg {code - n % 2}\n" for n, (name, code) in enumerate(listed)))
    assert "pass base=0 or base=1" in refusal(lambda: read_noisy_list(path, listing))
    assert read_noisy_list(path, listing, base=1).rate == 0.5


def test_a_partial_copy_takes_the_whole_list(tmp_path: Path, many: Listing) -> None:
    (tmp_path / PICTURES / "train_00001_aligned.jpg").unlink()
    path = miniature.write_noisy_list(tmp_path / "noise.txt", "eac", NOISY)
    listing = read(tmp_path)
    assert len(read_noisy_list(path, listing).given) == 209
    whole = dataclasses.replace(listing, checks=())
    assert "line 1: 'train_00001.jpg' is no picture of this copy" in refusal(lambda: read_noisy_list(path, whole))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("train_00003.jpg 7\n", "", "no row for 1 of 210 training pictures, the first train_00003"),
        ("train_00003.jpg 7", "test_0003.jpg 7", "no row for 1 of 210 training pictures, the first train_00003"),
        ("train_00003.jpg 7", "img_3.jpg 7", "line 3: 'img_3.jpg' is no picture of this copy"),
        ("train_00003.jpg 7", "train_00002.jpg 7", "line 3: train_00002 is listed a second time"),
        ("train_00003.jpg 7", "train_00003.jpg 8", "line 3: label '8'"),
        ("train_00003.jpg 7", "train_00003.jpg 0", "labels 0 and 7"),
        ("train_00003.jpg 7", "train_00003.jpg 7 1", "same columns in every line"),
        ("train_00003.jpg 7", "train_00003.jpg", "no name and label"),
    ],
)
def test_lists_that_do_not_line_up_are_refused(tmp_path: Path, many: Listing, old: str, new: str, says: str) -> None:
    path = miniature.write_noisy_list(tmp_path / "noise.txt", "eac", MANY)
    change(path, old, new)
    message = refusal(lambda: read_noisy_list(path, many))
    assert str(path) in message
    assert says in message


def test_a_wrong_base_and_another_class_order_are_refused(tmp_path: Path, many: Listing) -> None:
    path = miniature.write_noisy_list(tmp_path / "noise.txt", "eac", MANY)
    assert "counted from 0" in refusal(lambda: read_noisy_list(path, many, base=0))
    affectnet = (0, 4, 5, 6, 2, 3, 7, 1)
    other = [(name, affectnet[code]) for name, code in MANY]
    path = miniature.write_noisy_list(tmp_path / "other.txt", "eac", other)
    assert "another class order" in refusal(lambda: read_noisy_list(path, many))


def test_strong_symmetric_noise_is_no_other_class_order(tmp_path: Path, many: Listing) -> None:
    generator = np.random.default_rng(0)
    drawn = [(name, int(generator.integers(1, 8)) if generator.random() < 0.5 else code) for name, code in MANY]
    path = miniature.write_noisy_list(tmp_path / "noise.txt", "scn", drawn)
    assert 0.3 < read_noisy_list(path, many).rate < 0.55
