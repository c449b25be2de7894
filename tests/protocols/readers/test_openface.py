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

# Not in sorted order, and sorted letter by letter: train_10 comes before train_2.
PATHS = [f"basic/Image/aligned/{name}_aligned.jpg" for name in ("train_2", "train_10", "test_1", "train_1", "test_2")]
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
        (mini.write_unnamed, "rafdb.csv, in file-name order, FaceLandmarkImg"),
        (mini.write_sequence, "rafdb.csv, in file-name order, FeatureExtraction 2.0 or older"),
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


# --- errors


def test_no_output_says_where_openface_is(tmp_path: Path) -> None:
    (tmp_path / "root" / "rafdb").mkdir(parents=True)
    for root in (tmp_path, tmp_path / "root", tmp_path / "nowhere"):
        message = refusal(root)
        assert message.startswith(f"openface: nothing usable in {root} (no rafdb.csv, no folder rafdb")
        assert "github.com/TadasBaltrusaitis/OpenFace" in message


@pytest.mark.parametrize("write", [mini.write_unnamed, mini.write_sequence])
@pytest.mark.parametrize("count", [4, 6])
def test_other_lengths_do_not_line_up(
    tmp_path: Path, write: Callable[[Path, str, list[str]], Path], count: int
) -> None:
    write(tmp_path, "rafdb", [*PATHS, "z.jpg"][:count])
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


def test_several_faces_without_names_are_refused(tmp_path: Path) -> None:
    rows = [mini.image_row(0), mini.image_row(1, face=1), mini.image_row(2)]
    mini.write(tmp_path / "rafdb.csv", [mini.image_header(), *rows])
    assert "rafdb.csv, line 3: face '1': with several faces per picture" in refusal(tmp_path, listing(["a", "b", "c"]))


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


def changed(column: str, value: str) -> list[list[str]]:
    """Named rows with one cell of the second picture, on line 3, changed."""
    header = mini.image_header("file", "success")
    rows = [mini.image_row(number, path, "1") for number, path in enumerate(PATHS)]
    rows[1][header.index(column)] = value
    return [header, *rows]


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
        (lambda text: text[:-20], "line 6: the file looks truncated, it stops within this line"),
        (lambda text: text.replace(b"0.5,", b"0.5,0.5,", 1), "line 2: 44 fields instead of 43"),
        (lambda text: text.replace(b"train_10", b"train\0", 1), "line 3: byte 0x00, so this is no plain ASCII text"),
        (lambda text: text.decode().encode("utf-16"), "line 1: byte 0xff, so this is no plain ASCII text"),
        (lambda text: text.replace(b"\n", b"\n\n", 2), "line 2: an empty line between rows"),
        (lambda text: text.splitlines(keepends=True)[0], "0 pictures here, 5 in rafdb"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    path = mini.write_named(tmp_path, "rafdb", PATHS) / "rafdb.csv"
    path.write_bytes(damage(path.read_bytes()))
    assert message in refusal(tmp_path)


def test_a_damaged_file_among_many_is_named(tmp_path: Path) -> None:
    mini.write_folder(tmp_path, "rafdb", PATHS)
    path = tmp_path / "rafdb" / Path(PATHS[2]).with_suffix(".csv")
    path.write_bytes(b"")
    assert refusal(tmp_path).startswith(f"{path}: the file is empty")
