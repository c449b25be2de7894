"""OpenFace 2.x output as auxiliary AUs: every layout, every join, what is counted, what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers.listing import Check, Listing
from fernoise_bench.protocols.readers.openface import Auxiliary, read

from ..miniatures import openface as mini

# Not in sorted order.
NAMED = ("train_00002", "train_00010", "test_0001", "train_00001", "test_0002")
PATHS = [f"basic/Image/aligned/{name}_aligned.jpg" for name in NAMED]
LABELS = [mini.labels(number) for number in range(len(PATHS))]
UNKNOWN = [0] * len(mini.AUS)


def listing(paths: list[str] = PATHS, dataset: str = "rafdb") -> Listing:
    count = len(paths)
    return Listing(
        dataset=dataset,
        layout="test",
        root=Path("data") / dataset,
        names=("surprise",),
        path=np.array(paths),
        frame=np.full(count, -1, np.int64),
        box=np.full((count, 4), np.nan),
        labels=np.zeros(count, np.int64),
        group=np.array(paths),
        part=np.full(count, "train"),
        checks=(),
    )


def check(auxiliary: Auxiliary, what: str) -> Check:
    (found,) = (check for check in auxiliary.checks if check.what == what)
    return found


def refusal(root: Path, of: Listing | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        read(root, of or listing())
    message = str(caught.value)
    assert "\n" not in message
    return message


def all_ok(auxiliary: Auxiliary) -> bool:
    return all(check.ok for check in auxiliary.checks)


# --- layouts


@pytest.mark.parametrize(
    ("write", "layout"),
    [
        (mini.write_named, "rafdb.csv, by file name, FaceLandmarkImg"),
        (mini.write_sequence, "rafdb.csv, by frame number, FeatureExtraction 2.0 or older"),
        (mini.write_folder, "rafdb/, one file per picture, FaceLandmarkImg"),
    ],
)
def test_reads_every_layout(tmp_path: Path, write: Callable[[Path, str, list[str]], Path], layout: str) -> None:
    found = read(write(tmp_path, "rafdb", PATHS), listing())
    assert found.names == tuple(f"AU{au}" for au in mini.AUS)
    assert found.labels.dtype == np.int8
    assert found.labels.tolist() == LABELS
    assert found.layout == layout
    assert all_ok(found)


@pytest.mark.parametrize("column", ["file", "filename", "file_name", "name", "image", "image_name", "img", "path"])
@pytest.mark.parametrize("comma", [",", ", "])
def test_names_of_the_file_column_and_blanks(tmp_path: Path, column: str, comma: str) -> None:
    assert read(mini.write_named(tmp_path, "rafdb", PATHS, column, comma), listing()).labels.tolist() == LABELS


@pytest.mark.parametrize(
    "written",
    [
        lambda path: Path(path).name,
        lambda path: Path(path).stem,
        lambda path: Path(path).with_suffix(".PNG").name,
        lambda path: f"/home/someone/{path}",
        lambda path: "C:\\data\\" + path.replace("/", "\\"),
        lambda path: f"../../elsewhere/{Path(path).name}",
        lambda path: f"Image/{Path(path).name}",
        lambda path: f'"{path}"',
    ],
)
def test_file_names_of_other_machines(tmp_path: Path, written: Callable[[str], str]) -> None:
    mini.write_named(tmp_path, "rafdb", [written(path) for path in PATHS])
    assert read(tmp_path, listing()).labels.tolist() == LABELS


def test_dots_in_names_are_no_extension(tmp_path: Path) -> None:
    paths = ["a.1.jpg", "a.2.jpg", "a.jpg"]
    mini.write_named(tmp_path, "rafdb", ["a.1", "a.2.png", "a"])
    assert read(tmp_path, listing(paths)).labels.tolist() == LABELS[:3]


@pytest.mark.parametrize("write", [mini.write_named, mini.write_folder])
def test_equal_names_in_two_folders_are_told_apart(
    tmp_path: Path, write: Callable[[Path, str, list[str]], Path]
) -> None:
    paths = ["train_set/images/0.jpg", "train_set/images/1.jpg", "val_set/images/0.jpg", "val_set/images/1.jpg"]
    found = read(write(tmp_path, "affectnet", paths), listing(paths, "affectnet"))
    assert found.labels.tolist() == LABELS[:4]


def test_a_row_of_another_folder_of_the_data_set_is_not_of_the_picture_of_equal_name(tmp_path: Path) -> None:
    """As where a picture was left out of the pack: its row must not fall to the other folder's picture."""
    paths = ["train_set/images/0.jpg", "train_set/images/1.jpg", "val_set/images/0.jpg"]
    written = ["C:\\data\\train_set\\images\\0.jpg", "val_set/images/1.jpg", "elsewhere/val_set/images/0.jpg"]
    found = read(mini.write_named(tmp_path, "affectnet", written), listing(paths, "affectnet"))
    assert found.labels.tolist() == [LABELS[0], UNKNOWN, LABELS[2]]
    assert check(found, "rows of pictures that are not listed").found == 1


