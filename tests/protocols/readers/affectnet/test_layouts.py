"""AffectNet: both releases, what a copy lacks, and damaged files."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers.affectnet.labels import usable_boxes
from fernoise_bench.protocols.readers.affectnet.layouts import AFFECTNET_CLASSES, read
from fernoise_bench.protocols.readers.listing import Check, Listing

from ...miniatures import affectnet as miniature

LISTS = Path("Manually_Annotated_file_lists")
IMAGES = Path("Manually_Annotated/Manually_Annotated_Images")
TRAIN, VALIDATION = 24, 16


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(BadInput) as caught:
        act()
    message = str(caught.value)
    assert "\n" not in message
    return message


def check(listing: Listing, what: str) -> Check:
    (found,) = (one for one in listing.checks if one.what == what)
    return found


def change_line(path: Path, number: int, new: Callable[[str], str]) -> Path:
    lines = path.read_text().split("\n")
    lines[number - 1] = new(lines[number - 1])
    path.write_text("\n".join(lines))
    return path


# --- layouts


@pytest.mark.parametrize("layout", miniature.LAYOUTS)
def test_every_layout_gives_the_rows_of_the_eight_classes(tmp_path: Path, layout: str) -> None:
    listing = read(miniature.LAYOUTS[layout](tmp_path))
    automatic = "automatic" in layout
    release = "2021 release" if layout.startswith("2021") else "CSV release"
    assert listing.layout == (f"{release} and CSV release" if automatic and release[0] == "2" else release)
    assert listing.names == AFFECTNET_CLASSES == miniature.CLASSES
    codes = [code for per_class in (3, 2, *([3] if automatic else [])) for code in miniature.codes(per_class, 0)]
    assert listing.labels.tolist() == codes
    assert listing.labels.dtype == np.int64
    parts = ["train"] * TRAIN + ["validation"] * VALIDATION + ["automatic"] * TRAIN * automatic
    assert listing.part.tolist() == parts
    assert all((tmp_path / path).is_file() for path in listing.path)
    assert len(set(listing.group.tolist())) == len(listing)
    assert (listing.frame == -1).all()
    assert listing.box.shape == (len(listing), 4)
    cropped = listing.part == "automatic" if release[0] == "2" else np.ones(len(listing), bool)
    assert np.isnan(listing.box[~cropped]).all()
    assert (listing.box[cropped] == [1, 2, 6, 5]).all()
    assert check(listing, "pictures missing, training").ok


def test_only_the_parts_asked_for_are_read_and_checked(tmp_path: Path) -> None:
    root = miniature.write_automatic(miniature.write_csv(tmp_path))
    (root / LISTS / "training.csv").write_bytes(b"\0")
    listing = read(root, ("automatic", "validation"))
    assert listing.part.tolist() == ["automatic"] * TRAIN + ["validation"] * VALIDATION
    assert not any("training" in one.what for one in listing.checks)
    assert "no automatic" in refusal(lambda: read(miniature.write_2021(tmp_path / "b"), ["automatic"]))
    assert "unknown part of AffectNet 'test'" in refusal(lambda: read(root, ["test"]))


def test_a_part_that_is_not_there_is_reported(tmp_path: Path) -> None:
    assert check(read(miniature.write_automatic(tmp_path)), "training part") == Check(
        "training part", "there", "missing"
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_files_on_disk_never_matters(tmp_path: Path, seed: int) -> None:
    for write in (miniature.write_csv, miniature.write_2021):
        first = write(tmp_path / f"{write.__name__} a")
        files = [path.relative_to(first) for path in sorted(first.rglob("*")) if path.is_file()]
        second = tmp_path / f"{write.__name__} b"
        for path in random.Random(seed).sample(files, len(files)):
            (second / path).parent.mkdir(parents=True, exist_ok=True)
            (second / path).write_bytes((first / path).read_bytes())
        one, other = read(first), read(second)
        for name in ("path", "labels", "part", "box"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert one.checks == other.checks


def test_columns_go_by_name_with_quotes_and_crlf(tmp_path: Path) -> None:
    plain = read(miniature.write_csv(tmp_path / "a"))
    root = miniature.write_csv(tmp_path / "b")
    for name in ("training", "validation"):
        path = root / LISTS / f"{name}.csv"
        cells = [line.split(",") for line in path.read_text().splitlines()]
        turned = [",".join(f'"{cell}"' for cell in reversed(line)) for line in cells]
        path.write_bytes(("\r\n".join(turned) + "\r\n").encode())
    assert read(root).path.tolist() == plain.path.tolist()
    assert read(root).labels.tolist() == plain.labels.tolist()


def test_the_listed_extension_wins_where_two_pictures_differ_in_it_only(tmp_path: Path) -> None:
    root = miniature.write_csv(tmp_path)
    for index in (0, 2):
        picture = root / IMAGES / miniature.name("training", index)
        picture.with_suffix(".aaa.txt").touch()
        for suffix in (".bmp", ".png"):
            picture.with_suffix(suffix).touch()
    assert [read(root).path[index].rpartition(".")[2] for index in (0, 2)] == ["jpg", "bmp"]


def test_face_boxes_are_cut_at_the_edge_or_left_out(tmp_path: Path) -> None:
    boxes = [[1, 2, 6, 5], [-3, 2, 10, 5], [1, -2, 4, 2], [1, 2, -6, 5], [np.nan, 2, 6, 5], [1, 2, 0, 5]]
    expected = [[1, 2, 6, 5], [0, 2, 7, 5], *[[np.nan] * 4] * 4]
    np.testing.assert_array_equal(usable_boxes(np.array(boxes)), expected)
    root = miniature.write_csv(tmp_path)
    for number, box in ((2, ",,,"), (3, "-3,2,10,5"), (4, "1,2,-6,5")):
        change_line(root / LISTS / "training.csv", number, lambda line, box=box: line.replace("1,2,6,5", box))
    np.testing.assert_array_equal(read(root).box[:3], [[np.nan] * 4, [0, 2, 7, 5], [np.nan] * 4])
    (root / "fernoise.toml").write_text('box = "whole"')
    assert np.isnan(read(root).box).all()


def test_choices_name_the_release_and_its_places(tmp_path: Path) -> None:
    root = miniature.write_2021(miniature.write_csv(tmp_path))
    assert "both releases are there; write release" in refusal(lambda: read(root))
    choices = root / "fernoise.toml"
    for release, layout in (("csv", "CSV release"), ("2021", "2021 release")):
        choices.write_text(f"release = '{release}'")
        assert read(root).layout == layout
    miniature.write_csv(root, lists="other_lists", images="other_images")
    choices.write_text("release = 'csv'")
    assert f"more than one training.csv: {LISTS}/training.csv, other_lists" in refusal(lambda: read(root))
    choices.write_text(
        "release = 'csv'\ntraining = 'other_lists/training.csv'\nvalidation = 'other_lists/validation.csv'\n"
        "manual_images = 'other_images'\n"
    )
    assert read(root).path[0].startswith("other_images/")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("release = '2020'", "must be one of 'csv', '2021'"),
        ("box = 'none'", "must be one of 'face', 'whole'"),
        ("training = '../training.csv'", "is not in"),
        ("training = 'nowhere.csv'", "is not in"),
        ("manual_images = '/tmp'", "is not in"),
        ("train = 'x'", "unknown choice"),
    ],
)
def test_choices_that_cannot_be_are_refused(tmp_path: Path, text: str, says: str) -> None:
    (miniature.write_csv(tmp_path) / "fernoise.toml").write_text(text)
    assert says in refusal(lambda: read(tmp_path))


# --- what a copy lacks


def test_a_subset_is_partial_and_says_by_how_much(tmp_path: Path) -> None:
    listing = read(miniature.write_csv(tmp_path))
    assert listing.partial
    assert check(listing, "rows of training.csv") == Check("rows of training.csv", 414_799, TRAIN + 3)
    assert check(listing, "rows of validation.csv") == Check("rows of validation.csv", 5_500, VALIDATION + 3)
    assert check(listing, "training rows") == Check("training rows", 287_651, TRAIN)
    assert check(listing, "class happiness, training").expected == 134_415
    assert check(listing, "validation rows") == Check("validation rows", 4_000, VALIDATION)
    assert check(listing, "order of classes, training").found == "too few rows to tell"


@pytest.mark.parametrize("contempt", [500, 499])
def test_the_published_validation_part_is_complete(tmp_path: Path, contempt: int) -> None:
    codes = miniature.codes(500, 0)
    codes = codes[:-8] + [code for code in codes[-8:] if code != 7 or contempt == 500]
    folder = tmp_path / "val_set"
    for name in ("images", "annotations"):
        (folder / name).mkdir(parents=True)
    for index, code in enumerate(codes):
        (folder / "images" / f"{index}.jpg").touch()
        np.save(folder / "annotations" / f"{index}_exp.npy", code)
        if index < 200:
            for kind, value in zip(("val", "aro"), miniature.AFFECT[code], strict=True):
                np.save(folder / "annotations" / f"{index}_{kind}.npy", str(value))
    assert not read(tmp_path, ["validation"]).partial


def test_rows_without_a_picture_are_left_out_and_counted(tmp_path: Path) -> None:
    root = miniature.write_csv(tmp_path)
    (root / IMAGES / miniature.name("training", 1)).unlink()
    link = root / IMAGES / miniature.name("training", 4)
    link.unlink()
    link.symlink_to(tmp_path / "nowhere.tif")
    listing = read(root)
    assert (listing.part == "train").sum() == TRAIN - 2
    found = check(listing, "pictures missing, training")
    assert (found.found, found.where) == (2, f"{LISTS}/training.csv, line 3: {miniature.name('training', 1)}")


def test_pictures_and_annotations_of_2021_without_each_other_are_counted(tmp_path: Path) -> None:
    root = miniature.write_2021(tmp_path)
    (root / "train_set/images/8.jpg").unlink()
    (root / "train_set/annotations/10_exp.npy").unlink()
    (root / "train_set/annotations/._9_exp.npy").touch()
    listing = read(root)
    assert (listing.part == "train").sum() == TRAIN - 2
    assert check(listing, "pictures missing, training").where == "train_set/annotations/8_exp.npy"
    assert check(listing, "pictures without a label, training").where == "train_set/images/10.jpg"


def test_boxes_and_valences_without_a_number_are_none(tmp_path: Path) -> None:
    table = miniature.write_csv(tmp_path) / LISTS / "training.csv"
    table.write_text(table.read_text().replace(",1,2,6,5,", ",NULL,NULL,NULL,NULL,", 3))
    listing = read(tmp_path)
    assert np.isnan(listing.box[:4]).all(axis=1).tolist() == [True, True, True, False]
    assert (listing.part == "train").sum() == TRAIN


def test_one_faulty_training_row_is_left_out_and_reported(tmp_path: Path) -> None:
    root = miniature.write_csv(tmp_path)
    table = change_line(root / LISTS / "training.csv", 5, lambda line: line.replace(",1,2,6,5,", ",1,2,6,"))
    listing = read(root)
    assert (listing.part == "train").sum() == TRAIN - 1
    assert check(listing, "faulty row left out, training").where == f"{LISTS}/training.csv, line 5"
    change_line(table, 7, lambda line: line.replace(",1,2,6,5,", ",1,x,6,5,"))
    message = refusal(lambda: read(root))
    assert f"{table}, line 7: face_y 'x' is no number (so is line 5" in message


# --- refusals


def test_an_absent_data_set_says_where_to_ask(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "nowhere"):
        message = refusal(lambda root=root: read(root))
        assert "mohammadmahoor.com/affectnet" in message
        assert "--synthetic" in message
    root = miniature.write_csv(tmp_path / "tables", images="Manually_Annotated")
    for path in sorted((root / "Manually_Annotated").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    assert "27 rows in Manually_Annotated_file_lists/training.csv, none of classes" in refusal(lambda: read(root))


@pytest.mark.parametrize(
    ("new", "says"),
    [
        (lambda line: line.replace(";", "\0", 1), "byte 0x00"),
        (lambda line: "ä" + line, "plain ASCII"),
        (lambda line: "", "an empty line between rows"),
        (lambda line: "../" + line.partition("/")[2], "is no picture as folder/file"),
        (lambda line: "/data/" + line, "is no picture as folder/file"),
        (lambda line: "C:\\data\\" + line, "is no picture as folder/file"),
        (lambda line: line.partition("/")[2], "is no picture as folder/file"),
        (lambda line: ",".join([*line.split(",")[:-3], "11", "0", "0"]), "expression 11, not 0 to 10"),
        (lambda line: ",".join([*line.split(",")[:-3], "-1", "0", "0"]), "expression -1, not 0 to 10"),
        (lambda line: ",".join([*line.split(",")[:-3], "1.5", "0", "0"]), "expression 1.5, not 0 to 10"),
        (lambda line: ",".join([*line.split(",")[:-3], "happy", "0", "0"]), "expression 'happy' is no number"),
        (lambda line: ",".join([*line.split(",")[:-3], "", "0", "0"]), "expression '' is no number"),
        (lambda line: ",".join([*line.split(",")[:-1], "calm"]), "arousal 'calm' is no number"),
        (lambda line: line + ",1", "10 fields instead of 9"),
        (lambda line: miniature.line("validation", 0, 0), "is listed here and in line 2 with the same face box"),
    ],
)
def test_damaged_rows_are_refused_by_file_line_and_value(tmp_path: Path, new: Callable[[str], str], says: str) -> None:
    root = miniature.write_csv(tmp_path)
    table = change_line(root / LISTS / "validation.csv", 4, new)
    message = refusal(lambda: read(root))
    assert f"{table}, line 4: " in message
    assert says in message


def test_a_second_face_in_a_picture_is_a_row_of_its_own(tmp_path: Path) -> None:
    root = miniature.write_csv(tmp_path)
    change_line(root / LISTS / "validation.csv", 4, lambda line: miniature.line("validation", 0, 6, box="9,2,6,5"))
    listing = read(root)
    assert listing.path[TRAIN] == listing.path[TRAIN + 2]


def test_cut_and_empty_tables_and_missing_columns_are_refused(tmp_path: Path) -> None:
    root = miniature.write_csv(tmp_path)
    table = root / LISTS / "training.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[:-40])
    assert "truncated" in refusal(lambda: read(root))
    table.write_bytes(b"")
    assert "the file is empty" in refusal(lambda: read(root))
    table.write_bytes(whole.replace(b"expression", b"emotion", 1))
    assert "no column expression in the header" in refusal(lambda: read(root))


def test_a_validation_picture_among_the_training_pictures_is_refused(tmp_path: Path) -> None:
    root = miniature.write_csv(tmp_path)
    change_line(root / LISTS / "training.csv", 4, lambda line: miniature.line("validation", 0, 0))
    assert "1 validation pictures are also in" in refusal(lambda: read(root))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no single number"),
        (b"\x93NUMPY", "no single number"),
        (b"5\n", "no single number"),
        (
            b"\x93NUMPY\x01\x00\x38\x00{'descr': '<i8', 'fortran_order': False, 'shape': ()}  { \n" + bytes(8),
            "no single number",
        ),
        (np.array("happy"), "no single number (could not convert"),
        (np.array([1, 2]), "no single number (holds int64 of shape (2,)"),
        (np.array({"a": 1}, dtype=object), "no single number (holds object"),
        (np.array(np.nan), "no single number (nan)"),
    ],
)
def test_damaged_annotations_are_counted_by_file_and_never_unpickled(
    tmp_path: Path, content: bytes | np.ndarray, says: str
) -> None:
    path = miniature.write_2021(tmp_path) / "val_set" / "annotations" / "9_exp.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    listing = read(tmp_path)
    found = check(listing, "annotations that cannot be read, validation")
    assert found.found == 1
    assert found.where.startswith(f"{path}: {says}")
    assert not any("val_set/images/9." in name for name in listing.path)
    assert len(listing) == TRAIN + VALIDATION - 1
    for other in path.parent.glob("*_exp.npy"):
        other.write_bytes(path.read_bytes())
    assert says in refusal(lambda: read(tmp_path))


@pytest.mark.parametrize("code", [11, "1.5"])
def test_an_unknown_code_is_refused(tmp_path: Path, code: int | str) -> None:
    path = miniature.write_2021(tmp_path) / "val_set/annotations/9_exp.npy"
    np.save(path, np.array(code))
    assert refusal(lambda: read(tmp_path)).startswith(f"{path}: expression {code}, not 0 to 10")


@pytest.mark.parametrize("content", [b"", None])
def test_a_damaged_valence_which_only_tells_the_order_of_classes_spoils_nothing(
    tmp_path: Path, content: bytes | None
) -> None:
    path = miniature.write_2021(tmp_path) / "train_set" / "annotations" / "9_val.npy"
    path.write_bytes(path.read_bytes()[:-1] if content is None else content)
    assert len(read(tmp_path)) == TRAIN + VALIDATION
