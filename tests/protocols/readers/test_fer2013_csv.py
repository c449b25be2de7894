"""fer2013.csv, icml_face_data.csv and fer2013new.csv: what is read, and what is refused with file, line and remedy."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers import fer2013
from fernoise_bench.protocols.readers.fer2013 import FerPlus, read

USAGES = ["Training", "Training", "Training", "PublicTest", "PrivateTest"]
LABELS = [0, 6, 3, 2, 1]
IMAGES = np.random.default_rng(0).integers(0, 256, (5, 48, 48), dtype=np.uint8)
VOTES = [
    [4, 0, 0, 1, 3, 2, 0, 0, 0, 0],
    [10, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 9, 0, 0, 0, 0, 0, 0, 0, 0],
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
    [0, 0, 5, 0, 0, 0, 5, 0, 0, 0],
]
NAMES = ["fer0000000.png", "fer0000001.png", "fer0000002.png", "", "fer0000003.png"]
VOTES_HEADER = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF"


def pixels(image: np.ndarray) -> str:
    return " ".join(map(str, image.ravel().tolist()))


def faces_lines() -> list[str]:
    rows = zip(LABELS, IMAGES, USAGES, strict=True)
    return ["emotion,pixels,Usage", *(f"{label},{pixels(image)},{usage}" for label, image, usage in rows)]


def votes_lines() -> list[str]:
    rows = zip(USAGES, NAMES, VOTES, strict=True)
    return [VOTES_HEADER, *(",".join([usage, name, *map(str, votes)]) for usage, name, votes in rows)]


def write(
    root: Path,
    faces: list[str] | None = None,
    votes: list[str] | None = None,
    name: str = "fer2013.csv",
    end: str = "\n",
) -> Path:
    (root / name).write_bytes("".join(line + end for line in faces or faces_lines()).encode())
    (root / "fer2013new.csv").write_bytes("".join(line + end for line in votes or votes_lines()).encode())
    return root


def check_content(data: FerPlus) -> None:
    assert np.array_equal(data.images, IMAGES)
    assert data.images.dtype == np.uint8
    assert data.fer2013.tolist() == LABELS
    assert data.fer2013.dtype == np.int64
    assert data.votes.tolist() == VOTES
    assert data.votes.dtype == np.int64
    assert data.usage.tolist() == [0, 0, 0, 1, 2]
    assert data.usage.dtype == np.int8
    assert data.names.tolist() == NAMES
    assert data.row.tolist() == [0, 1, 2, 3, 4]


def refusal(root: Path, partial: bool = True) -> str:
    with pytest.raises(BadInput) as caught:
        read(root, partial=partial)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_reads_fer2013_csv(tmp_path: Path) -> None:
    data = read(write(tmp_path), partial=True)
    check_content(data)
    assert data.layout == "fer2013.csv"


def test_reads_icml_face_data_with_blanks_in_its_header(tmp_path: Path) -> None:
    rows = zip(LABELS, IMAGES, USAGES, strict=True)
    lines = ["emotion, Usage, pixels", *(f"{label},{usage},{pixels(image)}" for label, image, usage in rows)]
    data = read(write(tmp_path, lines, name="icml_face_data.csv"), partial=True)
    check_content(data)
    assert data.layout == "icml_face_data.csv"


def test_line_ends_quotes_byte_order_mark_and_final_line_do_not_matter(tmp_path: Path) -> None:
    rows = zip(LABELS, IMAGES, USAGES, strict=True)
    lines = ['"emotion","pixels","Usage"', *(f'"{a}","{pixels(b)}","{c}"' for a, b, c in rows)]
    write(tmp_path, lines, end="\r\n")
    path = tmp_path / "fer2013.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().removesuffix(b"\r\n"))
    check_content(read(tmp_path, partial=True))
    path.write_bytes(path.read_bytes() + b"\r\n\r\n\n")
    check_content(read(tmp_path, partial=True))


def test_runs_of_blanks_between_pixels_are_accepted(tmp_path: Path) -> None:
    lines = faces_lines()
    lines[3] = lines[3].replace(" ", "  ", 7)
    check_content(read(write(tmp_path, lines), partial=True))


def test_more_rows_than_one_block_are_read_in_order(tmp_path: Path) -> None:
    count = 150
    images = np.random.default_rng(1).integers(0, 256, (count, 48, 48), dtype=np.uint8)
    faces = ["emotion,pixels,Usage", *(f"{n % 7},{pixels(image)},Training" for n, image in enumerate(images))]
    votes = [VOTES_HEADER, *(f"Training,fer{n:07}.png,0,0,0,0,0,0,0,0,{n % 11},0" for n in range(count))]
    data = read(write(tmp_path, faces, votes), partial=True)
    assert np.array_equal(data.images, images)
    assert data.fer2013.tolist() == [n % 7 for n in range(count)]
    assert data.votes[:, 8].tolist() == [n % 11 for n in range(count)]


def agreeing(count: int, wrong: int) -> tuple[list[str], list[str]]:
    """Both tables of a number of faces, all with a majority; the label disagrees with it in every `wrong`-th row."""
    codes = [6, 3, 5, 4, 0, 1, 2]  # FER2013's code of each of FER+'s first seven classes
    image = pixels(IMAGES[0])
    faces, votes = ["emotion,pixels,Usage"], [VOTES_HEADER]
    for n in range(count):
        own = n * n % 7
        faces.append(f"{codes[(own + (n % wrong == 0)) % 7]},{image},Training")
        votes.append(f"Training,fer{n:07}.png,{','.join('9' if c == own else '0' for c in range(10))}")
    return faces, votes


@pytest.mark.parametrize("count", [60, 1200])
def test_votes_of_other_faces_are_refused_by_the_agreement_with_the_labels(tmp_path: Path, count: int) -> None:
    faces, votes = agreeing(count, 3)
    assert len(read(write(tmp_path, faces, votes), partial=True).row) == count
    by_emotion = [faces[0], *sorted(faces[1:], key=lambda line: line[0])]
    message = refusal(write(tmp_path, by_emotion, votes))
    assert re.search(r"fer2013\.csv, lines 2 to \d+: \d+% of the labels agree with FER\+'s majority", message)
    assert "both must be in the published order" in message


def test_a_shifted_block_is_found_between_others(tmp_path: Path) -> None:
    faces, votes = agreeing(1500, 3)
    faces[501:1001] = [*faces[502:1001], faces[501]]
    assert "fer2013.csv, lines 502 to 1,001: " in refusal(write(tmp_path, faces, votes))


def test_a_few_labels_that_disagree_prove_nothing(tmp_path: Path) -> None:
    faces, votes = agreeing(6, 1)
    assert len(read(write(tmp_path, faces, votes), partial=True).row) == 6


def test_the_tables_are_preferred_to_the_folders(tmp_path: Path) -> None:
    (tmp_path / "FER2013Train").mkdir()
    assert read(write(tmp_path), partial=True).layout == "fer2013.csv"


def test_nothing_there_names_the_data_the_place_the_source_and_the_way_without(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for root in (tmp_path / "empty", tmp_path / "absent"):
        message = refusal(root)
        for part in ("FER2013", str(root), "fer2013.csv", "Kaggle", "Facial Expression Recognition"):
            assert part in message
        assert "github.com/microsoft/FERPlus" in message
        assert "--synthetic" in message


def test_votes_missing(tmp_path: Path) -> None:
    root = tmp_path / "ferplus"
    root.mkdir()
    write(root)
    (root / "fer2013new.csv").unlink()
    message = refusal(root)
    assert "fer2013new.csv" in message
    assert "github.com/microsoft/FERPlus" in message
    assert "--synthetic" in message


def edit(line: int, old: str, new: str, count: int = 1) -> Callable[[list[str]], None]:
    """Replaces text in one line, 1-based."""

    def apply(lines: list[str]) -> None:
        assert old in lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, count)

    return apply


def set_pixels(line: int, text: str) -> Callable[[list[str]], None]:
    def apply(lines: list[str]) -> None:
        label, _, usage = lines[line - 1].split(",")
        lines[line - 1] = f"{label},{text},{usage}"

    return apply


def changed_pixel(value: str) -> str:
    words = pixels(IMAGES[2]).split()
    words[9] = value
    return " ".join(words)


BAD_FACES = {
    "label too high": (edit(3, "6,", "7,"), r"line 3: label '7', not an integer 0 to 6"),
    "label negative": (edit(3, "6,", "-1,"), r"line 3: label '-1'"),
    "label no number": (edit(6, "1,", "happy,"), r"line 6: label 'happy'"),
    "usage unknown": (edit(5, "PublicTest", "Validation"), r"line 5: Usage 'Validation', not one of Training, Pub"),
    "pixel above 255": (set_pixels(4, changed_pixel("256")), r"line 4: pixel 10 is '256', not an integer 0 to 255"),
    "pixel long": (set_pixels(4, changed_pixel("9" * 5000)), r"line 4: pixel 10 is '9+\.\.\.'"),
    "pixel negative": (set_pixels(4, changed_pixel("-3")), r"line 4: pixel 10 is '-3'"),
    "pixel fraction": (set_pixels(4, changed_pixel("3.5")), r"line 4: pixel 10 is '3.5'"),
    "pixel no number": (set_pixels(4, changed_pixel("x")), r"line 4: pixel 10 is 'x'"),
    "a pixel less": (set_pixels(4, pixels(IMAGES[2]).rsplit(" ", 1)[0]), r"line 4: 2303 pixels instead of 2304"),
    "a pixel more": (set_pixels(4, pixels(IMAGES[2]) + " 7"), r"line 4: 2305 pixels instead of 2304 \(the last is '7'"),
    "no pixels": (set_pixels(4, ""), r"line 4: 0 pixels instead of 2304"),
    "a field more": (edit(2, "Training", "Training,1"), r"line 2: 4 fields instead of 3"),
    "column missing": (edit(1, "emotion,pixels", "emotion,faces"), r"line 1: no column pixels in the header 'emotion,"),
    "header missing": (lambda lines: lines.pop(0), r"line 1: no column emotion, pixels, Usage in the header '0,"),
    "an empty line": (lambda lines: lines.insert(2, ""), r"line 3: an empty line"),
    "rows missing": (lambda lines: lines.pop(), r"4 rows in fer2013.csv, 5 in fer2013new.csv"),
    "no rows": (lambda lines: lines.__delitem__(slice(1, None)), r"a header and no rows"),
}


@pytest.mark.parametrize(("change", "expected"), BAD_FACES.values(), ids=BAD_FACES)
def test_bad_faces(tmp_path: Path, change: Callable[[list[str]], None], expected: str) -> None:
    lines = faces_lines()
    change(lines)
    message = refusal(write(tmp_path, lines))
    assert message.startswith(str(tmp_path / "fer2013.csv"))
    assert re.search(expected, message)
    assert "Kaggle" in message


def test_two_rows_whose_faults_cancel_are_both_refused(tmp_path: Path) -> None:
    lines = faces_lines()
    set_pixels(2, pixels(IMAGES[0]) + " 7")(lines)
    set_pixels(3, pixels(IMAGES[1]).rsplit(" ", 1)[0])(lines)
    assert "line 2: 2305 pixels" in refusal(write(tmp_path, lines))


BAD_VOTES = {
    "vote above 10": (edit(4, "9", "11"), r"line 4: votes for happiness '11', not an integer 0 to 10"),
    "vote negative": (edit(4, "9", "-1"), r"line 4: votes for happiness '-1'"),
    "vote fraction": (edit(4, "9", "9.5"), r"line 4: votes for happiness '9.5'"),
    "vote empty": (edit(4, "9", ""), r"line 4: votes for happiness ''"),
    "usage unknown": (edit(5, "PublicTest", "Test"), r"line 5: Usage 'Test', not one of"),
    "usage of another row": (
        edit(5, "PublicTest", "PrivateTest"),
        r"line 5: Usage PrivateTest here, PublicTest in the same line of fer2013.csv",
    ),
    "a field less": (edit(2, ",fer0000000.png", ""), r"line 2: 11 fields instead of 12"),
    "columns missing": (edit(1, ",contempt,unknown", ""), r"line 1: no column contempt, unknown in the header"),
    "rows missing": (lambda lines: lines.pop(), r"5 rows in fer2013.csv, 4 in fer2013new.csv"),
    "no rows": (lambda lines: lines.__delitem__(slice(1, None)), r"a header and no rows"),
}


@pytest.mark.parametrize(("change", "expected"), BAD_VOTES.values(), ids=BAD_VOTES)
def test_bad_votes(tmp_path: Path, change: Callable[[list[str]], None], expected: str) -> None:
    lines = votes_lines()
    change(lines)
    message = refusal(write(tmp_path, votes=lines))
    assert message.startswith(str(tmp_path / "fer2013new.csv"))
    assert re.search(expected, message)
    assert "fetch" in message


@pytest.mark.parametrize("kept", ["3,12 34 5", "3,12 34 5,Train", "3", f"3,{pixels(IMAGES[2])}"])
def test_truncated_file(tmp_path: Path, kept: str) -> None:
    write(tmp_path)
    path = tmp_path / "fer2013.csv"
    path.write_text("\n".join([*faces_lines()[:3], kept]))
    message = refusal(tmp_path)
    assert message.startswith(f"{path}, line 4: the file looks truncated")
    assert "fetch the file again" in message


@pytest.mark.parametrize("name", ["fer2013.csv", "fer2013new.csv"])
def test_empty_file_other_encoding_and_nul_bytes(tmp_path: Path, name: str) -> None:
    path = write(tmp_path) / name
    whole = path.read_bytes()
    for content, expected in {
        b"": "the file is empty",
        b"\n\n": "the file is empty",
        whole.decode().encode("utf-16"): "line 1: byte 0xff, so this is no plain ASCII text",
        whole.decode().encode("utf-16-le"): "line 1: byte 0x00",
        whole + b"\0" * 100: "line 7: ",
        whole.replace(b"Training", b"Tra\xefning", 1): "line 2: byte 0xef",
    }.items():
        path.write_bytes(content)
        message = refusal(tmp_path)
        assert str(path) in message
        assert expected in message


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "fer2013.csv").unlink()
    (tmp_path / "fer2013.csv").mkdir()
    assert "cannot be read" in refusal(tmp_path)


def test_a_subset_needs_partial(tmp_path: Path) -> None:
    message = refusal(write(tmp_path), partial=False)
    assert str(tmp_path) in message
    assert "3 / 1 / 1 rows in Training / PublicTest / PrivateTest instead of 28,709 / 3,589 / 3,589" in message
    assert "--partial" in message


def test_published_content_passes_in_any_writing_and_altered_content_needs_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sums = fer2013._content_sums(read(write(tmp_path), partial=True))
    monkeypatch.setattr(fer2013, "ROWS", (3, 1, 1))
    monkeypatch.setattr(fer2013, "_SUMS", {part: sums[part] for part in fer2013._SUMS})
    check_content(read(write(tmp_path, end="\r\n")))
    faces, votes = faces_lines(), votes_lines()
    set_pixels(4, changed_pixel(str(255 - int(pixels(IMAGES[2]).split()[9]))))(faces)
    edit(6, "1,", "0,")(faces)
    edit(3, "10,0,", "9,1,")(votes)
    message = refusal(write(tmp_path, faces, votes), partial=False)
    assert "not the published data, not equal in images, FER2013 labels, votes (sha256" in message
    assert "Kaggle" in message
    assert "--partial" in message
    read(tmp_path, partial=True)
    swapped = [line.replace("PublicTest", "PrivateTest") for line in faces_lines()]
    swapped[5] = swapped[5].replace("PrivateTest", "PublicTest")
    usages = [line.replace("PublicTest", "PrivateTest") for line in votes_lines()]
    usages[5] = usages[5].replace("PrivateTest", "PublicTest")
    assert "not equal in usage (sha256" in refusal(write(tmp_path, swapped, usages), partial=False)


def read_or_refuse(root: Path) -> FerPlus | str:
    try:
        return read(root, partial=True)
    except BadInput as error:
        return str(error)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["fer2013.csv", "fer2013new.csv"]),
    place=st.floats(0, 1),
    cut=st.integers(0, 40),
    text=st.binary(max_size=12) | st.sampled_from([b"\n", b"\r", b'"', b",", b" ", b"999", b'"\n"']),
)
def test_damage_anywhere_is_read_or_refused_but_never_crashes(
    tmp_path: Path, name: str, place: float, cut: int, text: bytes
) -> None:
    path = write(tmp_path) / name
    whole = path.read_bytes()
    at = int(place * len(whole))
    path.write_bytes(whole[:at] + text + whole[at + cut :])
    found = read_or_refuse(tmp_path)
    if isinstance(found, str):
        assert "\n" not in found
        assert "fer2013" in found
    else:
        assert found.images.shape == (len(found.row), 48, 48)
