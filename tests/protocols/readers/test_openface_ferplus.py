"""OpenFace's AUs of FER+ pictures belong to the face whose FER+ name their row has, whatever its row in fer2013.csv."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from fernoise_bench.protocols.catalog import find
from fernoise_bench.protocols.errors import BadInput
from fernoise_bench.protocols.loading import open_data
from fernoise_bench.protocols.readers.fer2013 import FerPlus, read
from fernoise_bench.protocols.readers.openface import auxiliary_of_ferplus

from ..miniatures import ferplus as miniature_ferplus
from ..miniatures import openface as mini

ROOT = Path(os.environ.get("FERNOISE_DATA", "")) / "ferplus"
BITS = len(mini.AUS)
# Two pictures each, in the same folder, so that nobody knows whose AUs a row has.
SHARED = {"fer0006953.png", "fer0008403.png", "fer0011785.png", "fer0033120.png"}


def coded(number: int, *first: str) -> list[str]:
    """A row of FaceLandmarkImg whose presence columns are the binary digits of a number."""
    return [*mini.image_row(0, *first)[:-BITS], *(str(number >> bit & 1) for bit in range(BITS))]


def decoded(labels: np.ndarray) -> list[int]:
    """The number of each row; -1 where nothing is known."""
    values = ((labels > 0) * 2 ** np.arange(BITS)).sum(1)
    return np.where((labels == 0).all(1), -1, values).tolist()  # type: ignore[no-any-return]


def faces(names: Sequence[str], usage: Sequence[int]) -> FerPlus:
    count = len(names)
    return FerPlus(
        images=np.zeros((count, 48, 48), np.uint8),
        fer2013=np.zeros(count, np.int64),
        votes=np.zeros((count, 10), np.int64),
        usage=np.array(usage, np.int8),
        names=np.array(names, np.str_),
        row=np.arange(count, dtype=np.int64),
        layout="fer2013.csv",
    )


def write(root: Path, rows: dict[str, int]) -> Path:
    mini.write(
        root / "openface/ferplus.csv", [mini.image_header("file"), *(coded(n, name) for name, n in rows.items())]
    )
    return root


def test_rows_follow_the_names_and_not_the_numbers_in_them(tmp_path: Path) -> None:
    few = faces(["fer0000000.png", "", "fer0000001.png", "fer0000003.png", "fer0000003.png"], [0, 0, 0, 1, 1])
    root = write(tmp_path, {"fer0000000.png": 10, "fer0000001.png": 12, "fer0000003.png": 13, "fer0000004.png": 14})
    assert decoded(auxiliary_of_ferplus(root, few).labels) == [10, -1, 12, -1, -1]


def test_the_folder_may_be_written_before_the_name(tmp_path: Path) -> None:
    few = faces(["fer0000000.png", "fer0000001.png"], [0, 2])
    root = write(tmp_path, {"FER2013Test/fer0000001.png": 11, "/data/FER2013Train/fer0000000": 10})
    assert decoded(auxiliary_of_ferplus(root, few).labels) == [10, 11]


def test_a_number_above_those_of_fer_plus_shows_another_numbering(tmp_path: Path) -> None:
    root = write(tmp_path, {"fer0000000.png": 10, "fer0035802.png": 11})
    with pytest.raises(BadInput, match=r"line 3: 'fer0035802\.png' is the name of no picture of FER\+.*Image name"):
        auxiliary_of_ferplus(root, faces(["fer0000000.png"], [0]))


def test_rows_in_the_order_of_three_folders_are_refused(tmp_path: Path) -> None:
    mini.write(tmp_path / "openface/ferplus.csv", [mini.image_header(), coded(0), coded(1)])
    with pytest.raises(BadInput, match=r"lie in 2 folders \(FER2013Test, FER2013Train\)"):
        auxiliary_of_ferplus(tmp_path, faces(["fer0000000.png", "fer0000001.png"], [0, 2]))


def test_rows_of_a_protocol_have_the_labels_of_their_own_face(tmp_path: Path) -> None:
    """FER+ names every second face of a miniature from 0 on."""
    table = miniature_ferplus.write_tables(tmp_path / "ferplus") / "fer2013new.csv"
    header, *lines = [line.split(",") for line in table.read_text().splitlines()]
    for row, line in enumerate(lines):
        line[1] = "" if row % 2 else f"fer{row // 2:07d}.png"
    table.write_text("".join(",".join(line) + "\n" for line in [header, *lines]))
    write(tmp_path, {line[1]: row + 1 for row, line in enumerate(lines) if line[1]})
    cell = open_data(find("ferplus-sym"), "paper", "real", tmp_path, partial=True).cell(None, 0.0, 0)
    for part in (cell.train, cell.validation, cell.test):
        assert part is not None
        rows = part.sample_id.tolist()
        assert {row % 2 for row in rows} == {0, 1}
        assert decoded(part.aux) == [-1 if row % 2 else row + 1 for row in rows]


@pytest.fixture(scope="module")
def published() -> FerPlus:
    return read(ROOT)


real = [
    pytest.mark.data,
    pytest.mark.skipif(
        "FERNOISE_DATA" not in os.environ or not ROOT.is_dir(),
        reason="the real FER2013 and FER+ files are not under FERNOISE_DATA",
    ),
]


class TestPublishedData:
    """FER+'s names number the faces it keeps, so that nearly all differ from the row in fer2013.csv."""

    pytestmark = real

    def test_every_named_face_gets_its_own_labels(self, published: FerPlus, tmp_path: Path) -> None:
        rows = {name: row for row, name in enumerate(published.names.tolist()) if name}
        assert sum(int(name[3:10]) == row for name, row in rows.items()) < 60
        found = auxiliary_of_ferplus(write(tmp_path, rows), published)
        alone = [bool(name) and name not in SHARED for name in published.names.tolist()]
        assert sum(alone) == 35_706
        assert decoded(found.labels) == [row if own else -1 for row, own in enumerate(alone)]
        (counted,) = (check for check in found.checks if check.what == "pictures with a row")
        assert (counted.expected, counted.found) == (35_887, 35_706)

    def test_one_file_per_picture(self, published: FerPlus, tmp_path: Path) -> None:
        folders = ("FER2013Train", "FER2013Valid", "FER2013Test")
        some = [row for row in range(5, 35_887, 47) if published.names[row] and published.names[row] not in SHARED]
        for row in some:
            path = tmp_path / "openface/ferplus" / folders[published.usage[row]] / published.names[row]
            mini.write(path.with_suffix(".csv"), [mini.image_header(), coded(row)])
        found = decoded(auxiliary_of_ferplus(tmp_path, published).labels)
        assert [row for row, number in enumerate(found) if number != -1] == some
        assert [found[row] for row in some] == some

    @pytest.mark.parametrize("count", [100, 35_887])
    def test_a_table_numbered_like_fer2013_csv_is_refused(self, published: FerPlus, tmp_path: Path, count: int) -> None:
        root = write(tmp_path, {f"fer{row:07d}.png": row for row in range(count)})
        with pytest.raises(BadInput, match=r"ferplus\.csv, line 19: 'fer0000017\.png' is the name of no picture"):
            auxiliary_of_ferplus(root, published)