def test_a_picture_that_is_listed_twice_is_unknown_and_the_others_are_not(tmp_path: Path) -> None:
    """Two faces in one picture of AffectNet: nobody knows which of them OpenFace found."""
    found = read(
        mini.write_named(tmp_path, "rafdb", ["a/1.jpg", "a/2.jpg"]), listing(["a/1.jpg", "a/2.jpg", "a/1.jpg"])
    )
    assert found.labels.tolist() == [UNKNOWN, LABELS[1], UNKNOWN]
    without = check(found, "pictures with a row")
    assert (without.found, without.where) == (1, "row 1, which has no name of its own")


def test_equal_names_without_folders_are_refused(tmp_path: Path) -> None:
    paths = ["train_set/images/0.jpg", "val_set/images/0.jpg"]
    mini.write_named(tmp_path, "affectnet", ["0.jpg", "0.jpg"])
    message = refusal(tmp_path, listing(paths, "affectnet"))
    assert "affectnet.csv, line 2: several pictures of affectnet are called '0.jpg'" in message


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(range(len(PATHS))))
def test_neither_order_matters_where_rows_have_names(tmp_path: Path, order: list[int]) -> None:
    rows = [mini.image_row(number, PATHS[number]) for number in order]
    mini.write(tmp_path / "rafdb.csv", [mini.image_header("file"), *rows])
    assert read(tmp_path, listing()).labels.tolist() == LABELS
    backwards = read(tmp_path, listing([PATHS[number] for number in order]))
    assert backwards.labels.tolist() == [LABELS[number] for number in order]


def test_frames_may_be_in_any_order(tmp_path: Path) -> None:
    path = mini.write_sequence(tmp_path, "rafdb", PATHS) / "rafdb.csv"
    header, *rows = path.read_text().splitlines(keepends=True)
    path.write_text(header + "".join(reversed(rows)))
    assert read(tmp_path, listing()).labels.tolist() == LABELS


def test_without_file_names_the_order_of_unpadded_numbers_is_asked_for(tmp_path: Path) -> None:
    """OpenFace sorts names as text: 1, 10, 2. Frames 2 and 3 would have each other's labels if it had not."""
    mini.write_sequence(tmp_path, "rafdb", PATHS)
    unpadded = ["faces/1.jpg", "faces/2.jpg", "faces/10.jpg", "faces/11.jpg", "faces/30.jpg"]
    with pytest.raises(BadInput) as caught:
        read(tmp_path, listing(unpadded))
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'rafdb.csv'}: rows without file names, and frame 2 is 'faces/10.jpg' where")
    assert "sorted as text, which OpenFace does, or 'faces/2.jpg' by number" in message
    assert f'write order = "text" (or "number") into {tmp_path / "fernoise.toml"}' in message
    (tmp_path / "fernoise.toml").write_text('order = "number"\n')
    frames = [LABELS[PATHS.index(path)] for path in sorted(PATHS)]
    assert read(tmp_path, listing(unpadded)).labels.tolist() == frames
    (tmp_path / "fernoise.toml").write_text('order = "text"\n')
    as_text = [frames[at] for at in (0, 3, 1, 2, 4)]  # frame 2 is 10.jpg, frame 3 11.jpg, frame 4 2.jpg
    assert read(tmp_path, listing(unpadded)).labels.tolist() == as_text


def test_crlf_and_values_without_decimals(tmp_path: Path) -> None:
    rows = [[cell.removesuffix(".0") for cell in mini.image_row(n, PATHS[n])] for n in range(len(PATHS))]
    mini.write(tmp_path / "rafdb.csv", [mini.image_header("file"), *rows], end="\r\n")
    assert read(tmp_path, listing()).labels.tolist() == LABELS


# --- what is unknown, and counted


def test_frames_without_success_are_unknown(tmp_path: Path) -> None:
    found = read(mini.write_sequence(tmp_path, "rafdb", PATHS, failed=[1, 4]), listing())
    assert found.labels.tolist() == [LABELS[0], UNKNOWN, LABELS[2], LABELS[3], UNKNOWN]
    failed = check(found, "rows with success 0 or confidence 0")
    assert (failed.expected, failed.found, failed.where) == (0, 2, f"{tmp_path / 'rafdb.csv'}, line 3")
    assert check(found, "pictures with a row").ok


