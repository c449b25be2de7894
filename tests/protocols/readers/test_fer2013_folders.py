"""The folder form of FER+: FER2013Train, FER2013Valid, FER2013Test with label.csv and PNG files."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.readers import fer2013, fer2013_folders
from fernoise_bench.protocols.readers.fer2013 import read

FOLDERS = ("FER2013Train", "FER2013Valid", "FER2013Test")
IMAGES = np.random.default_rng(0).integers(0, 256, (4, 48, 48), dtype=np.uint8)
VOTES = np.array(
    [
        [4, 0, 0, 1, 3, 2, 0, 0, 0, 0],
        [10, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 9, 0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 5, 0, 0, 0, 5, 0, 0, 0],
    ]
)
PLACES = [(FOLDERS[0], "fer0000000.png"), (FOLDERS[0], "fer0000002.png"), (FOLDERS[1], "a.png"), (FOLDERS[2], "b.png")]
BOX = '"(0, 0, 48, 48)",'


def label_line(name: str, votes: np.ndarray, box: str = BOX) -> str:
    return f"{name},{box}{','.join(map(str, votes))}"


def write(root: Path, box: str = BOX, end: str = "\n") -> Path:
    for folder in FOLDERS:
        (root / folder).mkdir()
    for (folder, name), image, votes in zip(PLACES, IMAGES, VOTES, strict=True):
        Image.fromarray(image).save(root / folder / name)
        with (root / folder / "label.csv").open("a", newline="") as file:
            file.write(label_line(name, votes, box) + end)
    return root


def refusal(root: Path, partial: bool = True) -> str:
    with pytest.raises(BadInput) as caught:
        read(root, partial=partial)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(("box", "end"), [(BOX, "\n"), ("", "\r\n")], ids=["with box", "as the present script writes"])
def test_reads_the_folders(tmp_path: Path, box: str, end: str) -> None:
    data = read(write(tmp_path, box, end), partial=True)
    assert np.array_equal(data.images, IMAGES)
    assert data.images.dtype == np.uint8
    assert np.array_equal(data.votes, VOTES)
    assert data.votes.dtype == np.int64
    assert data.usage.tolist() == [0, 0, 1, 2]
    assert data.usage.dtype == np.int8
    assert data.names.tolist() == [name for _, name in PLACES]
    assert data.fer2013.tolist() == [-1] * 4
    assert data.row.tolist() == [0, 1, 2, 3]
    assert data.layout == "folders"


def test_of_a_repeated_name_the_last_line_counts(tmp_path: Path) -> None:
    path = write(tmp_path) / FOLDERS[0] / "label.csv"
    with path.open("a") as file:
        file.write(label_line("fer0000000.png", VOTES[3]) + "\n")
    data = read(tmp_path, partial=True)
    assert data.names.tolist() == ["fer0000002.png", "fer0000000.png", "a.png", "b.png"]
    assert np.array_equal(data.votes[:2], VOTES[[1, 3]])
    assert np.array_equal(data.images[:2], IMAGES[[1, 0]])


def test_the_first_label_files_are_known_by_their_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    lengths = tuple((tmp_path / folder / "label.csv").stat().st_size for folder in FOLDERS)
    monkeypatch.setattr(fer2013_folders, "_FIRST_RELEASE", lengths)
    assert read(tmp_path, partial=True).layout == "folders-first"


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_missing(tmp_path: Path, folder: str) -> None:
    (write(tmp_path) / folder).rename(tmp_path / "elsewhere")
    message = refusal(tmp_path)
    assert f"no {folder} among them" in message
    assert "generate_training_data.py" in message


def test_label_csv_missing_or_empty(tmp_path: Path) -> None:
    path = write(tmp_path) / FOLDERS[1] / "label.csv"
    path.write_text("")
    assert refusal(tmp_path).startswith(f"{path}: the file is empty")
    path.unlink()
    assert refusal(tmp_path).startswith(f"{path}: missing; fetch")


BAD_LINES = {
    "a vote less": ("c.png,0,0,0,0,0,0,0,0,0", "10 fields, not a name, an optional box and 10 votes"),
    "vote above 10": (label_line("c.png", [0] * 9 + [11]), "votes for NF '11', not an integer 0 to 10"),
    "vote negative": (label_line("c.png", [-1] + [0] * 9), "votes for neutral '-1'"),
    "no name": (label_line("", [1] * 10), "'' is no name of a PNG file"),
    "a path for a name": (label_line("../c.png", [1] * 10), "'../c.png' is no name of a PNG file"),
    "no such file": (label_line("c.png", [1] * 10), "'c.png' is not in the folder"),
    "NUL bytes": ("\0" * 50, "byte 0x00, so this is no plain ASCII text"),
}


@pytest.mark.parametrize(("line", "expected"), BAD_LINES.values(), ids=BAD_LINES)
def test_bad_label_lines(tmp_path: Path, line: str, expected: str) -> None:
    path = write(tmp_path) / FOLDERS[0] / "label.csv"
    with path.open("a") as file:
        file.write(line + "\n")
    message = refusal(tmp_path)
    assert message.startswith(f"{path}, line 3: ")
    assert expected in message


def test_truncated_label_csv(tmp_path: Path) -> None:
    path = write(tmp_path) / FOLDERS[0] / "label.csv"
    path.write_text(path.read_text()[:-9])
    assert refusal(tmp_path).startswith(f"{path}, line 2: the file looks truncated")


def test_images_of_another_form(tmp_path: Path) -> None:
    path = write(tmp_path) / FOLDERS[2] / "b.png"
    for mode, height in [("L", 47), ("RGB", 48), ("P", 48), ("I;16", 48), ("LA", 48)]:
        Image.new(mode, (48, height)).save(path)
        expected = f"{path}: 48x{height} pixels, mode {mode}, instead of 48x48, mode L (8-bit grey)"
        assert refusal(tmp_path).startswith(expected)


def test_images_that_are_damaged_or_no_png(tmp_path: Path) -> None:
    path = write(tmp_path) / FOLDERS[2] / "b.png"
    whole = path.read_bytes()
    for content in (b"", b"no image", whole[:20], whole[:-40], whole[:300] + b"\0" * 40 + whole[340:]):
        path.write_bytes(content)
        assert refusal(tmp_path).startswith(f"{path}: no readable PNG")
    Image.fromarray(IMAGES[0]).save(path, format="JPEG")
    assert refusal(tmp_path).startswith(f"{path}: no readable PNG")


def test_published_content_passes_and_altered_content_needs_partial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setattr(fer2013, "ROWS_FOLDERS", (2, 1, 1))
    monkeypatch.setattr(fer2013, "_SUMS_FOLDERS", fer2013._content_sums(read(tmp_path, partial=True)))
    assert read(tmp_path).layout == "folders"
    path = tmp_path / FOLDERS[0] / "label.csv"
    path.write_text(path.read_text().replace("10,0,", "9,1,", 1))
    message = refusal(tmp_path, partial=False)
    assert "not the published data, not equal in votes (sha256" in message
    assert "--partial" in message
    # The first label files have no published sum, so nobody can tell whether they were altered.
    lengths = tuple((tmp_path / folder / "label.csv").stat().st_size for folder in FOLDERS)
    monkeypatch.setattr(fer2013_folders, "_FIRST_RELEASE", lengths)
    assert "(folders-first): not the published data, not equal in votes" in refusal(tmp_path, partial=False)
    first = read(tmp_path, partial=True)
    assert first.layout == "folders-first"
    Image.fromarray(255 - IMAGES[2]).save(tmp_path / FOLDERS[1] / "a.png")
    assert "not the published data, not equal in images, votes" in refusal(tmp_path, partial=False)
    assert len({"published", first.digest(), read(tmp_path, partial=True).digest()}) == 3


def test_a_published_copy_is_called_so_and_another_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = read(write(tmp_path), partial=True)
    assert len(data.digest()) == 16
    monkeypatch.setattr(fer2013, "_SUMS_FOLDERS", fer2013._content_sums(data))
    assert data.digest() == "published"


def test_a_subset_needs_partial(tmp_path: Path) -> None:
    message = refusal(write(tmp_path), partial=False)
    assert "2 / 1 / 1 rows in Training / PublicTest / PrivateTest instead of 28,558 / 3,579 / 3,573" in message
    assert "--partial" in message