def test_confidence_0_is_unknown(tmp_path: Path) -> None:
    rows = [mini.image_row(number, path, confidence=number / 10) for number, path in enumerate(PATHS)]
    mini.write(tmp_path / "rafdb.csv", [mini.image_header("file"), *rows])
    assert read(tmp_path, listing()).labels.tolist() == [UNKNOWN, *LABELS[1:]]
    (tmp_path / "fernoise.toml").write_text("confidence = 0.2\n")
    assert read(tmp_path, listing()).labels.tolist() == [UNKNOWN, UNKNOWN, UNKNOWN, *LABELS[3:]]


@pytest.mark.parametrize("write", [mini.write_named, mini.write_folder])
def test_pictures_without_a_row_are_unknown(tmp_path: Path, write: Callable[[Path, str, list[str]], Path]) -> None:
    found = read(write(tmp_path, "rafdb", PATHS[:3]), listing())
    assert found.labels.tolist() == [*LABELS[:3], UNKNOWN, UNKNOWN]
    rows = check(found, "pictures with a row")
    assert (rows.expected, rows.found, rows.where) == (5, 3, PATHS[3])


def test_rows_of_other_pictures_are_counted(tmp_path: Path) -> None:
    found = read(mini.write_named(tmp_path, "rafdb", PATHS), listing(PATHS[:4]))
    assert found.labels.tolist() == LABELS[:4]
    strangers = check(found, "rows of pictures that are not listed")
    assert (strangers.found, strangers.where) == (1, f"{tmp_path / 'rafdb.csv'}, line 6")


def test_of_several_faces_the_surest_counts(tmp_path: Path) -> None:
    rows = [
        mini.image_row(7, PATHS[0], face=0, confidence=0.3),
        mini.image_row(0, PATHS[0], face=1, confidence=0.9),
        mini.image_row(1, PATHS[1], face=0, confidence=0.9),
        mini.image_row(7, PATHS[1], face=1, confidence=0.9),
    ]
    mini.write(tmp_path / "rafdb.csv", [mini.image_header("file"), *rows])
    found = read(tmp_path, listing(PATHS[:2]))
    assert found.labels.tolist() == LABELS[:2]
    several = check(found, "pictures with several faces")
    assert (several.found, several.where) == (2, f"{tmp_path / 'rafdb.csv'}, line 3")


def test_several_faces_a_frame(tmp_path: Path) -> None:
    rows = [mini.sequence_row(1, 0), mini.sequence_row(1, mini.FAILED, face=1), mini.sequence_row(2, 1)]
    mini.write(tmp_path / "rafdb.csv", [mini.sequence_header(), *rows])
    assert read(tmp_path, listing(["a.jpg", "b.jpg"])).labels.tolist() == LABELS[:2]


def test_columns_are_counted(tmp_path: Path) -> None:
    header = mini.image_header("file")
    keep = [at for at, name in enumerate(header) if not name.startswith("AU") or name.endswith("_c")]
    rows = [mini.image_row(number, path) for number, path in enumerate(PATHS)]
    mini.write(tmp_path / "rafdb.csv", [[row[at] for at in keep] for row in (header, *rows)])
    found = read(tmp_path, listing())
    assert found.labels.tolist() == LABELS
    columns = check(found, "intensity + presence columns")
    assert (columns.expected, columns.found) == ("17 + 18", "0 + 18")


# --- choices


def test_intensities_can_be_chosen(tmp_path: Path) -> None:
    mini.write_named(tmp_path, "rafdb", PATHS)
    for line, threshold in (("", 1.0), ("threshold = 2.5", 2.5)):
        (tmp_path / "fernoise.toml").write_text(f'labels = "intensity"\n{line}\n')
        found = read(tmp_path, listing()).labels
        for number, row in enumerate(found.tolist()):
            wanted = dict.fromkeys(mini.AUS, 0)
            for au, value in zip(mini.INTENSITIES, mini.intensities(number), strict=True):
                wanted[au] = 1 if float(value) >= threshold else -1
            assert row == list(wanted.values())


def test_the_file_column_can_be_chosen(tmp_path: Path) -> None:
    mini.write_named(tmp_path, "rafdb", PATHS, column="Picture of")
    (tmp_path / "fernoise.toml").write_text('file_column = "Picture of"\n')
    assert read(tmp_path, listing()).labels.tolist() == LABELS
    (tmp_path / "fernoise.toml").write_text('file_column = "Photo"\n')
    assert "line 1: no column Photo in the header" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ('labels = "both"', "labels = 'both' must be one of 'presence', 'intensity'"),
        ("threshold = 1", "threshold = 1 must be of type float"),
        ("au28 = true", "unknown choice 'au28'"),
    ],
)
def test_choices_are_checked(tmp_path: Path, choice: str, message: str) -> None:
    (mini.write_named(tmp_path, "rafdb", PATHS) / "fernoise.toml").write_text(choice)
    assert message in refusal(tmp_path)
